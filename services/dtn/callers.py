"""Whom a request for a file comes from: a bearer token, a browser's session, a pull ticket, or nobody."""

from dataclasses import dataclass

from starlette.requests import Request

from services.dtn.errors import SessionNeededError, UnauthorizedError
from services.dtn.node import Collection, Node
from services.dtn.rights import Access, AccessBook, Guard
from services.dtn.signing_in import Sessions


@dataclass(frozen=True)
class Caller:
    kind: str  # "bearer" | "session" | "ticket" | "anonymous"
    credential: str | None
    access: Access


async def identify(request: Request, node: Node, sessions: Sessions, collection: Collection, *, path: str) -> Caller:
    """Return who asks and what she may do here. A token is taken from the Authorization field only, never from the URL.

    An answer that refuses `path` is not taken from what is kept: a rule that was added a moment ago counts at once.
    A browser's session counts for GET and HEAD alone, so that no foreign page can make a browser write.
    Raises UnauthorizedError for a token or ticket that is not good here, SessionNeededError where the sign-in behind it is not enough,
    UnavailableError when control does not answer.
    """
    kind, credential = _credential(request, sessions, collection)
    access = await _book(node, kind).get(collection.id, credential, wanted=path)
    if access.session and not access.may_see(path, is_folder=True):
        raise SessionNeededError(access.session)
    if access.is_active or kind == "anonymous":
        return Caller(kind, credential, access)
    if kind == "session":
        sessions.forget_token(request, collection.id)
        return Caller("anonymous", None, await node.tokens.get(collection.id, None, wanted=path))
    raise UnauthorizedError("The token is not known, has ended, or is not for this collection.")


def _credential(request: Request, sessions: Sessions, collection: Collection) -> tuple[str, str | None]:
    scheme, _, value = request.headers.get("authorization", "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() in {"bearer", "ticket"} and value:
        return scheme.lower(), value
    if scheme:
        raise UnauthorizedError("Only bearer tokens are taken here.")
    if request.method in {"GET", "HEAD"}:
        token = sessions.token(request, collection.id)
        if token is not None:
            return "session", token
    return "anonymous", None


def guard_for(node: Node, caller: Caller, collection: Collection, *, paths: tuple[str, ...], writes: bool = False) -> Guard:
    return Guard(_book(node, caller.kind), collection.id, caller.credential, paths=paths, writes=writes, asked_at=caller.access.asked_at)


def _book(node: Node, kind: str) -> AccessBook:
    return node.tickets if kind == "ticket" else node.tokens
