"""What the admin page shows of Auth and Groups: identities, sessions, groups, consents, tokens."""

from __future__ import annotations

import json
import time as clock

from services.localglobus.store import Connection
from services.localglobus.webapp.debugging import HASH_LENGTH, MOST, moment, named, names
from services.localglobus.webapp.tables import Button, Cell, Table, acts, code, number, state, text


def identities_table(db: Connection) -> Table:
    known, rows = names(db), []
    query = "select * from person where kind = 'login' order by account_id, id <> account_id, username limit ?"
    for row in db.execute(query, (MOST,)):
        linked = Cell(words="primary") if row["id"] == row["account_id"] else Cell(words=f"linked to {known.get(row['account_id'])}")
        rows.append(
            (
                text(row["username"], note=row["id"]),
                text(row["name"]),
                text(row["email"]),
                text(row["provider_name"]),
                linked,
                text(row["status"]),
                moment(row["last_signed_in_at"]),
            )
        )
    columns = ("Identity", "Name", "E-mail", "Provider", "Account", "Status", "Last signed in (UTC)")
    return Table(title="Identities", columns=columns, rows=rows)


def clients_table(db: Connection) -> Table:
    rows = [
        (
            text(row["name"], note=row["id"]),
            text("public" if row["is_public"] else "confidential"),
            code("\n".join(json.loads(row["redirect_uris"]))),
            moment(row["created_at"]),
        )
        for row in db.execute("select * from client order by created_at desc, name limit ?", (MOST,))
    ]
    return Table(title="Clients", columns=("Client", "Kind", "May be sent back to", "Made (UTC)"), rows=rows)


def sessions_table(db: Connection) -> Table:
    """Browsers that are signed in, and with which identities."""
    known, rows = names(db), []
    for row in db.execute("select * from session where expires_at > ? order by expires_at desc limit ?", (clock.time(), MOST)):
        shown = db.execute("select identity_id, methods from authentication where session_id = ?", (row["session_id"],)).fetchall()
        with_words = ", ".join(
            known.get(one["identity_id"], "unknown") + (f" ({one['methods']})" if one["methods"] else "") for one in shown
        )
        button = Button(words="End", act="end-session", fields={"session": row["session_id"]}, is_grave=True)
        rows.append((code(row["session_id"]), named(known, row["identity_id"]), text(with_words), moment(row["expires_at"]), acts(button)))
    columns = ("Session", "Acts as", "Signed in with", "Until (UTC)", "")
    return Table(title="Sessions", columns=columns, rows=rows, empty="Nobody is signed in.")


def groups_tables(db: Connection) -> list[Table]:
    """One table for each group."""
    tables = []
    for group in db.execute('select * from "group" order by name limit ?', (MOST,)).fetchall():
        rows = [
            (text(row["username"], note=row["identity_id"]), text(row["role"]), text(row["status"]))
            for row in db.execute(
                "select membership.*, username from membership join identity on id = identity_id where group_id = ? order by username",
                (group["id"],),
            )
        ]
        note = f"{group['id']} · seen by {group['visibility']} · members seen by {group['members_visibility']}"
        tables.append(Table(title=group["name"], columns=("Member", "Role", "Status"), rows=rows, note=note))
    return tables


def consents_table(db: Connection, identity_id: str) -> Table:
    """Consents as the tree that they are: a path of scopes each."""
    known, rows = names(db), []
    query = "select * from consent where ? in ('', identity_id) order by identity_id, client_id, path limit ?"
    for row in db.execute(query, (identity_id, MOST)):
        path = json.loads(row["path"])
        button = Button(words="Withdraw", act="withdraw", fields={"identity": row["identity_id"], "consent": row["id"]}, is_grave=True)
        rows.append(
            (
                number(row["id"]),
                named(known, row["identity_id"]),
                named(known, row["client_id"]),
                code("\n".join("  " * depth + scope for depth, scope in enumerate(path))),
                text("without asking" if row["is_auto_approved"] else "asked", note="while away, too" if row["allows_refresh"] else ""),
                moment(row["updated_at"]),
                acts(button),
            )
        )
    return Table(title="Consents", columns=("No.", "Who", "To which client", "Scope, below what", "How", "Last given (UTC)", ""), rows=rows)


def tokens_table(db: Connection, identity_id: str) -> Table:
    """Tokens, newest first: what they are good for, and the beginning of their hash."""
    known, now, rows = names(db), clock.time(), []
    for row in db.execute("select * from token where ? in ('', identity_id) order by id desc limit ?", (identity_id, MOST)):
        is_live = row["revoked_at"] is None and row["expires_at"] > now
        gone = state("revoked", "failed") if row["revoked_at"] is not None else state("over", "attention")
        shown = state("live", "ok") if is_live else gone
        buttons = [Button(words="Revoke", act="revoke", fields={"token": row["id"]}, is_grave=True)] if is_live else []
        above = json.loads(row["root_path"])
        rows.append(
            (
                number(row["id"]),
                code(row["hash"][:HASH_LENGTH]),
                text("refresh" if row["is_refresh"] else "access", note=f"dependent, below {above[-1]}" if above else ""),
                named(known, row["identity_id"]),
                named(known, row["client_id"]),
                code("\n".join(row["scopes"].split())),
                shown,
                moment(row["expires_at"]),
                acts(*buttons),
            )
        )
    columns = ("No.", "SHA-256 begins", "Kind", "Who", "Client", "Scopes", "State", "Until (UTC)", "")
    return Table(
        title="Tokens", columns=columns, rows=rows, note="A token itself is kept nowhere. “Live” does not say that its consents still hold."
    )
