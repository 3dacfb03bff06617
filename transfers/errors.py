"""What may be refused here, extending the tree of `datasets.errors`.

    RefusedError
    |- UnavailableError       503
    |  `- GlobusUnavailableError      try again later; `retry_after_s` says when
    |- ConflictError          409
    |  |- DuplicateRequestError       the same request is still live; `request_id` names it
    |  `- BasketChangedError          the basket is not what was reviewed
    |- ForbiddenError         403
    |  |- SignInFirstError
    |  |  `- SignInNeededError  401
    |  |- AssuranceNeededError        as in the catalogue: a second factor
    |  |- ConsentNeededError          ask the person for `required_scopes`
    |  |  `- ReauthenticationNeededError   in a sign-in that shows what `session` names
    |  `- NotYoursError               may be seen, not changed
    `- GlobusRefusedError     502     Globus said no; trying again does not help

`NotClaimedError` never leaves the workers: another worker is at this step.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from datasets.errors import (
    AssuranceNeededError,
    ConflictError,
    ForbiddenError,
    IllegalMoveError,
    InvalidError,
    NotClaimedError,
    NotFoundError,
    RefusedError,
    SignInFirstError,
    StaleStateError,
    TermsNeededError,
    UnavailableError,
)

__all__ = [
    "AssuranceNeededError",
    "BasketChangedError",
    "ConflictError",
    "ConsentNeededError",
    "DuplicateRequestError",
    "ForbiddenError",
    "GlobusRefusedError",
    "GlobusUnavailableError",
    "IllegalMoveError",
    "InvalidError",
    "NotClaimedError",
    "NotFoundError",
    "NotYoursError",
    "ReauthenticationNeededError",
    "RefusedError",
    "SignInNeededError",
    "StaleStateError",
    "TermsNeededError",
]


class GlobusUnavailableError(UnavailableError):
    code = "globus-unavailable"
    http_status = 503
    message = "Globus does not answer at the moment. What you asked for is kept and is tried again."

    def __init__(self, detail: str = "", *, retry_after_s: int = 0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class GlobusRefusedError(RefusedError):
    code = "globus-refused"
    http_status = 502
    message = "Globus refused this."

    def __init__(self, detail: str = "", *, globus_code: str = "", globus_status: int = 0) -> None:
        super().__init__(detail)
        self.globus_code = globus_code
        self.globus_status = globus_status

    @property
    def is_missing(self) -> bool:
        """True when what was named is not there."""
        return self.globus_status == 404 or "NotFound" in self.globus_code


class ConsentNeededError(ForbiddenError):
    code = "consent-needed"
    http_status = 403
    message = "Your permission is needed before Causeway can do this for you."

    def __init__(self, detail: str = "", *, required_scopes: Iterable[str] = (), session: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.required_scopes = list(required_scopes)
        self.session = dict(session or {})


class ReauthenticationNeededError(ConsentNeededError):
    """`session` says what the sign-in must show, in the words of Globus (`session_required_mfa` and so on)."""

    code = "reauthentication-needed"
    message = "This collection asks you to sign in anew before Causeway can go on for you."


class SignInNeededError(SignInFirstError):
    code = "sign-in-needed"
    http_status = 401
    message = "Sign in first."


class NotYoursError(ForbiddenError):
    code = "not-yours"
    message = "Only the person who asked, or an operator, may do this."


class DuplicateRequestError(ConflictError):
    code = "duplicate-request"
    message = "You already asked for exactly these files, and that request is still live."

    def __init__(self, detail: str = "", *, request_id: UUID, url: str) -> None:
        super().__init__(detail or f"See {url}")
        self.request_id = request_id
        self.url = url


class BasketChangedError(ConflictError):
    code = "basket-changed"
    message = "Your basket is not what you reviewed, perhaps because of another tab. Look at it again, then confirm."
