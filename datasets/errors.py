"""Every way in which the portal says no, as one tree; `portal.errors` alone turns it into problem+json or a page.

    RefusedError                 400 refused
    |- InvalidError              400 invalid           the fields that are wrong, in `fields`
    |  `- ClosedAddressError     400 closed-address    an address that is not called, now or later
    |- ForbiddenError            403 forbidden         you may see it, but not do this
    |  |- SignInFirstError       401 sign-in-first     nobody is signed in
    |  `- AssuranceNeededError   403 assurance-needed  sign in with a second factor, lately
    |- NotFoundError             404 not-found         not there, or not for you to see
    |- ConflictError             409 conflict          it is not in a state that allows this
    |  |- IllegalMoveError       409 illegal-move      no arrow in the state drawing
    |  |- StaleStateError        409 stale-state       somebody else moved it first: read again
    |  |- BeingEditedError       409 being-edited      somebody else holds the edit lock: wait, or take it over
    |  |- ChangedMeanwhileError  412 changed-meanwhile  what was read is not what is there: read again
    |  |- NotReadyError          409 not-ready         what is missing, all of it, in `fields`
    |  `- TermsNeededError       409 terms-needed      accept the terms of the datasets in `terms` first
    `- UnavailableError          503 unavailable       try again later

`transfers.errors` extends the tree. `NotClaimedError` stands outside it: it never leaves the workers.
"""

from collections.abc import Mapping, Sequence


class RefusedError(Exception):
    """A request that the portal declines, with words for the person who asked."""

    code = "refused"
    http_status = 400
    message = "This cannot be done."

    def __init__(self, detail: str = "", *, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        self.detail = detail or self.message
        self.fields: dict[str, list[str]] = {name: list(words) for name, words in (fields or {}).items()}
        super().__init__(self.detail)


class InvalidError(RefusedError):
    code = "invalid"
    http_status = 400
    message = "Something in the request is not valid."


class ClosedAddressError(InvalidError):
    code = "closed-address"
    message = "This address is not called from here."


class ForbiddenError(RefusedError):
    code = "forbidden"
    http_status = 403
    message = "You may not do this."


class SignInFirstError(ForbiddenError):
    code = "sign-in-first"
    http_status = 401
    message = "Sign in first."


class AssuranceNeededError(ForbiddenError):
    code = "assurance-needed"
    message = "This needs a sign-in with a second factor, not long ago."


class NotFoundError(RefusedError):
    code = "not-found"
    http_status = 404
    message = "There is nothing here, or nothing that you may see."


class ConflictError(RefusedError):
    code = "conflict"
    http_status = 409
    message = "Its present state does not allow this."


class IllegalMoveError(ConflictError):
    code = "illegal-move"

    def __init__(self, old: str, new: str) -> None:
        super().__init__(f"What is {old} cannot become {new}.")


class StaleStateError(ConflictError):
    code = "stale-state"
    message = "Somebody else changed this at the same moment. Read it again."


class BeingEditedError(ConflictError):
    code = "being-edited"
    message = "Somebody else is editing this."


class ChangedMeanwhileError(ConflictError):
    code = "changed-meanwhile"
    http_status = 412
    message = "This was changed since you read it."


class NotReadyError(ConflictError):
    code = "not-ready"
    message = "Some things are missing."


class TermsNeededError(ConflictError):
    code = "terms-needed"
    message = "Read and accept the terms first."

    def __init__(self, detail: str = "", *, terms: Sequence[tuple[str, int]]) -> None:
        """`terms`: the slug of each dataset with the version of its terms."""
        super().__init__(detail, fields={"terms": [f"{slug}: version {number}" for slug, number in terms]})
        self.terms = list(terms)


class UnavailableError(RefusedError):
    code = "unavailable"
    http_status = 503
    message = "This is not available at the moment. Try again later."
    retry_after_s = 0
    """How long whoever is asked wants to be left alone."""


class NotClaimedError(Exception):
    """Another worker is at this step, or the row is already past it. Nothing to do."""
