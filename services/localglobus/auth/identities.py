"""Identities, the providers they come from, and how they are linked.

An account is a set of linked identities, named after its primary one. Sign-in with any of them acts as the primary; authorisation
considers the whole set. Clients are identities too: `<client id>@clients.auth.globus.org`.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from services.localglobus.store import Connection, Row

SCHEMA = """
create table if not exists identity_provider (
    id text primary key,
    name text not null,
    short_name text not null,
    domains text not null               -- separated by spaces
);
create table if not exists identity (
    id text primary key,
    username text not null unique collate nocase,
    name text,
    email text,
    organization text,
    provider_id text not null references identity_provider(id),
    account_id text not null,           -- the primary identity of its account
    status text not null default 'used',
    kind text not null default 'login', -- or 'service'
    last_signed_in_at integer
);
create index if not exists identity_account on identity (account_id);
create view if not exists person as
    select identity.*, identity_provider.name as provider_name
    from identity join identity_provider on identity_provider.id = identity.provider_id;
"""

CLIENT_DOMAIN = "clients.auth.globus.org"
NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")


def provider_for(connection: Connection, domain: str) -> str:
    """Id of the provider of that domain, made when there is none yet: its id follows from the domain."""
    rows = connection.execute("select id, domains from identity_provider").fetchall()
    for row in rows:
        if domain in row["domains"].split():
            return str(row["id"])
    return register_provider(connection, name=domain, domains=[domain])


def register_provider(connection: Connection, *, name: str, domains: Sequence[str]) -> str:
    """Make or update an identity provider, named after its first domain. Safe to repeat."""
    provider_id = str(uuid.uuid5(NAMESPACE, f"provider:{domains[0]}"))
    connection.execute(
        "insert into identity_provider (id, name, short_name, domains) values (?, ?, ?, ?)"
        " on conflict (id) do update set name = excluded.name, domains = excluded.domains",
        (provider_id, name, domains[0].split(".")[0], " ".join(domains)),
    )
    return provider_id


def create(
    connection: Connection,
    *,
    identity_id: str,
    username: str,
    name: str | None = None,
    email: str | None = None,
    organization: str | None = None,
    account_id: str | None = None,
    status: str = "used",
    kind: str = "login",
) -> str:
    """Make or update an identity; `account_id` links it to another one. Safe to repeat."""
    provider_id = provider_for(connection, username.rpartition("@")[2])
    connection.execute(
        "insert into identity (id, username, name, email, organization, provider_id, account_id, status, kind)"
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do update set name = excluded.name, email = excluded.email,"
        " organization = excluded.organization, account_id = excluded.account_id",
        (identity_id, username, name, email, organization, provider_id, account_id or identity_id, status, kind),
    )
    return identity_id


def provision(connection: Connection, username: str) -> Row | None:
    """The identity of that name, made as `unused` when nobody has it yet; None when it is not a user name at all."""
    found = find_by_username(connection, username)
    local, at, domain = username.partition("@")
    if found is None and at and local and "." in domain:
        create(connection, identity_id=str(uuid.uuid4()), username=username.lower(), status="unused")
        found = find_by_username(connection, username)
    return found


def get(connection: Connection, identity_id: str) -> Row | None:
    row: Row | None = connection.execute("select * from person where id = ?", (identity_id,)).fetchone()
    return row


def find_by_username(connection: Connection, username: str) -> Row | None:
    row: Row | None = connection.execute("select * from person where username = ?", (username,)).fetchone()
    return row


def linked(connection: Connection, identity_id: str) -> list[Row]:
    """The whole set of an identity, the primary first."""
    return connection.execute(
        "select * from person where account_id = (select account_id from identity where id = ?) order by id <> account_id, username",
        (identity_id,),
    ).fetchall()


def list_people(connection: Connection) -> list[Row]:
    """Everyone who can sign in on the page, an account's identities side by side."""
    return connection.execute(
        "select person.* from person join identity as main on main.id = person.account_id"
        " where person.kind = 'login' and person.status = 'used' order by main.username, person.id <> person.account_id"
    ).fetchall()


def describe(row: Row) -> dict[str, Any]:
    """The identity document of the Auth API."""
    return {
        "id": row["id"],
        "username": row["username"],
        "name": row["name"],
        "email": row["email"],
        "organization": row["organization"],
        "status": row["status"],
        "identity_provider": row["provider_id"],
        "identity_type": row["kind"],
    }


def describe_provider(row: Row) -> dict[str, Any]:
    """The identity provider document of the Auth API."""
    return {
        "id": row["id"],
        "name": row["name"],
        "short_name": row["short_name"],
        "alternative_names": [],
        "domains": row["domains"].split(),
    }
