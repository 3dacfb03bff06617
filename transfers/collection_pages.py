"""The operator's pages of Globus collections: found, tested with the remedy for what fails, registered. POST calls one verb."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from datasets.models import GlobusCollection
from transfers import collecting, globus
from transfers.errors import GlobusRefusedError, GlobusUnavailableError, InvalidError


@never_cache
@login_required
@require_safe
def list_collections(request: HttpRequest) -> HttpResponse:
    """`pages/collections.html`: `registered` ones, and what a search `found`. Query: `q` (words or an id)."""
    collecting.check_operator(request.user)
    text, found, error = request.GET.get("q", "").strip()[:200], [], ""
    if text:
        try:
            found = collecting.find_collections(text, user=request.user)
        except (GlobusRefusedError, GlobusUnavailableError) as refusal:
            error = refusal.detail
    context = {"q": text, "found": found, "error": error, "registered": list(GlobusCollection.objects.select_related("registered_by"))}
    return render(request, "pages/collections.html", context)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def show_collection(request: HttpRequest, collection_id: uuid.UUID) -> HttpResponse:
    """`pages/collection.html`: a collection, the portal's role there, the last test. POST fields: `act` (test, forget), `folder`."""
    collecting.check_operator(request.user)
    errors: dict[str, list[str]] = {}
    known = GlobusCollection.objects.filter(pk=collection_id).first()
    if request.method == "POST" and request.POST.get("act") == "forget" and known is not None:
        collecting.forget_collection(known, user=request.user)
        messages.success(request, f"{known.name} is off the list. Datasets that lie there stay.")
        return redirect("transfers:collections")
    if request.method == "POST":
        try:
            known = collecting.run_test(collection_id, user=request.user, folder=request.POST.get("folder", "").strip() or "/")
            return redirect("transfers:collection", collection_id=collection_id)
        except InvalidError as error:
            errors = error.fields
    found, refusal = None, ""
    try:
        found = collecting.look_at(collection_id, user=request.user)
    except (GlobusRefusedError, GlobusUnavailableError) as error:
        refusal = error.detail
    context = {
        "collection_id": collection_id,
        "known": known,
        "found": found,
        "refusal": refusal,
        "errors": errors,
        "folder": request.POST.get("folder") or (known.folder if known else "/"),
        "role_command": globus.role_command(collection_id),
        "roles_link": globus.roles_link(collection_id),
    }
    return render(request, "pages/collection.html", context, status=400 if errors else 200)
