"""The states of a version, of a scan, of a DOI, of a pushed record and of a harvest, and the only moves between them.

A version (a discarded draft lies in the bin, and is no version for anybody until it is restored):

    draft -> review
    draft -> published
    draft -> discarded
    discarded -> draft
    review -> draft
    review -> published
    published -> superseded
    published -> withdrawn
    superseded -> withdrawn

A scan of a location (a killed worker leaves it running, and the next claim goes on with it; what it found waits as a report until a steward
accepts it, which queues it again, or discards it):

    queued -> running
    queued -> paused
    queued -> cancelled
    queued -> failed
    running -> reported
    running -> done
    running -> paused
    running -> cancelled
    running -> failed
    reported -> queued
    reported -> discarded
    paused -> queued
    paused -> cancelled
    failed -> queued
    failed -> cancelled

A DOI (reserved for a draft; pending while DataCite is to be told something; failed when DataCite refused it):

    reserved -> pending
    pending -> registered
    pending -> failed
    failed -> pending
    registered -> pending

The record of a dataset in a Globus Search index (sent when Search took it as a task, told when that task is done; failed when Search
refused it; what was never sent needs no removal):

    pending -> sent
    pending -> told
    pending -> failed
    sent -> pending
    sent -> told
    sent -> failed
    told -> pending
    failed -> pending

A harvest of another archive (a killed worker leaves it running, and the next claim asks for the page that was not finished; what has ended
is queued again by a person or by the calendar):

    queued -> running
    queued -> paused
    queued -> cancelled
    queued -> failed
    running -> paused
    running -> cancelled
    running -> failed
    running -> done
    paused -> queued
    paused -> cancelled
    failed -> queued
    done -> queued
    cancelled -> queued

A test compares these drawings with `VERSION_MOVES`, `SCAN_MOVES`, `DOI_MOVES`, `PUSH_MOVES` and `HARVEST_MOVES`.
"""

from collections.abc import Mapping

from django.db.models import TextChoices


class VersionStatus(TextChoices):
    DRAFT = "draft", "Draft"
    REVIEW = "review", "In review"
    PUBLISHED = "published", "Published"
    SUPERSEDED = "superseded", "Superseded"
    WITHDRAWN = "withdrawn", "Withdrawn"
    DISCARDED = "discarded", "Discarded"


class ScanStatus(TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    REPORTED = "reported", "To be accepted"
    DONE = "done", "Done"
    DISCARDED = "discarded", "Discarded"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


class DoiStatus(TextChoices):
    RESERVED = "reserved", "Reserved"
    PENDING = "pending", "Being registered"
    REGISTERED = "registered", "Registered"
    FAILED = "failed", "Refused"


class PushStatus(TextChoices):
    PENDING = "pending", "Waiting"
    SENT = "sent", "Sent"
    TOLD = "told", "Up to date"
    FAILED = "failed", "Refused"


class HarvestStatus(TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


Moves = Mapping[str, frozenset[str]]

VERSION_MOVES: Moves = {
    VersionStatus.DRAFT: frozenset({VersionStatus.REVIEW, VersionStatus.PUBLISHED, VersionStatus.DISCARDED}),
    VersionStatus.REVIEW: frozenset({VersionStatus.DRAFT, VersionStatus.PUBLISHED}),
    VersionStatus.PUBLISHED: frozenset({VersionStatus.SUPERSEDED, VersionStatus.WITHDRAWN}),
    VersionStatus.SUPERSEDED: frozenset({VersionStatus.WITHDRAWN}),
    VersionStatus.WITHDRAWN: frozenset(),
    VersionStatus.DISCARDED: frozenset({VersionStatus.DRAFT}),
}

SCAN_MOVES: Moves = {
    ScanStatus.QUEUED: frozenset({ScanStatus.RUNNING, ScanStatus.PAUSED, ScanStatus.CANCELLED, ScanStatus.FAILED}),
    ScanStatus.RUNNING: frozenset({ScanStatus.REPORTED, ScanStatus.DONE, ScanStatus.PAUSED, ScanStatus.CANCELLED, ScanStatus.FAILED}),
    ScanStatus.REPORTED: frozenset({ScanStatus.QUEUED, ScanStatus.DISCARDED}),
    ScanStatus.PAUSED: frozenset({ScanStatus.QUEUED, ScanStatus.CANCELLED}),
    ScanStatus.DONE: frozenset(),
    ScanStatus.DISCARDED: frozenset(),
    ScanStatus.CANCELLED: frozenset(),
    ScanStatus.FAILED: frozenset({ScanStatus.QUEUED, ScanStatus.CANCELLED}),
}

DOI_MOVES: Moves = {
    DoiStatus.RESERVED: frozenset({DoiStatus.PENDING}),
    DoiStatus.PENDING: frozenset({DoiStatus.REGISTERED, DoiStatus.FAILED}),
    DoiStatus.REGISTERED: frozenset({DoiStatus.PENDING}),
    DoiStatus.FAILED: frozenset({DoiStatus.PENDING}),
}

PUSH_MOVES: Moves = {
    PushStatus.PENDING: frozenset({PushStatus.SENT, PushStatus.TOLD, PushStatus.FAILED}),
    PushStatus.SENT: frozenset({PushStatus.PENDING, PushStatus.TOLD, PushStatus.FAILED}),
    PushStatus.TOLD: frozenset({PushStatus.PENDING}),
    PushStatus.FAILED: frozenset({PushStatus.PENDING}),
}

VERSION_OPEN = frozenset({VersionStatus.DRAFT, VersionStatus.REVIEW})
SCAN_WORKING = frozenset({ScanStatus.QUEUED, ScanStatus.RUNNING})
"""Those that a worker has, or will have by itself."""
SCAN_OPEN = SCAN_WORKING | {ScanStatus.PAUSED, ScanStatus.REPORTED}
PUSH_WORKING = frozenset({PushStatus.PENDING, PushStatus.SENT})

HARVEST_MOVES: Moves = {
    HarvestStatus.QUEUED: frozenset({HarvestStatus.RUNNING, HarvestStatus.PAUSED, HarvestStatus.CANCELLED, HarvestStatus.FAILED}),
    HarvestStatus.RUNNING: frozenset({HarvestStatus.PAUSED, HarvestStatus.CANCELLED, HarvestStatus.FAILED, HarvestStatus.DONE}),
    HarvestStatus.PAUSED: frozenset({HarvestStatus.QUEUED, HarvestStatus.CANCELLED}),
    HarvestStatus.FAILED: frozenset({HarvestStatus.QUEUED}),
    HarvestStatus.DONE: frozenset({HarvestStatus.QUEUED}),
    HarvestStatus.CANCELLED: frozenset({HarvestStatus.QUEUED}),
}
HARVEST_WORKING = frozenset({HarvestStatus.QUEUED, HarvestStatus.RUNNING})
HARVEST_OPEN = HARVEST_WORKING | {HarvestStatus.PAUSED}
