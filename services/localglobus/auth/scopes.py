"""Scopes: their grammar, the table of those that exist, and who may hang which below which.

    scope := ["*"] name [ "[" scope (" " scope)* "]" ]        "*" marks an optional, atomically revocable dependency

A scope belongs to a resource server, which is a client of its own. Collections bring `https` and `data_access`, endpoints bring
`manage_collections`: `register_collection` and `register_endpoint` put them in when the transfer side makes one.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.localglobus.errors import OAuthError
from services.localglobus.store import Connection, Row

SCHEMA = """
create table if not exists resource_server (
    name text primary key,              -- an address such as transfer.api.globus.org, or the client id
    client_id text not null,
    title text not null
);
create table if not exists scope (
    id text primary key,
    name text not null unique,
    resource_server text not null references resource_server(name) on delete cascade,
    title text not null
);
create table if not exists scope_dependency (
    scope text not null references scope(name) on delete cascade,
    dependency text not null,
    is_optional integer not null,
    primary key (scope, dependency)
);
"""

AUTH_SERVER = "auth.globus.org"
VIEW_IDENTITY_SET = "urn:globus:auth:scope:auth.globus.org:view_identity_set"
TRANSFER_ALL = "urn:globus:auth:scope:transfer.api.globus.org:all"
GROUPS_ALL = "urn:globus:auth:scope:groups.api.globus.org:all"
VIEW_MY_GROUPS = "urn:globus:auth:scope:groups.api.globus.org:view_my_groups_and_memberships"
URL_PREFIX = "https://auth.globus.org/scopes/"
MANAGE_COLLECTIONS = re.compile(r"urn:globus:auth:scope:([0-9a-f-]{36}):manage_collections")
NAME = re.compile(r"[^\s\[\]*]+")
MAX_LENGTH = 64 * 1024
MAX_DEPTH = 20


@dataclass(frozen=True)
class Scope:
    """One node of what was asked for, with what hangs below it."""

    name: str
    is_optional: bool = False
    dependencies: tuple["Scope", ...] = ()

    def __str__(self) -> str:
        inner = f"[{' '.join(map(str, self.dependencies))}]" if self.dependencies else ""
        return f"{'*' if self.is_optional else ''}{self.name}{inner}"


Path = tuple[str, ...]
"""Scope names from the top one down: `("urn:...:all", "https://.../data_access")`."""


def parse(text: str) -> tuple[Scope, ...]:
    """The scopes in `text`, duplicates merged (clients send `a a[*b]`). Raises OAuthError invalid_scope for what is not the grammar."""
    if len(text) > MAX_LENGTH:
        raise OAuthError("invalid_scope", "the scope string is too long")
    tokens = re.findall(r"[\[\]*]|[^\s\[\]*]+", text)
    position, found = _parse_list(tokens, 0, depth=0)
    if position != len(tokens):
        raise OAuthError("invalid_scope", f"unexpected {tokens[position]!r} in the scope string")
    return found


def _parse_list(tokens: Sequence[str], position: int, *, depth: int) -> tuple[int, tuple[Scope, ...]]:
    if depth > MAX_DEPTH:
        raise OAuthError("invalid_scope", "scopes are nested too deep")
    found: list[Scope] = []
    while position < len(tokens) and tokens[position] != "]":
        is_optional = tokens[position] == "*"
        position += is_optional
        if position >= len(tokens) or not NAME.fullmatch(tokens[position]):
            raise OAuthError("invalid_scope", "a scope name is missing in the scope string")
        name = tokens[position]
        dependencies: tuple[Scope, ...] = ()
        position += 1
        if position < len(tokens) and tokens[position] == "[":
            position, dependencies = _parse_list(tokens, position + 1, depth=depth + 1)
            if position >= len(tokens) or not dependencies:
                raise OAuthError("invalid_scope", "brackets in the scope string are empty or not closed")
            position += 1
        found.append(Scope(name, is_optional, dependencies))
    return position, merge(found)


def merge(found: Iterable[Scope]) -> tuple[Scope, ...]:
    """One node per name, in the order of first mention; a required mention wins over an optional one."""
    merged: dict[str, Scope] = {}
    for scope in found:
        known = merged.get(scope.name)
        if known is None:
            merged[scope.name] = scope
        else:
            merged[scope.name] = Scope(
                scope.name, known.is_optional and scope.is_optional, merge((*known.dependencies, *scope.dependencies))
            )
    return tuple(merged.values())


def walk(found: Iterable[Scope], above: Path = ()) -> Iterator[tuple[Path, Scope]]:
    """Each node with its path, parents first."""
    for scope in found:
        path = (*above, scope.name)
        yield path, scope
        yield from walk(scope.dependencies, path)


def resolve(connection: Connection, text: str) -> tuple[Scope, ...]:
    """What a client asks for by `text`: parsed, every scope known, every dependency allowed, required dependencies added.

    Raises OAuthError invalid_scope otherwise.
    """
    found = parse(text)
    if not found:
        raise OAuthError("invalid_scope", "no scope was asked for")
    for scope in found:
        if scope.is_optional:
            raise OAuthError("invalid_scope", f"{scope.name}: only a dependency can be optional")
    return tuple(_complete(connection, scope, above=()) for scope in found)


def _complete(connection: Connection, scope: Scope, *, above: Path) -> Scope:
    if not get(connection, scope.name):
        raise OAuthError("invalid_scope", f"unknown scope {scope.name}")
    if above and not _may_depend(connection, above[-1], scope.name):
        raise OAuthError("invalid_scope", f"{scope.name} is not a dependency of {above[-1]}")
    if scope.name in above:
        raise OAuthError("invalid_scope", f"{scope.name} depends on itself")
    rows = connection.execute("select dependency from scope_dependency where scope = ? and not is_optional", (scope.name,))
    required = [Scope(row["dependency"]) for row in rows]
    path = (*above, scope.name)
    below = tuple(_complete(connection, dependency, above=path) for dependency in merge((*scope.dependencies, *required)))
    return Scope(scope.name, scope.is_optional, below)


def _may_depend(connection: Connection, parent: str, child: str) -> bool:
    """Declared in the table, or the one dependency that Globus lets clients add as they go: data access to a mapped collection."""
    if child.endswith("/data_access"):
        return parent == TRANSFER_ALL or bool(MANAGE_COLLECTIONS.fullmatch(parent)) or parent.endswith("/https")
    row = connection.execute("select 1 from scope_dependency where scope = ? and dependency = ?", (parent, child)).fetchone()
    return row is not None


def get(connection: Connection, name: str) -> Row | None:
    """The scope of that name with its resource server's `client_id` and `server_title`, or None."""
    row: Row | None = connection.execute(
        "select scope.*, resource_server.client_id, resource_server.title as server_title"
        " from scope join resource_server on resource_server.name = scope.resource_server where scope.name = ?",
        (name,),
    ).fetchone()
    return row


