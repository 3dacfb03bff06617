"""What a node refuses or cannot do, in the codes that Globus clients know. `app.py` alone turns these into answers.

NodeError
├── InvalidPathError      400  the path is not one of a collection's
├── BadRequestError       400  the question is not understood
├── NotDirectoryError     400  a folder was asked for
├── IsDirectoryError      400  a file was asked for
├── UnauthorizedError     401  no token, or one that is not good here
├── ForbiddenError        403  the rules or the disk say no
│   └── SessionNeededError     what was shown at sign-in is not enough for this collection
├── MissingError          404  nothing there
├── ExistsError           409  something is there already
├── ChangedError          412  the file is no longer the one that was asked for
├── UnavailableError      503  control does not answer
└── NoSpaceError          507  the disk is full
"""

import errno
from collections.abc import Mapping
from typing import Any


class NodeError(Exception):
    code = "ClientError"
    http_status = 400

    def __init__(self, message: str, *, code: str | None = None, http_status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.http_status = http_status or type(self).http_status


class InvalidPathError(NodeError):
    code = "InvalidPath"


class BadRequestError(NodeError):
    code = "BadRequest"


class NotDirectoryError(NodeError):
    code = "ExternalError.DirListingFailed.NotDirectory"


class IsDirectoryError(NodeError):
    code = "IsDirectory"


class UnauthorizedError(NodeError):
    code = "AuthenticationFailed"
    http_status = 401


class ForbiddenError(NodeError):
    code = "EndpointPermissionDenied"
    http_status = 403


class SessionNeededError(ForbiddenError):
    """`parameters` say what the person has to show anew: `session_required_identities` and so on, as control gave them."""

    code = "AuthorizationRequired"

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        super().__init__(str(parameters.get("session_message") or "Sign in anew to reach this collection."))
        self.parameters = parameters


class MissingError(NodeError):
    code = "ClientError.NotFound"
    http_status = 404


class ExistsError(NodeError):
    code = "ExternalError.MkdirFailed.Exists"
    http_status = 409


class ChangedError(NodeError):
    code = "FileChanged"
    http_status = 412


class UnavailableError(NodeError):
    code = "ServiceUnavailable"
    http_status = 503


class NoSpaceError(NodeError):
    code = "ExternalError.NoSpace"
    http_status = 507


def from_os_error(error: OSError, *, path: str) -> NodeError:
    """Say what the disk said about `path` (a path of the collection; the host's own folders are never named)."""
    match error.errno:
        case errno.ENOENT:
            return MissingError(f"Nothing is at {path}.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return ForbiddenError(f"The data host does not permit this at {path}.")
        case errno.ENOTDIR:
            return NotDirectoryError(f"{path} is not a folder.")
        case errno.EISDIR:
            return IsDirectoryError(f"{path} is a folder.")
        case errno.EEXIST | errno.ENOTEMPTY:
            return ExistsError(f"Something is already at {path}.")
        case errno.ENOSPC | errno.EDQUOT:
            return NoSpaceError(f"No space is left for {path}.")
        case errno.ENAMETOOLONG | errno.ELOOP | errno.EINVAL:
            return InvalidPathError(f"{path} cannot be a path here.")
        case _:
            return NodeError(f"{path}: {error.strerror}", code="EndpointError", http_status=502)
