"""The states of a version and of a scan, and the only moves between them.

A version:

    draft -> review
    draft -> published
    review -> draft
    review -> published
    published -> superseded
    published -> withdrawn
    superseded -> withdrawn

A scan of a collection path (a killed worker leaves it running; the next claim goes on with it):

    queued -> running
    queued -> failed
    running -> done
    running -> failed
    failed -> queued

A test compares these drawings with `VERSION_MOVES` and `SCAN_MOVES`.
"""

from collections.abc import Mapping

from django.db.models import TextChoices


class VersionStatus(TextChoices):
    DRAFT = "draft", "Draft"
    REVIEW = "review", "In review"
    PUBLISHED = "published", "Published"
    SUPERSEDED = "superseded", "Superseded"
    WITHDRAWN = "withdrawn", "Withdrawn"


class ScanStatus(TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


Moves = Mapping[str, frozenset[str]]

VERSION_MOVES: Moves = {
    VersionStatus.DRAFT: frozenset({VersionStatus.REVIEW, VersionStatus.PUBLISHED}),
    VersionStatus.REVIEW: frozenset({VersionStatus.DRAFT, VersionStatus.PUBLISHED}),
    VersionStatus.PUBLISHED: frozenset({VersionStatus.SUPERSEDED, VersionStatus.WITHDRAWN}),
    VersionStatus.SUPERSEDED: frozenset({VersionStatus.WITHDRAWN}),
    VersionStatus.WITHDRAWN: frozenset(),
}

SCAN_MOVES: Moves = {
    ScanStatus.QUEUED: frozenset({ScanStatus.RUNNING, ScanStatus.FAILED}),
    ScanStatus.RUNNING: frozenset({ScanStatus.DONE, ScanStatus.FAILED}),
    ScanStatus.DONE: frozenset(),
    ScanStatus.FAILED: frozenset({ScanStatus.QUEUED}),
}

VERSION_OPEN = frozenset({VersionStatus.DRAFT, VersionStatus.REVIEW})
SCAN_OPEN = frozenset({ScanStatus.QUEUED, ScanStatus.RUNNING})
