"""Searches that people keep: the news of each on its page, and once a day by mail for who wants that."""

import datetime as dt
from typing import Any

from celery import shared_task
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from datasets.access import Visitor, is_signed_in
from datasets.errors import ConflictError, InvalidError, NotFoundError, SignInFirstError
from datasets.models import Dataset, SavedSearch
from datasets.search import find_newest, places
from datasets.search.query import SearchQuery

MOST_SAVED = 50
MOST_NEWS = 20
EVERY = dt.timedelta(days=1)
MOST_DUE = 100


def save(query: SearchQuery, *, user: Visitor, name: str = "", wants_mail: bool = False) -> SavedSearch:
    """Keep a search; the same one again changes its name and whether mails are wanted.

    Raises SignInFirstError for nobody, InvalidError for a search that asks for nothing, ConflictError when there are too many.
    """
    if not is_signed_in(user):
        raise SignInFirstError
    person: Any = user
    if not query.words and not query.is_filtered:
        raise InvalidError(fields={"query": ["Search for something first: words or a filter."]})
    kept = query.without("cursor").url()
    present = SavedSearch.objects.filter(user=person, query=kept).first()
    if present is None and SavedSearch.objects.filter(user=person).count() >= MOST_SAVED:
        raise ConflictError(f"You keep {MOST_SAVED} searches already. Remove one that you do not need any more.")
    facts = {"name": (name.strip() or query.words or kept)[:120], "wants_mail": wants_mail}
    return SavedSearch.objects.update_or_create(user=person, query=kept, defaults=facts)[0]


def saved_of(user: Visitor) -> list[tuple[SavedSearch, int]]:
    """Her searches, each with how many datasets it finds that were published since she last looked."""
    return [(one, len(news_of(one, user=user))) for one in SavedSearch.objects.filter(user=user)]


def find_saved(user: Any, pk: int) -> SavedSearch:
    """A search of hers; NotFoundError for anybody else's."""
    found: SavedSearch | None = SavedSearch.objects.filter(user=user, pk=pk).first()
    if found is None:
        raise NotFoundError
    return found


def see(saved: SavedSearch) -> None:
    """She looked at the results: from now on other things are news."""
    SavedSearch.objects.filter(pk=saved.pk).update(seen_at=timezone.now())


def news_of(saved: SavedSearch, *, user: Visitor, since: dt.datetime | None = None) -> list[Dataset]:
    """What it finds of the newest, published after `since`: by default after she last looked."""
    try:
        query = SearchQuery.from_parameters(QueryDict(saved.query.removeprefix("?")))
    except InvalidError:  # kept before a filter changed its meaning
        return []
    found = find_newest(query, user=AnonymousUser(), most=MOST_NEWS)  # what is published: drafts would crowd it out
    return [dataset for dataset in found if dataset.published_at and dataset.listed_at > (since or saved.seen_at)]


@shared_task(name="datasets.mail_news", acks_late=True, soft_time_limit=300)
def mail_news() -> int:
    """Mail the news of the searches that are due, and look again a day later; how many mails left. Safe to repeat."""
    n_mails = 0
    due = list(SavedSearch.objects.filter(wants_mail=True, due_at__lte=timezone.now()).values_list("pk", flat=True)[:MOST_DUE])
    if due:
        places.read({}, {})  # once for all: what is read in the transaction of a mail is not kept
    for pk in due:
        n_mails += _mail(pk)
    return n_mails


@transaction.atomic
def _mail(pk: int) -> bool:
    """Move the search on before its mail is sent: after a crash in between a day's news is missed by mail and still shown on the page."""
    now = timezone.now()
    saved = SavedSearch.objects.select_for_update(skip_locked=True).select_related("user").filter(pk=pk, due_at__lte=now).first()
    if saved is None:
        return False
    person: Any = saved.user
    news = news_of(saved, user=person, since=max(saved.seen_at, saved.mailed_at))
    SavedSearch.objects.filter(pk=pk).update(due_at=now + EVERY, mailed_at=now)
    if not news or not person.email:
        return False
    transaction.on_commit(lambda: _message(saved, news).send())
    return True


def _message(saved: SavedSearch, news: list[Dataset]) -> EmailMessage:
    lines = "\n\n".join(f"{dataset.title}\n{settings.BASE_URL}{dataset.get_absolute_url()}" for dataset in news)
    person: Any = saved.user
    body = (
        f"New since you last looked at “{saved.name}”:\n\n{lines}\n\n"
        f"All results: {settings.BASE_URL}{reverse('datasets:catalogue')}{saved.query}\n\n-- \n"
        f"You keep this search at {settings.BASE_URL}{reverse('datasets:saved')} and can stop these mails there.\n"
    )
    subject = f"{len(news)} new for {saved.name}"[:200].replace("\n", " ")
    return EmailMessage(subject, body, to=[person.email])
