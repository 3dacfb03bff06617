"""The page of one file: what is known of it, its addresses and ready lines, the items that it is of, and what is in it."""

import base64
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from datasets import items
from datasets.access import check_may_list, decide, terms
from datasets.errors import NotFoundError, RefusedError
from datasets.files import FileQuery, FileRow
from datasets.finding import find_version
from datasets.items.filters import columns_of
from datasets.items.values import value_text
from datasets.models import Version
from transfers import graph, linking, snippets
from transfers.analysis import previews
from transfers.analysis.models import QuickLook, QuickLookQuerySet
from transfers.analysis.states import LookStatus, PreviewStatus
from transfers.requesting import Wanted

POLL_S = 1
MOST_LOOKS = 4
NOTHING_FOUND: dict[str, Any] = {"kind": "", "is_cut": False, "attributes": {}, "variables": [], "time_start": "", "time_end": ""}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show_file(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """`pages/file.html`, or only its preview for htmx: `file`, `address`, `snippets`, `items`, `preview`, `looks`. Query: `path`.

    POST asks for the preview.
    """
    version = find_version(request.user, slug, number)
    check_may_list(request.user, version.dataset, version)
    file = previews.find_file(version, request.POST.get("path") or request.GET.get("path", ""))
    here = f"{reverse('analysis:file', args=[slug, number])}?{urlencode({'path': file.path})}"
    is_part = request.headers.get("HX-Request") == "true"
    trouble = ""
    if request.method == "POST":
        try:
            previews.request_preview(version, file, user=request.user)
        except RefusedError as error:
            trouble = error.detail
        if not trouble and not is_part:
            return redirect(here)
    context = {"dataset": version.dataset, "version": version, "file": file, "here": here, **_preview(request, version, file, trouble)}
    if is_part:
        return render(request, "pages/file_preview.html", context)
    return render(request, "pages/file.html", context | _facts(request, version, file))


def _preview(request: HttpRequest, version: Version, file: FileRow, trouble: str) -> dict[str, Any]:
    """What is shown of the file, and why nothing is."""
    preview, why_not = None, trouble
    try:
        preview = previews.find_preview(version, file, user=request.user)
    except RefusedError as error:
        why_not = error.detail
    if not why_not and not graph.has_service():
        why_not = "This archive has no service that reads files."
    found = NOTHING_FOUND | (preview.document if preview else {})
    names = [one["name"] for one in found.get("variables", ())]
    drawn = QuickLookQuerySet(QuickLook).open_to_all().filter(version=version, variable__in=names, status=LookStatus.READY)
    return {
        "preview": preview,
        "found": found,
        "why_not": why_not,
        "is_waiting": preview is not None and preview.is_waiting,
        "poll_s": POLL_S,
        "looks": list(drawn[:MOST_LOOKS]) if names else [],
        "can_retry": preview is not None and preview.status == PreviewStatus.FAILED,
    }


def _facts(request: HttpRequest, version: Version, file: FileRow) -> dict[str, Any]:
    dataset, address, lines = version.dataset, "", []
    decision = decide(request.user, dataset)
    wanted = Wanted(version, FileQuery(files=(file.path,)))
    with suppress(RefusedError):  # a page without addresses: Globus does not answer, or they are not for her
        address = linking.file_address(version, file.path, user=request.user)
    if address and not terms.lacking_terms(request.user, [dataset]):
        with suppress(RefusedError):
            lines = snippets.snippets_of([wanted])
    folder, _, name = file.path.rpartition("/")
    columns = columns_of(version)
    return {
        "decision": decision,
        "folder": folder + "/",
        "address": address,
        "portal_address": settings.BASE_URL + reverse("transfers:https", args=[dataset.slug, version.number]) + "?"
        + urlencode({"path": file.path}),
        "snippets": lines,
        "columns": columns,
        "items": items.items_of_file(version, folder + "/", name) if columns else [],
        "value_text": value_text,
        "add_url": reverse("transfers:basket-add") if version.published_at else "",
    }  # fmt: skip


@never_cache
@require_safe
def show_picture(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The small picture of an image of a version, for those who may have its files. Query: `path`."""
    version = find_version(request.user, slug, number)
    previews.check_may_look(request.user, version)
    preview = previews.find_preview(version, previews.find_file(version, request.GET.get("path", "")), user=request.user)
    if preview is None or preview.status != PreviewStatus.READY or preview.document.get("kind") != "image":
        raise NotFoundError
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(base64.b64decode(preview.document["png"]), content_type="image/png", headers=headers)
