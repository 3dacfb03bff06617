"""Beside the catalogue: datasets side by side, datasets like one, searches that people keep, what a browser looked at."""

import feedparser
import pytest
from django.core import mail
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets.curation import publishing, registering
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.models import SavedSearch
from datasets.search import comparing, saving
from datasets.search.query import SearchQuery

OCEAN = {"subjects": ["Ocean"], "variables": [{"name": "tos", "units": "K"}]}


@pytest.fixture(autouse=True)
def mail_in_memory(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def three(published):
    return [
        published("one", title="Sea surface temperature", licence="CC-BY-4.0", **OCEAN),
        published("two", title="Sea temperature again", **OCEAN),
        published("three", title="Ice", subjects=["Ocean"]),
    ]


def query(text: str) -> SearchQuery:
    return SearchQuery.from_parameters(QueryDict(text))


def test_those_that_share_more_come_first_and_drafts_never(three, draft, published):
    draft("hidden", **OCEAN)
    published("other", title="Elsewhere", subjects=["Stars"])
    assert [dataset.slug for dataset in comparing.similar_to(three[0].dataset)] == ["two", "three"]


def test_of_very_many_that_share_something_those_registered_last_are_compared(three, published, ben, monkeypatch):
    monkeypatch.setattr(comparing, "MOST_CANDIDATES", 1)
    last = published("four", title="Snow", subjects=["Ocean"])
    assert [dataset.slug for dataset in comparing.similar_to(three[0].dataset)] == ["four", "three"]
    publishing.withdraw(last, user=ben, reason="It was rain.")
    assert [dataset.slug for dataset in comparing.similar_to(three[0].dataset)] == ["two", "three"]


def test_a_table_of_up_to_four_marks_what_differs(three, browser, ada, draft):
    page = browser().get("/datasets/compare/?dataset=one&dataset=three&dataset=two").content.decode()
    assert page.index("Sea surface temperature") < page.index(">Ice<")
    assert 'href="/datasets/compare/?dataset=one&amp;dataset=two"' in page
    rows = {row.label: row for row in comparing.compare(comparing.find_compared(["one", "two"], user=ada))}
    assert (rows["Variables"].differs, rows["Variables"].values[0]) == (False, "tos (K)")
    assert (rows["Licence"].differs, rows["Licence"].values) == (True, ("CC-BY-4.0", ""))
    draft("hidden")
    for wrong, status in (
        ("dataset=one", 400),
        ("dataset=one&dataset=hidden", 404),
        ("dataset=1&dataset=2&dataset=3&dataset=4&dataset=5", 400),
    ):
        assert browser().get(f"/datasets/compare/?{wrong}").status_code == status


def test_a_comparison_of_four_costs_as_much_as_of_two(three, published, browser):
    published("four")

    def statements(*slugs):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert browser().get("/datasets/compare/", {"dataset": slugs}).status_code == 200
        return len(captured)

    assert statements("one", "two", "three", "four") == statements("one", "two")


def test_similar_datasets_come_as_a_page_and_as_a_part(three, browser):
    assert "Sea temperature again" in browser().get("/datasets/one/similar/").content.decode()
    part = browser().get("/datasets/one/similar/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'href="/datasets/compare/?dataset=one&amp;dataset=two"' in part


def test_a_search_is_kept_once_and_tells_what_is_new(three, published, ada, ben, browser):
    saved = saving.save(query("q=sea&subject=Ocean&cursor="), user=ada, name="Seas")
    assert saving.save(query("q=sea&subject=Ocean"), user=ada, name="All seas", wants_mail=True).pk == saved.pk
    saved.refresh_from_db()
    assert (saved.name, saved.wants_mail, saved.query) == ("All seas", True, "?q=sea&subject=Ocean")
    assert saving.saved_of(ada) == [(saved, 0)]
    published("newer", title="A newer sea", subjects=["Ocean"])
    published("stone", title="Stone", subjects=["Earth"])
    assert [(one.pk, n_new) for one, n_new in saving.saved_of(ada)] == [(saved.pk, 1)]
    page = browser(ada).get("/datasets/saved/").content.decode()
    assert "1 new" in page
    opened = browser(ada).post(f"/datasets/saved/{saved.pk}/open/")
    assert opened["Location"] == "/datasets/?q=sea&subject=Ocean"
    assert saving.saved_of(ada)[0][1] == 0


def test_news_are_mailed_once_and_only_to_who_wants_them(three, published, ada, cy, django_capture_on_commit_callbacks):
    saving.save(query("q=sea"), user=ada, wants_mail=True)
    saving.save(query("q=sea"), user=cy)

    def mails() -> list:
        SavedSearch.objects.update(due_at=timezone.now())
        with django_capture_on_commit_callbacks(execute=True):
            saving.mail_news()
        sent, mail.outbox[:] = list(mail.outbox), []
        return sent

    assert mails() == []
    published("newer", title="A newer sea")
    (one,) = mails()
    assert one.to == ["ada@university.example"]
    assert "http://127.0.0.1:8000/datasets/newer/" in one.body
    assert mails() == []
    assert saving.saved_of(ada)[0][1] == 1, "mailed is not seen: the page still tells it"
    assert saving.mail_news() == 0, "each is looked at once a day"


def test_a_misspelt_search_has_no_news_of_another_spelling(three, published, ada):
    saved = saving.save(query("q=tempeature"), user=ada)
    published("newer", title="Another temperature")
    assert saving.news_of(saved, user=ada) == []


def test_drafts_of_a_steward_do_not_crowd_out_her_news(three, draft, published, ben, monkeypatch):
    monkeypatch.setattr(saving, "MOST_NEWS", 1)  # twenty drafts would say the same, later
    saved = saving.save(query("q=sea"), user=ben)
    published("newer", title="A newer sea")
    draft("secret", title="A secret sea")
    assert [dataset.slug for dataset in saving.news_of(saved, user=ben)] == ["newer"]


def test_news_hold_nothing_that_she_may_not_see(three, draft, ada, ben):
    saved = saving.save(query("q=sea"), user=ada)
    version = draft("secret", title="A secret sea")
    assert saving.news_of(saved, user=ada) == []
    publishing.publish(version, user=ben)
    assert [dataset.slug for dataset in saving.news_of(saved, user=ada)] == ["secret"]


def test_what_cannot_be_kept_says_why(three, ada, cy, browser, monkeypatch):
    with pytest.raises(InvalidError):
        saving.save(query(""), user=ada)
    monkeypatch.setattr(saving, "MOST_SAVED", 1)  # fifty searches would say the same, later
    saved = saving.save(query("q=sea"), user=ada)
    with pytest.raises(ConflictError):
        saving.save(query("q=ice"), user=ada)
    with pytest.raises(NotFoundError):
        saving.find_saved(cy, saved.pk)
    assert browser(cy).post(f"/datasets/saved/{saved.pk}/forget/").status_code == 404
    assert browser(ada).post(f"/datasets/saved/{saved.pk}/forget/").status_code == 302
    assert not SavedSearch.objects.exists()


def test_a_search_is_kept_from_its_results(three, browser, ada):
    assert "Signed in, you can keep a search" in browser().get("/datasets/?q=sea").content.decode()
    page = browser(ada).get("/datasets/?q=sea&subject=Ocean").content.decode()
    assert 'name="query" value="?q=sea&amp;subject=Ocean"' in page
    assert browser(ada).post("/datasets/saved/add/", {"query": "?q=sea&subject=Ocean", "wants_mail": "1"}).status_code == 302
    assert SavedSearch.objects.get().wants_mail
    assert browser().post("/datasets/saved/add/", {"query": "?q=sea"}).status_code == 302
    assert SavedSearch.objects.count() == 1


def test_the_feed_of_a_search_holds_what_it_finds(three, browser, draft, ben):
    draft("hidden", title="A hidden sea")
    feed = feedparser.parse(browser(ben).get("/datasets/feed.atom?q=sea&subject=Ocean").content)
    assert sorted(entry.title for entry in feed.entries) == ["Sea surface temperature", "Sea temperature again"]
    assert feed.feed.id.endswith("/datasets/feed.atom?q=sea&subject=Ocean")
    assert browser().get("/datasets/feed.atom?from=soon").status_code == 400


def test_the_home_page_shows_what_this_browser_looked_at(three, browser, draft, ben):
    draft("hidden", title="Hidden")
    client = browser(ben)
    for slug in ("one", "hidden", "two", "one"):
        client.get(f"/datasets/{slug}/")
    assert client.cookies["causeway_viewed"].value == "one/two"
    page = client.get("/").content.decode()
    assert page.index("You looked at") < page.index('chip" href="/datasets/one/"') < page.index('chip" href="/datasets/two/"')
    client.cookies["causeway_viewed"] = "no%20slug/../one/hidden"
    assert client.get("/").status_code == 200
    registering.describe(three[0].dataset, user=ben, title="Renamed")
    assert "Renamed" in client.get("/").content.decode()
