"""The pages of baskets and requests. GET shows, POST calls one verb and redirects; what a person may not see is not found.

Refusals leave as exceptions: `portal.errors` turns them into pages, and leads to sign-in or to a consent where one is needed.
"""

import uuid
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets import files
from datasets.access import check_may_list, may_list, terms
from datasets.addresses import is_local
from datasets.files import FileQuery, filters
from datasets.finding import find_version, whole_number
from datasets.models import Dataset, Version
from datasets.scans.storage import StorageRefusedError
from transfers import acts, globus, linking, mail, manifests, requesting, requirements, selecting, sending, sharing, snippets
from transfers.api import manifest_response
from transfers.errors import (
    DuplicateRequestError,
    GlobusRefusedError,
    GlobusUnavailableError,
    InvalidError,
    NotFoundError,
)
from transfers.models import Basket, DataRequest, DataRequestTask
from transfers.states import FINISHED, Status, TaskKind

POLL_S = 2
KINDS = {
    Status.OPEN: "ok",
    Status.SENT: "ok",
    Status.FAILED: "failed",
    Status.NEEDS_SIGN_IN: "attention",
    Status.EXPIRED: "plain",
    Status.CANCELLED: "plain",
}
NOTHING_TICKED = "Nothing is ticked, so nothing was chosen. Tick folders or files."
FILTERS = {
    "": "All",
    "needs-you": "Needs you",
    "running": "Under way",
    "open": "Ready",
    "over": "Over",
}


