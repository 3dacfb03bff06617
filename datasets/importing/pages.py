"""The steward's page for descriptions that others wrote: a file is previewed, then imported as drafts."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from datasets import importing
from datasets.access import check_staff
from datasets.errors import InvalidError
from datasets.readers import MOST_RECORDS, READ, text_of
from datasets.readers.parsing import LONGEST

MOST_KEPT = 2_000_000  # what a field of a form may bring back: Django's DATA_UPLOAD_MAX_MEMORY_SIZE is 2.5 MiB


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def import_records(request: HttpRequest) -> HttpResponse:
    """`pages/steward_import.html`: `record` or `file` in `format` (empty: guessed) is previewed (`act` preview) or imported (`act` import).

    `imported` says what came of each record.
    """
    check_staff(request.user)
    record, imported, errors = request.POST.get("record", ""), None, {}
    format_name = request.POST.get("format", "")
    if request.method == "POST":
        run = importing.import_records if request.POST.get("act") == "import" else importing.preview
        try:
            if file := request.FILES.get("file"):
                record = text_of(file.read(4 * LONGEST + 1))
            imported = run(record, user=request.user, format_name=format_name)
        except InvalidError as error:
            errors = error.fields
    is_large = len(record.encode(errors="replace")) > MOST_KEPT
    context = {
        "record": "" if is_large else record,
        "is_large": is_large,
        "format": format_name,
        "formats": [(one.name, one.words) for one in READ.values()],
        "imported": imported,
        "errors": errors,
        "most": MOST_RECORDS,
    }
    is_wrong = bool(errors) or bool(imported and imported.n_wrong)
    return render(request, "pages/steward_import.html", context, status=400 if is_wrong else 200)
