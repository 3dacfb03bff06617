"""The way of a graph: asked for, submitted to the graph service with the person's token, followed, cleaned up.

The portal's worker talks to the service; the data never come here. A permission that is missing stops the job in NEEDS_SIGN_IN, and
once it is given the sweep resumes it. Each step is a Celery task that is safe to repeat; a message is only a hint.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from datasets.errors import InvalidError, NotFoundError, RefusedError, StaleStateError, UnavailableError
from datasets.models import Version
from transfers import graph, tokens
from transfers.analysis import previews, quick_looks
from transfers.analysis.choosing import Chosen, choose
from transfers.analysis.models import AnalysisJob, AnalysisSource
from transfers.analysis.states import JOB_LIVE, JOB_WITH_RESULTS, ChartKind, JobStatus
from transfers.errors import ConsentNeededError, NotClaimedError, NotYoursError
from transfers.models import GlobusToken
from transfers.requesting import check_signed_in
from transfers.steps import send_hint

log = logging.getLogger(__name__)

MOST_DATASETS = 4
POLL_S = 1.0
LIFETIME = timedelta(days=30)
NOTHING_LEFT: dict[str, Any] = {"results": [], "failures": [], "folder_url": "", "service_id": ""}
STEPS = {
    JobStatus.QUEUED: "transfers.analysis.submit",
    JobStatus.RUNNING: "transfers.analysis.follow",
    JobStatus.CLEANING: "transfers.analysis.remove",
}


def request_graph(
    *, user: Any, wanted: Sequence[tuple[Version, str]], kinds: Iterable[str] = (), years: tuple[int, int] | None = None
) -> AnalysisJob:
    """Queue graphs of one to four (version, variable) for a person; the same request again answers with the job that she has.

    Raises GraphMissingError, SignInNeededError, ForbiddenError for files that she may not have, InvalidError in words.
    """
    check_signed_in(user)
    if not graph.has_service():
        raise graph.GraphMissingError
    chosen_kinds = [kind for kind in ChartKind.values if kind in set(kinds)] or [ChartKind.SERIES, ChartKind.MAP]
    _check(wanted, kinds, years)
    sources = [choose(version, variable, user=user) for version, variable in wanted]
    key = _content_key(sources, chosen_kinds, years)
    same: AnalysisJob | None = AnalysisJob.objects.filter(user_id=user.pk, content_key=key, status__in=JOB_LIVE).first()
    if same:
        return _resumed(same)
    try:
        job = _add(user, sources, chosen_kinds, years, key)
    except IntegrityError:  # a second click was first
        first: AnalysisJob = AnalysisJob.objects.get(user_id=user.pk, content_key=key, status__in=JOB_LIVE)
        return first
    hint(job)
    return job


def _resumed(job: AnalysisJob) -> AnalysisJob:
    """A job that she has already; goes on at once when it waited for a permission that is there now."""
    if job.status == JobStatus.NEEDS_SIGN_IN and AnalysisJob.objects.permitted_since(graph.resource_server()).filter(pk=job.pk).exists():
        resume(job)
    return job


def _check(wanted: Sequence[tuple[Version, str]], kinds: Iterable[str], years: tuple[int, int] | None) -> None:
    faults: dict[str, list[str]] = {}
    if not 1 <= len(wanted) <= MOST_DATASETS:
        faults["dataset"] = [f"Choose one to {MOST_DATASETS} datasets."]
    unknown = sorted(set(kinds) - set(ChartKind.values))
    if unknown:
        faults["kind"] = [f"Choose from {', '.join(ChartKind.values)}."]
    if years and not 0 <= years[0] <= years[1] <= 9999:
        faults["start_year"] = ["The first year is not after the last."]
    if faults:
        raise InvalidError(fields=faults)


@transaction.atomic
def _add(user: Any, sources: Sequence[Chosen], kinds: Sequence[str], years: tuple[int, int] | None, key: str) -> AnalysisJob:
    start, end = years or (None, None)
    job = AnalysisJob.objects.create(
        user_id=user.pk, kinds=list(kinds), start_year=start, end_year=end, content_key=key, due_at=timezone.now()
    )
    for position, source in enumerate(sources):
        AnalysisSource.objects.create(
            job=job, position=position, version=source.version, variable=source.variable, units=source.units,
            collection_id=source.collection_id, paths=list(source.paths),
        )  # fmt: skip
    job.events.create(new=job.status, actor_id=user.pk)
    if not GlobusToken.objects.filter(user_id=user.pk, resource_server=graph.resource_server()).exists():
        job.move_to(JobStatus.NEEDS_SIGN_IN, required_scopes=_complete(job, []))
    return job


def _content_key(sources: Sequence[Chosen], kinds: Sequence[str], years: tuple[int, int] | None) -> str:
    asked = [[(one.version.pk, one.variable, str(one.collection_id), one.paths) for one in sources], list(kinds), years]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def clean_up(job: AnalysisJob, *, user: Any) -> AnalysisJob:
    """Remove what a graph left: the rule, the folder, the charts kept here. Safe to repeat. Raises NotYoursError."""
    if job.user_id != user.pk and not getattr(user, "is_operator", False):
        raise NotYoursError
    if job.status not in {JobStatus.CLEANING, JobStatus.CLEANED}:
        job.move_to(JobStatus.CLEANING, actor=user)
        hint(job)
    return job


def try_again(job: AnalysisJob, *, user: Any) -> AnalysisJob:
    """Queue a failed graph once more. Raises IllegalMoveError when it did not fail."""
    if job.user_id != user.pk:
        raise NotYoursError
    job.move_to(JobStatus.QUEUED, actor=user, failure="", failures=[], service_id="")
    hint(job)
    return job


def hint(job: AnalysisJob) -> None:
    """Tell a worker, once this transaction is committed, what is next."""
    task = STEPS.get(JobStatus(job.status))
    if task:
        transaction.on_commit(partial(send_hint, task, job.pk), robust=True)


@shared_task(name="transfers.analysis.submit", acks_late=True, soft_time_limit=120)
def submit(job_id: UUID | str) -> None:
    """Hand a queued graph to the service. Safe to repeat: the service answers the same request with the same job."""
    _step(job_id, JobStatus.QUEUED, _submit)


def _submit(job: AnalysisJob) -> None:
    sources = list(job.sources.select_related("version__dataset").prefetch_related("version__dataset__variables"))
    answer = graph.request_graph(
        [
            graph.Source(
                dataset=source.version.dataset.slug,
                title=source.version.dataset.title,
                version=str(source.version.number),
                collection_id=source.collection_id,
                paths=tuple(source.paths),
                variable=source.variable,
                units=source.units,
                label=_label(source),
            )
            for source in sources
        ],
        kinds=job.kinds,
        years=job.years,
        token=_token(job),
    )
    job.move_to(JobStatus.RUNNING, service_id=answer.id, parts_done=answer.done, parts_total=answer.total)
    _record(job, answer)


def _label(source: AnalysisSource) -> str:
    """The variable in the catalogue's words."""
    named = [one.long_name or one.label for one in source.version.dataset.variables.all() if one.name == source.variable]
    return named[0] if named else ""


