"""The page of what is damaged of a version: plain words for everybody, the files for whoever may list them, the alarms and their ends."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from datasets.access import is_curator, may_list
from datasets.errors import NotFoundError
from datasets.finding import find_dataset, whole_number
from datasets.models import Version
from datasets.preservation import damaging

FILES_ON_A_PAGE = 100


@require_safe
def show_damage(request: HttpRequest, slug: str) -> HttpResponse:
    """`pages/damage.html`: `files` that are not what was published, `alarms`. Query: `version` (by default the current one), `after`."""
    dataset = find_dataset(request.user, slug)
    visible = Version.objects.visible_to(request.user).filter(dataset=dataset)
    number = whole_number(request.GET.get("version", ""))
    version = visible.published().first() if number is None else visible.filter(number=number).first()
    if version is None:
        raise NotFoundError("There is no such version of this dataset that you may see.")
    can_list = may_list(request.user, dataset, version)
    after = request.GET.get("after", "")
    files = damaging.list_damaged(version, after=after, limit=FILES_ON_A_PAGE + 1) if can_list else []
    shown, more = files[:FILES_ON_A_PAGE], len(files) > FILES_ON_A_PAGE
    context = {
        "dataset": dataset,
        "version": version,
        "files": shown,
        "can_list": can_list,
        "alarms": list(version.alarms.all()[:20]),
        "is_curator": is_curator(request.user, dataset),
        "next_url": "?" + urlencode({"version": version.number, "after": shown[-1].path}) if more else None,
        "first_url": f"?version={version.number}" if after else None,
    }
    return render(request, "pages/damage.html", context)