@never_cache
@require_safe
def open_file(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Leads to a file at its data transfer node, or to its signed address, which nobody keeps. Query: `path`."""
    visible = Dataset.objects.visible_to(request.user)
    version = Version.objects.published().select_related("dataset").filter(dataset__in=visible, dataset__slug=slug, number=number).first()
    if version is None:
        raise NotFoundError
    return redirect(linking.file_address(version, request.GET.get("path", ""), user=request.user))


@require_safe
def measure(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/files_measure.html`: how much is ticked, and how long it takes. Query: `version`, `folder`, `file` (repeat)."""
    version = find_version(request.user, slug, whole_number(request.GET.get("version", "")) or 0)
    check_may_list(request.user, version.dataset, version)
    folders, names = tuple(request.GET.getlist("folder")), tuple(request.GET.getlist("file"))
    chosen = files.measure(version, FileQuery(folders=folders, files=names)) if folders or names else None
    rate = DataRequestTask.objects.recent_rate() if chosen else None
    context = {"chosen": chosen, "rate": rate, "seconds": chosen.size_bytes / rate if chosen and rate else None}
    return render(request, "pages/files_measure.html", context)


# -- the basket ---------------------------------------------------------------------------------------------------------------


@never_cache
@require_safe
def basket(request: HttpRequest) -> HttpResponse:
    """`pages/basket.html`: `review` (lines, totals, what is left out), `snippets`, `key` for forms, `idempotency_key`, `lifetime_days`."""
    reviewed = selecting.review(_find_basket(request), user=request.user)
    context = {
        "review": reviewed,
        "snippets": _snippets(request, reviewed),
        "can_be_sent": bool(reviewed.wanted) and all(line.can_be_sent for line in reviewed.lines if not line.why_not),
        "lifetime_days": settings.SHARE_LIFETIME_DAYS,
        "idempotency_key": uuid.uuid4(),
    }
    return render(request, "pages/basket.html", context)


@require_POST
def add_to_basket(request: HttpRequest) -> HttpResponse:
    """Put files into the basket. Fields: `dataset` (slug), `version` (number), `folder`, `glob`, `file` (repeat) or `everything`, the
    bounds of `datasets.files.filters`, `item` (repeats), `next`.

    A form with nothing ticked takes nothing, and says so where it was sent from.
    """
    version = _version(request)
    if not _names_files(request):
        if not _next(request):
            raise InvalidError(NOTHING_TICKED, fields={"files": [NOTHING_TICKED]})
        messages.warning(request, NOTHING_TICKED)
        return redirect(_next(request))
    selecting.add_selection(_open_basket(request), version=version, query=_query(request), user=request.user)
    address, title = reverse("transfers:basket"), version.dataset.title
    messages.success(request, format_html('Added to <a href="{}">your basket</a>: files of {}.', address, title))
    return redirect(_next(request) or address)


@require_POST
def change_selection(request: HttpRequest, selection_id: int) -> HttpResponse:
    """Replace what is chosen of a version; fields as `add_to_basket`, or `online` alone, which leaves out what is cold."""
    own = _own_basket(request)
    if request.POST.get("online"):
        selecting.leave_out_cold(own, selection_id, user=request.user)
        return redirect("transfers:basket")
    if not _names_files(request):
        raise InvalidError(NOTHING_TICKED, fields={"files": [NOTHING_TICKED]})
    selecting.change_selection(own, selection_id, query=_query(request), user=request.user)
    return redirect("transfers:basket")


@require_POST
def remove_selection(request: HttpRequest, selection_id: int) -> HttpResponse:
    """Take a selection out."""
    selecting.remove_selection(_own_basket(request), selection_id)
    return redirect("transfers:basket")


@require_POST
def empty_basket(request: HttpRequest) -> HttpResponse:
    """Take everything out."""
    selecting.empty_basket(_own_basket(request))
    return redirect("transfers:basket")


# -- asking for a share -------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def new_share(request: HttpRequest) -> HttpResponse:
    """`pages/request_new.html`: review, then POST asks for a share of the basket. Fields: `key`, `idempotency_key`, `lifetime_days`."""
    requesting.check_signed_in(request.user)
    reviewed = selecting.review(_find_basket(request), user=request.user)
    if request.method != "POST":
        _require_terms(request, reviewed)
        return render(request, "pages/request_new.html", _review_context(reviewed))
    known = _asked_before(request)
    if known is None:
        selecting.check_unchanged(reviewed, request.POST.get("key", ""))
        try:
            known = sharing.request_share(
                user=request.user,
                wanted=reviewed.wanted,
                lifetime_days=_lifetime_days(request),
                idempotency_key=request.POST.get("idempotency_key", "")[:200],
            )
        except DuplicateRequestError as error:
            return _show_live_one(request, error)
        _take_out(request, reviewed)
    return redirect(known)


# -- sending to one's own collection ------------------------------------------------------------------------------------------


@require_safe
def choose_destination(request: HttpRequest) -> HttpResponse:
    """`pages/send_choose.html`: `remembered` destinations, the `offer` of others or what query `q` `found`, `globus_error` in words."""
    requesting.check_signed_in(request.user)
    reviewed = selecting.review(_find_basket(request), user=request.user)
    _require_terms(request, reviewed)
    text = request.GET.get("q", "").strip()
    found, offer, trouble = [], None, ""
    try:
        if text:
            found = sending.search_destinations(request.user, text)
        else:
            offer = sending.offer_destinations(request.user)
    except (GlobusUnavailableError, GlobusRefusedError) as error:
        trouble = error.detail
    context = {
        "review": reviewed,
        "remembered": sending.destinations_of(request.user),
        "found": found,
        "offer": offer,
        "q": text,
        "globus_error": trouble,
    }
    return render(request, "pages/send_choose.html", context)


@require_safe
def review_transfer(request: HttpRequest) -> HttpResponse:
    """`pages/send_review.html`: `place` (collection, path, folders there), the basket's `review`. Query: `collection`, `path`."""
    requesting.check_signed_in(request.user)
    reviewed = selecting.review(_find_basket(request), user=request.user)
    return _show_review(request, reviewed, _collection_id(request.GET.get("collection", "")), request.GET.get("path", ""))


@require_POST
def confirm_transfer(request: HttpRequest) -> HttpResponse:
    """Send the basket. Fields: `collection`, `path`, `name`, `key`, `idempotency_key`."""
    requesting.check_signed_in(request.user)
    known = _asked_before(request)
    if known is not None:
        return redirect(known)
    reviewed = selecting.review(_find_basket(request), user=request.user)
    selecting.check_unchanged(reviewed, request.POST.get("key", ""))
    collection_id, path = _collection_id(request.POST.get("collection", "")), request.POST.get("path", "")
    try:
        sending.check_destination(request.user, collection_id, path)
    except InvalidError as error:
        return _show_review(request, reviewed, collection_id, "", typed=path, errors=error.fields.get("path") or [error.detail])
    try:
        made = sending.request_transfer(
            user=request.user,
            wanted=reviewed.wanted,
            collection_id=collection_id,
            path=path,
            name=request.POST.get("name", ""),
            idempotency_key=request.POST.get("idempotency_key", "")[:200],
        )
    except DuplicateRequestError as error:
        return _show_live_one(request, error)
    _take_out(request, reviewed)
    return redirect(made)


def _show_review(
    request: HttpRequest,
    reviewed: selecting.Review,
    collection_id: uuid.UUID,
    path: str,
    *,
    typed: str = "",
    errors: list[str] | None = None,
) -> HttpResponse:
    trouble, place = "", None
    try:
        place = sending.look_at(request.user, collection_id, path)
    except (GlobusUnavailableError, GlobusRefusedError) as error:
        trouble = error.detail
    context = {
        **_review_context(reviewed),
        "place": place,
        "collection_id": collection_id,
        "path": typed or (place.path if place else path),
        "trouble": trouble,
        "errors": errors or [],
    }
    return render(request, "pages/send_review.html", context, status=400 if errors else 200)


# -- requests -----------------------------------------------------------------------------------------------------------------


@require_safe
def requests(request: HttpRequest) -> HttpResponse:
    """`pages/requests.html`: `page` of the person's own requests, what needs her first. Query: `show` (a key of FILTERS), `page`."""
    requesting.check_signed_in(request.user)
    show = request.GET.get("show", "")
    shown: dict[str, list[Status]] = {
        "needs-you": [Status.NEEDS_SIGN_IN, Status.FAILED],
        "running": [s for s in Status if s not in FINISHED and s not in {Status.OPEN, Status.FAILED, Status.NEEDS_SIGN_IN}],
        "open": [Status.OPEN],
        "over": [Status(status) for status in FINISHED],
    }
    own = _own_requests(request)
    found = own.filter(status__in=shown.get(show, list(Status))).prefetch_related("selections__version__dataset").order_by("-created_at")
    context = {
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "filters": FILTERS,
        "show": show,
        "kinds": KINDS,
        "needs_you": own.filter(status__in=[Status.NEEDS_SIGN_IN, Status.FAILED]).count(),
    }
    return render(request, "pages/requests.html", context)


@require_safe
def request_page(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """`pages/request.html`, or only its live part for htmx: `asked`, `kind`, `events`, `tasks`, `acts`, `links`, `snippets`, `failed`."""
    requesting.check_signed_in(request.user)
    asked = requesting.find_request(request.user, request_id)
    template = "pages/request_live.html" if request.headers.get("HX-Request") == "true" else "pages/request.html"
    return render(request, template, _request_context(request, asked))


def _request_context(request: HttpRequest, asked: DataRequest) -> dict[str, Any]:
    is_closed = requesting.lacks_second_factor(asked, request.user)
    failed = asked.failed_files.none() if is_closed else asked.failed_files.all()
    remaining = asked.size_bytes - asked.bytes_done
    return {
        "asked": asked,
        "selections": manifests.selections_of(asked),
        "kind": KINDS.get(Status(asked.status), "waiting"),
        "kinds": KINDS,
        "events": list(asked.events.select_related("actor")),
        "tasks": [(task, globus.activity_link(task.task_id)) for task in asked.tasks.filter(kind=TaskKind.COPY) if task.task_id],
        "acts": acts.possible_acts(asked, user=request.user),
        "needs_second_factor": is_closed,
        "sign_in_page": _sign_in_page(asked) if asked.user_id == request.user.pk else "",
        "links": {} if is_closed else _share_links(asked),
        "snippets": [] if is_closed else _share_snippets(asked),
        "failed": list(failed[:100]),
        "n_failed": failed.count(),
        "position": requesting.queue_position(asked),
        "wait_s": requesting.expected_wait_s(asked),
        "seconds_left": remaining / asked.bytes_per_second if asked.bytes_per_second and remaining > 0 else None,
        "destination_link": globus.file_manager_link(asked.destination_collection_id or "", asked.destination_path),
        "poll_s": POLL_S,
        "deletion": getattr(asked, "deletion", None),
        "idempotency_key": uuid.uuid4(),
    }


def _sign_in_page(asked: DataRequest) -> str:
    """Where its owner signs in as a collection wants it."""
    next_url = asked.get_absolute_url()
    return requirements.page(scopes=asked.required_scopes, session=asked.required_session, next_url=next_url, user_id=asked.user_id)


@require_safe
def manifest(request: HttpRequest, request_id: uuid.UUID) -> HttpResponseBase:
    """The receipt: every file with its checksum, as CSV."""
    asked = requesting.find_request(request.user, request_id)
    requesting.check_assurance(asked, request.user)
    return manifest_response(asked)


@require_POST
def act(request: HttpRequest, request_id: uuid.UUID, act: str) -> HttpResponse:
    """Cancel, extend, retry or ask again."""
    asked = requesting.find_request(request.user, request_id)
    if act not in acts.ACTS:
        raise NotFoundError
    return redirect(acts.ACTS[act](asked, user=request.user))


# -- what the pages share -----------------------------------------------------------------------------------------------------


def _require_terms(request: HttpRequest, reviewed: selecting.Review) -> None:
    """Lead to the terms before the review, not after it."""
    terms.check_accepted(request.user, {one.version.dataset for one in reviewed.wanted})


def _find_basket(request: HttpRequest) -> Basket | None:
    return selecting.find_basket(user=request.user, session_key=request.session.session_key)


def _open_basket(request: HttpRequest) -> Basket:
    if not request.session.session_key:
        request.session.create()
    return selecting.open_basket(user=request.user, session_key=request.session.session_key)


def _own_basket(request: HttpRequest) -> Basket:
    found = _find_basket(request)
    if found is None:
        raise NotFoundError
    return found


def _version(request: HttpRequest) -> Version:
    """The version that a form names, among what the person may see."""
    versions = Version.objects.offered().filter(
        dataset__in=Dataset.objects.visible_to(request.user), dataset__slug=request.POST.get("dataset", "")
    )
    if number := whole_number(request.POST.get("version", "")):
        versions = versions.filter(number=number)
    found = versions.select_related("dataset").order_by("-number").first()
    if found is None:
        raise NotFoundError
    return found


def _names_files(request: HttpRequest) -> bool:
    """Whether a form says what it wants: a version as a whole only by its own field, never by leaving all others empty."""
    return any(any(request.POST.getlist(name)) for name in ("everything", "folder", "glob", "file", "item", *filters.NAMES))


def _query(request: HttpRequest) -> FileQuery:
    named = {name: tuple(filter(None, request.POST.getlist(name))) for name in ("folder", "glob", "file")}
    asked: dict[str, Any] = request.POST.dict()
    if ticked := request.POST.getlist("item"):
        asked["items"] = {"keys": ticked}
    return FileQuery(named["folder"], named["glob"], named["file"], filters.FileFilter.read(asked))


def _next(request: HttpRequest) -> str:
    """Where the form wants to go back to, if that is on this site."""
    target = request.POST.get("next", "")
    return target if is_local(target) else ""


def _asked_before(request: HttpRequest) -> DataRequest | None:
    """The request that this very form made already: a double click or a reload."""
    key = request.POST.get("idempotency_key", "")[:200]
    return _own_requests(request).filter(idempotency_key=key).first() if key else None


def _own_requests(request: HttpRequest) -> Any:
    """Her own, for an operator too."""
    return DataRequest.objects.visible_to(request.user).filter(user_id=str(request.user.pk))


def _show_live_one(request: HttpRequest, error: DuplicateRequestError) -> HttpResponse:
    """Offer the request that is there instead of a second one."""
    messages.info(request, "You asked for exactly these files already. This is that request; your basket is as it was.")
    return redirect(error.url)


def _take_out(request: HttpRequest, reviewed: selecting.Review) -> None:
    """What was asked for leaves the basket; what was left out stays."""
    found = _find_basket(request)
    for line in reviewed.lines:
        if found is not None and not line.why_not:
            selecting.remove_selection(found, line.selection.pk)


def _review_context(reviewed: selecting.Review) -> dict[str, Any]:
    return {"review": reviewed, "lifetime_days": settings.SHARE_LIFETIME_DAYS, "idempotency_key": uuid.uuid4()}


def _collection_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise InvalidError("That is no collection id.", fields={"collection": ["That is no collection id."]}) from error


def _lifetime_days(request: HttpRequest) -> int | None:
    """What the form says; None for nothing. What is no number is refused in the words for 0 days."""
    text = request.POST.get("lifetime_days", "").strip()
    return (whole_number(text) or 0) if text else None


def _snippets(request: HttpRequest, reviewed: selecting.Review) -> list[snippets.Snippet]:
    """Lines for the files whose names she may read, and whose terms she has accepted: not those of a restricted dataset before."""
    named = reviewed.wanted or reviewed.downloads
    unaccepted = {one.dataset_id for one in terms.lacking_terms(request.user, {one.version.dataset for one in named})}
    wanted = [one for one in named if one.version.dataset_id not in unaccepted]
    try:
        return snippets.snippets_of([one for one in wanted if may_list(request.user, one.version.dataset, one.version)])
    except (GlobusUnavailableError, GlobusRefusedError, StorageRefusedError):
        return []


def _share_snippets(asked: DataRequest) -> list[snippets.Snippet]:
    try:
        return snippets.snippets_of_share(asked)
    except (GlobusUnavailableError, GlobusRefusedError):
        return []


def _share_links(asked: DataRequest) -> dict[str, str]:
    try:
        return mail.share_links(asked) if asked.is_granted else {}
    except (GlobusUnavailableError, GlobusRefusedError):
        return {"file_manager": globus.file_manager_link(asked.collection_id or "", asked.granted_path)}
