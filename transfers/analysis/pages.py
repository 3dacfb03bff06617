"""The pages of graphs and quick looks. GET shows, POST calls one verb and redirects; what a person may not see is not found.

Charts are text of another program, so they are never part of a page: each is an image with an address of its own, served with a policy
that lets it do nothing.
"""

import uuid
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from rest_framework.exceptions import ValidationError

from datasets.errors import InvalidError, NotFoundError
from datasets.models import Dataset, Version
from transfers import graph, requirements
from transfers.analysis import choosing
from transfers.analysis import graphs as verbs
from transfers.analysis.models import AnalysisJob, QuickLook
from transfers.analysis.serializers import find_version
from transfers.analysis.states import ChartKind, JobStatus, LookStatus
from transfers.requesting import check_signed_in

POLL_S = 1
N_CHOICES = 2
KINDS = {
    JobStatus.DONE: "ok",
    JobStatus.PARTIAL: "attention",
    JobStatus.FAILED: "failed",
    JobStatus.NEEDS_SIGN_IN: "attention",
    JobStatus.CLEANED: "plain",
}
ACTS = {"clean-up": verbs.clean_up, "try-again": verbs.try_again}
CHART_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@require_safe
def graphs(request: HttpRequest) -> HttpResponse:
    """`pages/graphs.html`: `page` of the person's own graphs, newest first; `kinds`."""
    check_signed_in(request.user)
    own = AnalysisJob.objects.filter(user=request.user.pk).prefetch_related("sources__version__dataset")
    return render(request, "pages/graphs.html", {"page": Paginator(own, 50).get_page(request.GET.get("page")), "kinds": KINDS})


@require_http_methods(["GET", "HEAD", "POST"])
def new_graph(request: HttpRequest) -> HttpResponse:
    """`pages/graph_new.html`: `rows` (what is chosen of `choices`), `chart_kinds`, `errors`; POST asks for the graph.

    Query and fields: `source` (`<slug>/<variable>`, repeats), `dataset` (slug, repeats), `kind` (repeats), `start_year`, `end_year`.
    """
    if request.method != "POST":
        return _show_choices(request, {})
    check_signed_in(request.user)
    try:
        wanted = [_wanted(request, text) for text in filter(None, request.POST.getlist("source"))]
        job = verbs.request_graph(user=request.user, wanted=wanted, kinds=request.POST.getlist("kind"), years=_years(request))
    except InvalidError as error:
        return _show_choices(request, {**error.fields} or {"dataset": [error.detail]})
    if job.status == JobStatus.NEEDS_SIGN_IN:
        asked = urlencode({"scope": job.required_scopes, "next": job.get_absolute_url()}, doseq=True)
        return redirect(f"{reverse('portal:consent')}?{asked}")
    return redirect(job)


def _show_choices(request: HttpRequest, errors: dict[str, Any]) -> HttpResponse:
    asked = request.POST if request.method == "POST" else request.GET
    choices = _choices(request)
    known = [value for _, rows in choices for value, _ in rows]
    named = [next((value for value in known if value.startswith(f"{slug}/")), "") for slug in asked.getlist("dataset")]
    chosen = [value for value in [*asked.getlist("source"), *named] if value in known][: verbs.MOST_DATASETS]
    kinds = asked.getlist("kind") or [ChartKind.SERIES, ChartKind.MAP]
    context = {
        "choices": choices,
        "rows": [*chosen, *[""] * max(0, min(verbs.MOST_DATASETS, max(N_CHOICES, len(chosen) + 1)) - len(chosen))],
        "chart_kinds": [(kind.value, kind.label, kind.value in kinds) for kind in ChartKind],
        "start_year": asked.get("start_year", ""),
        "end_year": asked.get("end_year", ""),
        "errors": errors,
    }
    return render(request, "pages/graph_new.html", context, status=400 if errors else 200)


def _choices(request: HttpRequest) -> list[tuple[Dataset, list[tuple[str, str]]]]:
    """Datasets with (value, words) of their variables that can be drawn."""
    found = []
    for dataset in choosing.drawable_datasets(request.user):
        variables = [variable for variable in dataset.variables.all() if variable.example_path]
        words = [(f"{dataset.slug}/{variable.name}", variable.label.replace("_", " ")) for variable in variables]
        found.append((dataset, words))
    return found


def _wanted(request: HttpRequest, text: str) -> tuple[Version, str]:
    slug, _, variable = text.partition("/")
    try:
        return find_version(request.user, slug), variable
    except ValidationError as error:
        raise InvalidError(fields={"dataset": [f"There is no published dataset {slug}."]}) from error