def servers_of(connection: Connection, client_id: str) -> list[str]:
    """Names of the resource servers that a client is."""
    return [row["name"] for row in connection.execute("select name from resource_server where client_id = ?", (client_id,))]


def register_resource_server(connection: Connection, name: str, *, client_id: str, title: str, scopes: dict[str, str]) -> None:
    """Make or update a resource server and its `scopes` (name: what it allows, in words). Safe to repeat."""
    connection.execute(
        "insert into resource_server (name, client_id, title) values (?, ?, ?)"
        " on conflict (name) do update set client_id = excluded.client_id, title = excluded.title",
        (name, client_id, title),
    )
    for scope, words in scopes.items():
        connection.execute(
            "insert into scope (id, name, resource_server, title) values (?, ?, ?, ?)"
            " on conflict (name) do update set resource_server = excluded.resource_server, title = excluded.title",
            (str(uuid.uuid4()), scope, name, words),
        )


def declare_dependency(connection: Connection, scope: str, dependency: str, *, is_optional: bool) -> None:
    """Say that the service behind `scope` calls the one behind `dependency` for its users. Safe to repeat."""
    connection.execute(
        "insert into scope_dependency (scope, dependency, is_optional) values (?, ?, ?)"
        " on conflict (scope, dependency) do update set is_optional = excluded.is_optional",
        (scope, dependency, is_optional),
    )


def register_endpoint(connection: Connection, endpoint_id: str, *, title: str) -> None:
    """The resource server of a Globus Connect Server endpoint: `manage_collections`. Safe to repeat."""
    words = f"Manage the collections of {title}"
    register_resource_server(connection, endpoint_id, client_id=endpoint_id, title=title, scopes={manage_collections(endpoint_id): words})


def register_collection(connection: Connection, collection_id: str, *, title: str, is_mapped: bool) -> None:
    """The resource server of a collection: `https`, and `data_access` where it is mapped. Safe to repeat."""
    found = {https(collection_id): f"Read and write the files of {title} over HTTPS"}
    if is_mapped:
        found[data_access(collection_id)] = f"Reach the files of {title} on your behalf"
    register_resource_server(connection, collection_id, client_id=collection_id, title=title, scopes=found)


def remove_resource_server(connection: Connection, name: str) -> None:
    """Forget it with its scopes; tokens for it are dead from then on. Safe to repeat."""
    connection.execute("delete from resource_server where name = ?", (name,))


def https(collection_id: str) -> str:
    return f"{URL_PREFIX}{collection_id}/https"


def data_access(collection_id: str) -> str:
    return f"{URL_PREFIX}{collection_id}/data_access"


def manage_collections(endpoint_id: str) -> str:
    return f"urn:globus:auth:scope:{endpoint_id}:manage_collections"