@shared_task(name="transfers.analysis.follow", acks_late=True, soft_time_limit=120)
def follow(job_id: UUID | str) -> None:
    """See how far the service is, and keep what it drew. Safe to repeat."""
    _step(job_id, JobStatus.RUNNING, _follow)


def _follow(job: AnalysisJob) -> None:
    try:
        answer = graph.find_graph(job.service_id, token=_token(job))
    except NotFoundError:
        job.move_to(JobStatus.QUEUED, note="The graph service does not know the job any more; it is submitted again.", service_id="")
        return
    _record(job, answer)


def _record(job: AnalysisJob, answer: graph.GraphAnswer) -> None:
    """Write down what the service says."""
    facts: dict[str, Any] = {"parts_done": answer.done, "parts_total": answer.total, "failures": answer.failures}
    if answer.status in {"done", "partial"}:
        status = JobStatus.DONE if answer.status == "done" else JobStatus.PARTIAL
        job.move_to(status, results=answer.results, folder_url=answer.folder_url, expires_at=timezone.now() + LIFETIME, **facts)
    elif answer.status == "failed":
        job.move_to(JobStatus.FAILED, failure="None of the graphs could be drawn.", **facts)
    elif answer.status in {"cleaning", "cleaned"}:
        job.move_to(JobStatus.FAILED, failure="The graph service removed the job.", **facts)
    else:
        job.record(**facts)
        job.look_again(seconds=POLL_S)


