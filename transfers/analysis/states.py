"""The states of an analysis job, of a quick look and of a preview, and the moves between them.

An *analysis job* is a graph that a person asked for, drawn by the graph service with her token:

    Job:
    QUEUED -> RUNNING -> DONE
    RUNNING -> PARTIAL, FAILED, QUEUED
    QUEUED -> FAILED
    FAILED -> QUEUED
    QUEUED, RUNNING -> NEEDS_SIGN_IN -> QUEUED
    QUEUED, RUNNING, NEEDS_SIGN_IN, DONE, PARTIAL, FAILED -> CLEANING -> CLEANED

A *quick look* is a chart of a published variable, drawn once with the portal's own token:

    Look:
    WAITING -> DRAWING -> READY
    DRAWING -> WAITING, EMPTY
    WAITING -> EMPTY

A *preview* is what a person is shown of one file, read near the data with the portal's own token:

    Preview:
    WAITING -> READING -> READY
    READING -> UNSUPPORTED, FAILED, WAITING
    WAITING -> FAILED
    FAILED -> WAITING

A test compares these drawings with `JOB_MOVES`, `LOOK_MOVES` and `PREVIEW_MOVES`.
The only writer of a status is `move_to` (`datasets.models.moving`).
"""

from django.db.models import TextChoices

from datasets.states import Moves


class JobStatus(TextChoices):
    QUEUED = "queued", "Waiting to start"
    RUNNING = "running", "Being drawn"
    DONE = "done", "Ready"
    PARTIAL = "partial", "Partly ready"
    FAILED = "failed", "Failed"
    NEEDS_SIGN_IN = "needs-sign-in", "Needs your permission"
    CLEANING = "cleaning", "Being removed"
    CLEANED = "cleaned", "Removed"


class LookStatus(TextChoices):
    WAITING = "waiting", "Waiting to be drawn"
    DRAWING = "drawing", "Being drawn"
    READY = "ready", "Ready"
    EMPTY = "empty", "Cannot be drawn"


class PreviewStatus(TextChoices):
    WAITING = "waiting", "Waiting to be read"
    READING = "reading", "Being read"
    READY = "ready", "Ready"
    UNSUPPORTED = "unsupported", "No preview for this format"
    FAILED = "failed", "Could not be read"


class ChartKind(TextChoices):
    SERIES = "series", "Time series"
    MAP = "map", "Map"
    BOX = "box", "Box plot by month"


J, L, P = JobStatus, LookStatus, PreviewStatus

JOB_MOVES: Moves = {
    J.QUEUED: frozenset({J.RUNNING, J.FAILED, J.NEEDS_SIGN_IN, J.CLEANING}),
    J.RUNNING: frozenset({J.DONE, J.PARTIAL, J.FAILED, J.QUEUED, J.NEEDS_SIGN_IN, J.CLEANING}),
    J.DONE: frozenset({J.CLEANING}),
    J.PARTIAL: frozenset({J.CLEANING}),
    J.FAILED: frozenset({J.QUEUED, J.CLEANING}),
    J.NEEDS_SIGN_IN: frozenset({J.QUEUED, J.CLEANING}),
    J.CLEANING: frozenset({J.CLEANED}),
    J.CLEANED: frozenset(),
}
LOOK_MOVES: Moves = {
    L.WAITING: frozenset({L.DRAWING, L.EMPTY}),
    L.DRAWING: frozenset({L.READY, L.WAITING, L.EMPTY}),
    L.READY: frozenset(),
    L.EMPTY: frozenset(),
}

PREVIEW_MOVES: Moves = {
    P.WAITING: frozenset({P.READING, P.FAILED}),
    P.READING: frozenset({P.READY, P.UNSUPPORTED, P.FAILED, P.WAITING}),
    P.READY: frozenset(),
    P.UNSUPPORTED: frozenset(),
    P.FAILED: frozenset({P.WAITING}),
}

# A worker does the next step without anybody asking.
JOB_WORKING = frozenset({J.QUEUED, J.RUNNING, J.CLEANING})
LOOK_WORKING = frozenset({L.WAITING, L.DRAWING})
PREVIEW_WORKING = frozenset({P.WAITING, P.READING})
# The same request of the same person is answered with the job that she has.
JOB_LIVE = frozenset({J.QUEUED, J.RUNNING, J.NEEDS_SIGN_IN, J.DONE, J.PARTIAL})
JOB_WITH_RESULTS = frozenset({J.DONE, J.PARTIAL})
