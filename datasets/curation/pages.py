"""The steward's pages: her datasets, registering one, and the desk of one. Each POST calls one verb, listed in `ACTS`."""

import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from datasets import dois
from datasets.access import check_staff, granting, protecting, terms
from datasets.curation import bulk, checking, deleting, publishing, registering, waiting
from datasets.description import locking, probing
from datasets.dois import datacite
from datasets.errors import ConflictError, InvalidError, NotFoundError
from datasets.files import FileQuery, measure
from datasets.files.recounting import n_without_checksum
from datasets.finding import find_curated, is_on, whole_number
from datasets.metadata import pushing
from datasets.models import Dataset, Doi, PrincipalType, PushedRecord, ScanRun, TermsAcceptance, Version
from datasets.moments import end_of_day
from datasets.preservation import alarming
from datasets.scans import ingesting
from datasets.scans.pages import watch_context
from datasets.series import pages as series_pages
from datasets.states import DoiStatus

DATASETS_ON_A_PAGE = 50
POLL_S = 2


@never_cache
@login_required
@require_safe
def steward(request: HttpRequest) -> HttpResponse:
    """`pages/steward_list.html`: `rows` (dataset, newest version, scan), `next_url`, `waiting`. Query: `after` (slug)."""
    check_staff(request.user)
    newest = Prefetch("versions", Version.objects.prefetch_related(Prefetch("scans", ScanRun.objects.order_by("-asked_at"))))
    found = Dataset.objects.curated_by(request.user).filter(slug__gt=request.GET.get("after", "")).order_by("slug").prefetch_related(newest)
    rows = list(found[: DATASETS_ON_A_PAGE + 1])
    next_url = f"?after={rows[DATASETS_ON_A_PAGE - 1].slug}" if len(rows) > DATASETS_ON_A_PAGE else None
    shown = []
    for dataset in rows[:DATASETS_ON_A_PAGE]:
        version = next(iter(dataset.versions.all()), None)
        shown.append((dataset, version, next(iter(version.scans.all()), None) if version else None))
    context = {"rows": shown, "next_url": next_url, "alarms": alarming.alarms_of(request.user), "waiting": waiting.queues_of(request.user)}
    return render(request, "pages/steward_list.html", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """`pages/steward_register.html`: slug, title, and where the files are; POST registers and goes on to the desk."""
    check_staff(request.user)
    typed = {name: request.POST.get(name, "").strip() for name in ("slug", "title", "collection_id", "base_path")}
    errors: dict[str, list[str]] = {}
    if request.method == "POST":
        try:
            collection_id = _uuid(typed["collection_id"], "collection_id") if typed["collection_id"] else None
            with transaction.atomic():  # a place that is refused leaves no dataset behind
                version = registering.register(user=request.user, slug=typed["slug"], title=typed["title"])
                if collection_id:
                    place: dict[str, Any] = {"collection_id": collection_id, "base_path": typed["base_path"]}
                    registering.place(version, user=request.user, closes_others=is_on(request.POST.get("closes_others")), **place)
            return redirect("datasets:desk", slug=version.dataset.slug)
        except (InvalidError, ConflictError) as error:
            errors = error.fields or {"slug": [error.detail]}
    return render(request, "pages/steward_register.html", {"typed": typed, "errors": errors}, status=400 if errors else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def load_table(request: HttpRequest) -> HttpResponse:
    """`pages/steward_table.html`: a CSV table is checked (`act` check) or loaded (`act` load); `loaded` says what came of it."""
    check_staff(request.user)
    table, loaded, errors = _table_of(request), None, {}
    if request.method == "POST":
        try:
            loaded = bulk.load(table, user=request.user, is_dry_run=request.POST.get("act") != "load")
        except InvalidError as error:
            errors = error.fields
        if loaded and loaded.is_done:
            messages.success(request, f"{len(loaded.new)} datasets are registered, {len(loaded.changed)} changed.")
            return redirect("datasets:steward")
    context = {"table": table, "loaded": loaded, "errors": errors, "columns": bulk.COLUMNS, "most": bulk.MOST_ROWS}
    return render(request, "pages/steward_table.html", context, status=400 if errors or (loaded and loaded.wrong) else 200)


def _table_of(request: HttpRequest) -> str:
    file = request.FILES.get("file")
    if file is None:
        return request.POST.get("table", "")
    return str(file.read(4 * bulk.LONGEST), "utf-8", errors="replace")


@never_cache
@login_required
@require_safe
def download_table(request: HttpRequest) -> HttpResponse:
    """Her datasets in the columns that `load_table` reads."""
    check_staff(request.user)
    mine = (
        Dataset.objects.curated_by(request.user)
        .select_related("series")
        .order_by("slug")
        .prefetch_related("creators", "subjects", "versions__locations")
    )
    headers = {"Content-Disposition": 'attachment; filename="datasets.csv"'}
    return HttpResponse(bulk.as_table(list(mine[: bulk.MOST_ROWS])), content_type="text/csv; charset=utf-8", headers=headers)


@never_cache
@login_required
@require_safe
def desk(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_desk.html`: everything that a steward does to one dataset."""
    return _show_desk(request, find_curated(request.user, slug))


@never_cache
@login_required
@require_safe
def scan_progress(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/steward_scan.html`: the newest scan, polled while it runs."""
    dataset = find_curated(request.user, slug)
    return render(request, "pages/steward_scan.html", {"dataset": dataset, "scan": _newest_scan(dataset), "poll_s": POLL_S})


@never_cache
@login_required
@require_POST
def act(request: HttpRequest, slug: str, act: str) -> HttpResponse:
    """One act of the desk; what is wrong comes back beside its field."""
    dataset = find_curated(request.user, slug)
    if act not in ACTS:
        raise NotFoundError
    try:
        words = ACTS[act](request, dataset)
    except (InvalidError, ConflictError) as error:
        return _show_desk(request, dataset, act=act, errors=error.fields, detail=error.detail, status=error.http_status)
    messages.success(request, words)
    return redirect("datasets:desk", slug=slug)


def _place(request: HttpRequest, dataset: Dataset) -> str:
    asked = {name: request.POST.get(name, "").strip() for name in ("collection_id", "bucket", "base_path")}
    if bool(asked["collection_id"]) == bool(asked["bucket"]):
        raise InvalidError(fields={"collection_id": ["Name a collection or a bucket, one of the two."]})
    collection_id = _uuid(asked["collection_id"], "collection_id") if asked["collection_id"] else None
    bucket, base_path = asked["bucket"], asked["base_path"]
    place: dict[str, Any] = {"collection_id": collection_id, "bucket": bucket, "base_path": base_path}
    registering.place(_draft(dataset), user=request.user, closes_others=is_on(request.POST.get("closes_others")), **place)
    return "The location is saved. Scan it to see what it holds."


def _scan(request: HttpRequest, dataset: Dataset) -> str:
    version = dataset.versions.first()
    if version is None:
        raise NotFoundError
    ingesting.ask_for_scan(version, user=request.user)
    return "The scan is queued. It goes on when you leave this page."


def _retry(request: HttpRequest, dataset: Dataset) -> str:
    run = _newest_scan(dataset)
    if run is None:
        raise NotFoundError
    ingesting.retry_scan(run, user=request.user)
    return "The scan is queued again."


def _publish(request: HttpRequest, dataset: Dataset) -> str:
    version = publishing.publish(_draft(dataset), user=request.user, note=request.POST.get("note", "").strip())
    return f"Version {version.number} is published."


def _submit(request: HttpRequest, dataset: Dataset) -> str:
    version = publishing.submit(_draft(dataset), user=request.user, note=request.POST.get("note", "").strip())
    return f"Version {version.number} is in review."


def _send_back(request: HttpRequest, dataset: Dataset) -> str:
    version = publishing.send_back(_draft(dataset), user=request.user, note=request.POST.get("note", ""))
    return f"Version {version.number} is a draft again."


def _comment(request: HttpRequest, dataset: Dataset) -> str:
    version = dataset.versions.first()
    if version is None:
        raise NotFoundError
    publishing.comment(version, user=request.user, note=request.POST.get("note", ""))
    return "The comment is kept."


def _reserve_doi(request: HttpRequest, dataset: Dataset) -> str:
    version = dataset.versions.first()
    if version is None:
        raise NotFoundError
    return f"{dois.reserve(version, user=request.user).name} is reserved for version {version.number}."


def _register_doi(request: HttpRequest, dataset: Dataset) -> str:
    doi = Doi.objects.filter(version__dataset=dataset, pk=whole_number(request.POST.get("doi", "")) or 0).first()
    if doi is None:
        raise NotFoundError
    dois.try_again(doi, user=request.user)
    return "DataCite is asked again."


def _check_links(request: HttpRequest, dataset: Dataset) -> str:
    n_links = probing.ask_again(dataset, user=request.user)
    return f"{n_links} links are looked at again." if n_links else "The description names no link."


def _push_record(request: HttpRequest, dataset: Dataset) -> str:
    row = PushedRecord.objects.filter(pk=dataset.pk).first()
    if row is None:
        raise NotFoundError
    pushing.push_again(row, user=request.user)
    return "The record is pushed to Globus Search again."


def _withdraw(request: HttpRequest, dataset: Dataset) -> str:
    asked = request.POST
    version = dataset.versions.published().filter(number=whole_number(asked.get("number", "")) or 0).first()
    if version is None:
        raise NotFoundError
    publishing.withdraw(version, user=request.user, reason=asked.get("reason", ""), forward_url=asked.get("forward_url", ""))
    return f"Version {version.number} is withdrawn. Its page stays and says why."


def _open_draft(request: HttpRequest, dataset: Dataset) -> str:
    draft = publishing.open_draft(dataset, user=request.user, reason=request.POST.get("reason", "").strip())
    return f"Version {draft.number} is open as a draft."


def _discard(request: HttpRequest, dataset: Dataset) -> str:
    draft = _draft(dataset)
    if request.POST.get("slug", "") != dataset.slug:
        raise InvalidError(fields={"slug": [f"Type {dataset.slug} to discard its draft."]})
    gone = publishing.discard_draft(draft, user=request.user)
    return f"Draft {gone.number} is discarded. It can be restored until {deleting.ends_at(gone):%Y-%m-%d}."


def _restore_draft(request: HttpRequest, dataset: Dataset) -> str:
    return f"Draft {publishing.restore_draft(dataset, user=request.user).number} is restored as it was."


def _remove_draft(request: HttpRequest, dataset: Dataset) -> str:
    return f"Draft {publishing.remove_discarded(dataset, user=request.user).number} is removed for good."


def _grant(request: HttpRequest, dataset: Dataset) -> str:
    asked = request.POST
    until = end_of_day(asked.get("until", ""), "until")
    given = granting.grant(dataset, expires_at=until, granted_by=request.user, **granting.principal_of(asked))
    return f"Access is given to {given.label or given.principal}."


def _terms(request: HttpRequest, dataset: Dataset) -> str:
    made = terms.publish_terms(dataset, user=request.user, text=request.POST.get("text", ""))
    return f"Version {made.number} of the terms is asked from now on."


def _retire_terms(request: HttpRequest, dataset: Dataset) -> str:
    terms.retire_terms(dataset, user=request.user)
    return "No terms are asked any more. Who accepted what stays recorded."


def _lift_embargo(request: HttpRequest, dataset: Dataset) -> str:
    protecting.lift_embargo(dataset, user=request.user)
    return "The embargo is lifted. The files open within seconds."


def _revoke(request: HttpRequest, dataset: Dataset) -> str:
    given = dataset.grants.filter(pk=whole_number(request.POST.get("grant", "")) or 0).first()
    if given is None:
        raise NotFoundError
    granting.revoke(given, revoked_by=request.user)
    return f"Access of {given.label or given.principal} is taken back."


ACTS: dict[str, Callable[[HttpRequest, Dataset], str]] = {
    "series": series_pages.put_dataset,
    "place": _place,
    "scan": _scan,
    "retry": _retry,
    "submit": _submit,
    "send-back": _send_back,
    "comment": _comment,
    "publish": _publish,
    "check-links": _check_links,
    "withdraw": _withdraw,
    "reserve-doi": _reserve_doi,
    "register-doi": _register_doi,
    "push-record": _push_record,
    "draft": _open_draft,
    "discard": _discard,
    "restore-draft": _restore_draft,
    "remove-draft": _remove_draft,
    "grant": _grant,
    "revoke": _revoke,
    "terms": _terms,
    "retire-terms": _retire_terms,
    "lift-embargo": _lift_embargo,
}


def _show_desk(
    request: HttpRequest,
    dataset: Dataset,
    *,
    act: str = "",
    errors: dict[str, list[str]] | None = None,
    detail: str = "",
    status: int = 200,
) -> HttpResponse:
    version = dataset.versions.first()
    typed = request.POST if act else {}
    findings = checking.check(version) if version and version.is_draft else []
    gone = publishing.discarded_draft(dataset)
    context = {
        "dataset": dataset,
        "version": version,
        "discarded": (gone, deleting.ends_at(gone)) if gone else None,
        "total": measure(version, FileQuery()) if version else None,
        "location": version.primary_location if version else None,
        "scan": _newest_scan(dataset),
        "n_without_checksum": n_without_checksum(version) if version else 0,
        "findings": findings,
        "links": list(dataset.links.all()),
        "doi": version.own_doi if version else None,
        "refused_dois": Doi.objects.filter(version__dataset=dataset, status=DoiStatus.FAILED).select_related("version"),
        "pushed": PushedRecord.objects.filter(pk=dataset.pk).first() if settings.SEARCH_INDEX else None,
        "blocked": any(finding.must for finding in findings),
        "has_datacite": datacite.is_configured(),
        "needs_second": settings.TWO_PERSON_RULE,
        "is_submitter": version is not None and version.submitted_by_id == request.user.pk,
        "grants": dataset.grants.filter(revoked_at=None),
        "terms": terms.current_terms(dataset),
        "n_accepted": TermsAcceptance.objects.filter(terms__dataset=dataset, terms__retired_at=None).count(),
        "events": dataset.events.select_related("actor").order_by("-at", "-id")[:30],
        "principal_types": PrincipalType.choices,
        "act": act,
        "errors": errors or {},
        "detail": detail,
        "typed": typed,
        "editing": locking.holder_of(dataset),
        "series_choices": series_pages.choices(request.user),
        "now": timezone.now(),
        "poll_s": POLL_S,
        **watch_context(dataset),
    }
    return render(request, "pages/steward_desk.html", context, status=status)


def _draft(dataset: Dataset) -> Version:
    version = dataset.versions.drafts().first()
    if version is None:
        raise InvalidError("Open a draft first.")
    return version


def _newest_scan(dataset: Dataset) -> ScanRun | None:
    return ScanRun.objects.filter(version__in=dataset.versions.all()).select_related("version").order_by("-asked_at", "-id").first()


def _uuid(text: str, name: str) -> uuid.UUID:
    try:
        return uuid.UUID(text.strip())
    except ValueError as error:
        raise InvalidError(fields={name: ["An id looks like 7d5a4f1e-0000-4000-8000-000000000001."]}) from error