@shared_task(name="transfers.analysis.remove", acks_late=True, soft_time_limit=120)
def remove(job_id: UUID | str) -> None:
    """Have the service remove the rule and the folder, then forget the charts. Safe to repeat."""
    _step(job_id, JobStatus.CLEANING, _remove)


def _remove(job: AnalysisJob) -> None:
    answer = graph.remove_graph(job.service_id, token=_token(job)) if job.service_id else None
    if answer is None or answer.status == "cleaned":
        job.move_to(JobStatus.CLEANED, **NOTHING_LEFT)
    else:
        job.look_again(seconds=POLL_S)


def _token(job: AnalysisJob) -> str:
    """The person's token for the graph service. Raises ConsentNeededError with what to ask her for."""
    collections = job.sources.values_list("collection_id", flat=True)
    token = tokens.access_token(job.user, graph.resource_server(), [graph.scope_to_read(collections)])
    job.keep_claim()
    return token


def _step(job_id: UUID | str, status: JobStatus, act: Callable[[AnalysisJob], None]) -> None:
    """Claim a job and do one step; what goes wrong becomes a state or a later attempt."""
    try:
        with AnalysisJob.objects.claim(job_id, expected={status}) as job:
            _guarded(job, act)
    except NotClaimedError:
        return
    if job.status != status:
        hint(job)


def _guarded(job: AnalysisJob, act: Callable[[AnalysisJob], None]) -> None:
    try:
        act(job)
    except ConsentNeededError as error:
        scopes = _complete(job, error.required_scopes)
        if job.status == JobStatus.CLEANING and job.expires_at and job.expires_at <= timezone.now():
            job.move_to(JobStatus.CLEANED, note="The graph service removed the results at their end.", **NOTHING_LEFT)
        elif job.status == JobStatus.CLEANING:
            job.put_off(seconds=3600, required_scopes=scopes)
        else:
            job.move_to(JobStatus.NEEDS_SIGN_IN, note=error.detail, required_scopes=scopes)
    except UnavailableError as error:
        log.info("the graph service is waited for", extra={"job_id": str(job.pk), "words": error.detail})
        job.put_off()
    except StaleStateError:
        log.info("the job moved meanwhile", extra={"job_id": str(job.pk)})
    except RefusedError as error:
        if job.status == JobStatus.CLEANING:
            job.put_off()
        else:
            job.move_to(JobStatus.FAILED, note=error.detail, failure=error.detail or error.message)


def _complete(job: AnalysisJob, scopes: Iterable[str]) -> list[str]:
    """The scopes to ask for: one for the service with leave for all collections of the job, and whatever else was named."""
    whole = graph.scope_to_read(job.sources.values_list("collection_id", flat=True))
    return [whole, *(scope for scope in scopes if scope.partition("[")[0] != settings.GRAPH_SCOPE)]


@shared_task(name="transfers.analysis.sweep", acks_late=True, soft_time_limit=60, ignore_result=True)
def sweep() -> int:
    """Hint at every step that is due, resume what got its permission, ask for quick looks that are missing. Safe to repeat."""
    if not graph.has_service():
        return 0
    now = timezone.now()
    resumed = 0
    for job in AnalysisJob.objects.permitted_since(graph.resource_server()):
        try:
            resume(job)
            resumed += 1
        except StaleStateError:
            continue
    for job in AnalysisJob.objects.filter(status__in=JOB_WITH_RESULTS, expires_at__lte=now)[:200]:
        job.move_to(JobStatus.CLEANING, note="The results were kept for a month.")
    n_hints = resumed
    for job in AnalysisJob.objects.take_due(now, most=200):
        send_hint(STEPS[JobStatus(job.status)], job.pk)
        n_hints += 1
    return n_hints + quick_looks.sweep(now) + previews.sweep(now)


def resume(job: AnalysisJob) -> None:
    """Go on with a job whose permission has been given."""
    if job.status == JobStatus.NEEDS_SIGN_IN:
        job.move_to(JobStatus.QUEUED, note="The permission was given.")
    else:
        job.record(required_scopes=[], due_at=timezone.now())
    hint(job)