def _years(request: HttpRequest) -> tuple[int, int] | None:
    """Both years, one year for both, or none."""
    texts = [request.POST.get(name, "").strip() for name in ("start_year", "end_year")]
    if not any(texts):
        return None
    first, last = (texts[0] or texts[1], texts[1] or texts[0])
    if not (first.isdecimal() and last.isdecimal() and len(first) <= 4 and len(last) <= 4):
        raise InvalidError(fields={"start_year": ["Give years as numbers, such as 1860."]})
    return int(first), int(last)


def _sign_in_page(job: AnalysisJob) -> str:
    """Where the person signs in as a collection wants it that refused to be read; empty where none did."""
    session = next((failure["authorization_parameters"] for failure in job.failures if "authorization_parameters" in failure), None)
    scopes = [graph.scope_to_read(source.collection_id for source in job.sources.all())]
    return requirements.page(scopes=scopes, session=session, next_url=job.get_absolute_url(), user_id=job.user_id) if session else ""


@require_safe
def graph_page(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """`pages/graph.html`, or only its live part for htmx: `job`, `kind`, `charts`, `events`, `sources`, `sign_in_page`, `poll_s`."""
    check_signed_in(request.user)
    job = _find_job(request, job_id)
    titles = {source.version.dataset.slug: source.version.dataset.title for source in job.sources.select_related("version__dataset")}
    charts = [
        {**result, "number": number, "title": titles.get(result["source"], result["source"]), "kind_words": ChartKind(result["kind"]).label}
        for number, result in enumerate(job.results)
    ]
    failures = [{**failure, "title": titles.get(failure["source"], failure["source"])} for failure in job.failures]
    context = {
        "job": job,
        "kind": KINDS.get(JobStatus(job.status), "waiting"),
        "kinds": KINDS,
        "charts": charts,
        "failures": failures,
        "sign_in_page": _sign_in_page(job),
        "events": list(job.events.select_related("actor")),
        "sources": list(job.sources.select_related("version__dataset")),
        "poll_s": POLL_S,
        "is_own": job.user_id == request.user.pk,
    }
    template = "pages/graph_live.html" if request.headers.get("HX-Request") == "true" else "pages/graph.html"
    return render(request, template, context)


@require_safe
def graph_chart(request: HttpRequest, job_id: uuid.UUID, number: int) -> HttpResponse:
    """One chart as an image, for the person whose graph it is."""
    job = _find_job(request, job_id)
    if number >= len(job.results):
        raise NotFoundError
    return _image(job.results[number]["svg"], cache="private, max-age=3600")


@require_POST
def act(request: HttpRequest, job_id: uuid.UUID, act: str) -> HttpResponse:
    """Clean up, or try again what failed."""
    check_signed_in(request.user)
    job = _find_job(request, job_id)
    if act not in ACTS:
        raise NotFoundError
    return redirect(ACTS[act](job, user=request.user))


@require_safe
def quick_look(request: HttpRequest, slug: str, variable: str) -> HttpResponse:
    """`pages/quick_look.html`, or only the part for a dataset's page for htmx: `dataset`, `variable`, `look`, `is_waiting`, `poll_s`."""
    dataset = Dataset.objects.visible_to(request.user).filter(slug=slug).first()
    named = dataset.variables.filter(name=variable).first() if dataset else None
    if dataset is None or named is None:
        raise NotFoundError
    version = dataset.versions.published().order_by("-number").first()
    look = QuickLook.objects.open_to_all().filter(version=version, variable=variable).first()
    is_waiting = look is not None and look.status in {LookStatus.WAITING, LookStatus.DRAWING}
    template = "pages/quick_look_part.html" if request.headers.get("HX-Request") == "true" else "pages/quick_look.html"
    context = {"dataset": dataset, "variable": named, "look": look, "is_waiting": is_waiting, "poll_s": 2 * POLL_S}
    return render(request, template, context)


@require_safe
def quick_look_chart(request: HttpRequest, look_id: int) -> HttpResponse:
    """The chart of a quick look as an image, for everybody."""
    look = QuickLook.objects.open_to_all().filter(pk=look_id, status=LookStatus.READY).first()
    if look is None:
        raise NotFoundError
    return _image(look.svg, cache="public, max-age=86400")


def _image(svg: str, *, cache: str) -> HttpResponse:
    headers = {"Content-Security-Policy": CHART_POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": cache}
    return HttpResponse(svg, content_type="image/svg+xml; charset=utf-8", headers=headers)


def _find_job(request: HttpRequest, job_id: uuid.UUID) -> AnalysisJob:
    found: AnalysisJob | None = AnalysisJob.objects.visible_to(request.user).filter(pk=job_id).first()
    if found is None:
        raise NotFoundError
    return found
