"""The states of an access request and the moves between them.

    Access:
    WAITING -> GRANTED, DENIED, WITHDRAWN
    GRANTED -> RENEWING, ENDED
    RENEWING -> GRANTED, WAITING, ENDED

Access lasts while GRANTED and while RENEWING: she asked for more time before the end. When its time is over and nobody has decided on that
yet, the request waits on as WAITING, without access. A test compares this drawing with `ACCESS_MOVES`. The only writer of a status is
`move_to` (`datasets.models.moving`).
"""

from django.db.models import TextChoices

from datasets.states import Moves


class AccessStatus(TextChoices):
    WAITING = "waiting", "Waiting for a steward"
    GRANTED = "granted", "Access given"
    RENEWING = "renewing", "Access given, more time asked"
    DENIED = "denied", "Denied"
    WITHDRAWN = "withdrawn", "Withdrawn"
    ENDED = "ended", "Ended"


class Act(TextChoices):
    """What brought a request where it is; somebody is told of most of them."""

    ASKED = "asked", "Asked for access"
    APPROVED = "approved", "Approved"
    DENIED = "denied", "Denied"
    WITHDRAWN = "withdrawn", "Withdrawn"
    RENEWAL_ASKED = "renewal-asked", "Asked for more time"
    RENEWAL_DENIED = "renewal-denied", "More time denied"
    RENEWAL_WITHDRAWN = "renewal-withdrawn", "Asked for no more time after all"
    ENDED = "ended", "Its time is over"
    TAKEN_BACK = "taken-back", "A steward took the access back"
    GIVEN_BACK = "given-back", "Gave the access back"


S = AccessStatus

ACCESS_MOVES: Moves = {
    S.WAITING: frozenset({S.GRANTED, S.DENIED, S.WITHDRAWN}),
    S.GRANTED: frozenset({S.RENEWING, S.ENDED}),
    S.RENEWING: frozenset({S.GRANTED, S.WAITING, S.ENDED}),
    S.DENIED: frozenset(),
    S.WITHDRAWN: frozenset(),
    S.ENDED: frozenset(),
}

# A worker does the next step at once: somebody is to be told.
ACCESS_WORKING = frozenset(AccessStatus.values)
# One of these at a time for a person and a dataset.
ACCESS_OPEN = frozenset({S.WAITING, S.GRANTED, S.RENEWING})
# A steward is to decide.
ACCESS_UNDECIDED = frozenset({S.WAITING, S.RENEWING})
# Her grant is in force.
ACCESS_IN_FORCE = frozenset({S.GRANTED, S.RENEWING})
