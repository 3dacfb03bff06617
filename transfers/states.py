"""The states of a data request and the moves between them.

A *share* is a folder with an access rule for one person, for a while:

    Share:
    QUEUED -> STAGING -> COPYING -> GRANTING -> NOTIFYING -> OPEN -> EXPIRING -> EXPIRED
    STAGING, COPYING, GRANTING -> FAILED -> QUEUED
    QUEUED, STAGING, COPYING, GRANTING, NOTIFYING, FAILED -> CANCELLING -> CANCELLED

A *transfer* sends files to the person's own collection, with her own token:

    Transfer:
    QUEUED -> SENDING -> SENT
    QUEUED, SENDING -> FAILED -> QUEUED
    QUEUED, SENDING -> NEEDS_SIGN_IN -> QUEUED
    QUEUED, SENDING, NEEDS_SIGN_IN, FAILED -> CANCELLING -> CANCELLED

A test compares these drawings with `MOVES`. The only writer of a status is `move_to` (`datasets.models.moving`).
"""

from django.db.models import TextChoices

from datasets.states import Moves


class Kind(TextChoices):
    SHARE = "share", "Share"
    TRANSFER = "transfer", "Transfer"


class Variant(TextChoices):
    """How a share is granted: a folder and a rule in the common collection, or a guest collection of its own."""

    FOLDER = "folder", "Folder in the share collection"
    COLLECTION = "collection", "Collection of its own"


class Status(TextChoices):
    QUEUED = "queued", "Waiting to start"
    STAGING = "staging", "Preparing the folder"
    COPYING = "copying", "Copying"
    GRANTING = "granting", "Checking the copy and giving access"
    NOTIFYING = "notifying", "Sending the mail"
    OPEN = "open", "Ready to download"
    EXPIRING = "expiring", "Being removed"
    EXPIRED = "expired", "Expired"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    NEEDS_SIGN_IN = "needs-sign-in", "Needs your permission"
    FAILED = "failed", "Failed"
    CANCELLING = "cancelling", "Being cancelled"
    CANCELLED = "cancelled", "Cancelled"


class TaskKind(TextChoices):
    COPY = "copy", "Copy"
    DELETE = "delete", "Delete"


class TaskStatus(TextChoices):
    """PREPARED has a submission id and no task id yet; the others follow the Globus task."""

    PREPARED = "prepared", "Not submitted yet"
    ACTIVE = "active", "Running"
    SUCCEEDED = "succeeded", "Finished"
    FAILED = "failed", "Failed"


S = Status

MOVES: dict[str, Moves] = {
    Kind.SHARE: {
        S.QUEUED: frozenset({S.STAGING, S.CANCELLING}),
        S.STAGING: frozenset({S.COPYING, S.FAILED, S.CANCELLING}),
        S.COPYING: frozenset({S.GRANTING, S.FAILED, S.CANCELLING}),
        S.GRANTING: frozenset({S.NOTIFYING, S.FAILED, S.CANCELLING}),
        S.NOTIFYING: frozenset({S.OPEN, S.CANCELLING}),
        S.OPEN: frozenset({S.EXPIRING}),
        S.EXPIRING: frozenset({S.EXPIRED}),
        S.FAILED: frozenset({S.QUEUED, S.CANCELLING}),
        S.CANCELLING: frozenset({S.CANCELLED}),
        S.EXPIRED: frozenset(),
        S.CANCELLED: frozenset(),
    },
    Kind.TRANSFER: {
        S.QUEUED: frozenset({S.SENDING, S.FAILED, S.NEEDS_SIGN_IN, S.CANCELLING}),
        S.SENDING: frozenset({S.SENT, S.FAILED, S.NEEDS_SIGN_IN, S.CANCELLING}),
        S.NEEDS_SIGN_IN: frozenset({S.QUEUED, S.CANCELLING}),
        S.FAILED: frozenset({S.QUEUED, S.CANCELLING}),
        S.CANCELLING: frozenset({S.CANCELLED}),
        S.SENT: frozenset(),
        S.CANCELLED: frozenset(),
    },
}

# Work that a worker does next without anybody asking.
WORKING = frozenset({S.QUEUED, S.STAGING, S.COPYING, S.GRANTING, S.NOTIFYING, S.EXPIRING, S.SENDING, S.CANCELLING})
# A second request for the same files to the same place is the same request while the first is in one of these.
LIVE = frozenset({S.QUEUED, S.STAGING, S.COPYING, S.GRANTING, S.NOTIFYING, S.OPEN, S.SENDING, S.NEEDS_SIGN_IN})
FINISHED = frozenset({S.EXPIRED, S.SENT, S.CANCELLED})
# The access rule of a share is in force.
GRANTED = frozenset({S.NOTIFYING, S.OPEN})
