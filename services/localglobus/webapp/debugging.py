"""What the admin page shows of the store and the process: people, groups, collections, nodes, rules, tasks, consents, tokens, calls.

Everything as it is kept, with ids, so that it can be compared with what a program was told. Of tokens, codes and sessions there is only the
beginning of a hash, for nothing else is kept.
"""

from __future__ import annotations

import json
import time as clock
from collections.abc import Collection as Held
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from services.localglobus import recent
from services.localglobus.recent import Call
from services.localglobus.settings import Settings
from services.localglobus.store import Connection, Row
from services.localglobus.transfer import authority, collections, pausing, tasks
from services.localglobus.transfer.times import now_text
from services.localglobus.webapp.tables import Button, Cell, Table, acts, code, link, number, state, text, time
from services.localglobus.webapp.wording import ago, count, minute, second

MOST = 200
HASH_LENGTH = 12


def moment(seconds: float | None) -> Cell:
    """A time that the store keeps in seconds."""
    if seconds is None:
        return text("never")
    when = datetime.fromtimestamp(seconds, UTC)
    return time(f"{when:%Y-%m-%d %H:%M:%S}", note=ago(datetime.now(UTC) - when))


def names(db: Connection) -> dict[str, str]:
    """User name, group name or display name of every id."""
    found = {row["id"]: row["username"] for row in db.execute("select id, username from identity")}
    found |= {row["id"]: row["name"] for row in db.execute('select id, name from "group"')}
    found |= {row["id"]: row["name"] for row in db.execute("select id, name from client")}
    found |= {row["id"]: row["display_name"] for row in db.execute("select id, display_name from endpoint")}
    return found | {row["id"]: row["display_name"] for row in db.execute("select id, display_name from collection")}


def named(known: dict[str, str], subject_id: str | None) -> Cell:
    return Cell() if subject_id is None else Cell(words=known.get(subject_id, "unknown"), note=subject_id)


def overview(db: Connection) -> Table:
    """How many there are of each, each a link to them."""

    def total(query: str, *values: object) -> int:
        return int(db.execute(query, values).fetchone()[0])

    now = clock.time()
    rows = [
        ("Identities", "/admin/identities", total("select count(*) from identity"), ""),
        ("Sessions", "/admin/identities", total("select count(*) from session where expires_at > ?", now), "browsers that are signed in"),
        ("Groups", "/admin/groups", total('select count(*) from "group"'), ""),
        ("Collections", "/admin/collections", total("select count(*) from collection"), ""),
        ("Access rules", "/admin/rules", total("select count(*) from access_rule"), ""),
        ("Open tasks", "/admin/tasks?open=1", total("select count(*) from task where completed_at is null"), ""),
        ("Tasks", "/admin/tasks", total("select count(*) from task"), ""),
        ("Consents", "/admin/consents", total("select count(*) from consent"), ""),
        ("Live tokens", "/admin/tokens", total("select count(*) from token where revoked_at is null and expires_at > ?", now), ""),
        ("Calls in memory", "/admin/calls", len(recent.CALLS), count(sum(is_failed(call) for call in tuple(recent.CALLS)), "refused call")),
    ]
    return Table(
        title="What there is",
        columns=("", "Number", ""),
        rows=[(link(words, address), number(value), text(note)) for words, address, value, note in rows],
    )


def settings_table(settings: Settings) -> Table:
    found = {
        "Address": settings.url,
        "Folder": settings.data,
        "Portal": settings.portal_url,
        "Active tasks of one identity": settings.active_tasks,
        "Requests a second of one identity": f"{settings.requests_per_second:g}",
        "Fault switch": "open" if settings.has_faults else "closed (start with --faults to open it)",
    }
    return Table(
        title="How it was started", columns=("Setting", "Value"), rows=[(text(name), code(value)) for name, value in found.items()]
    )


def nodes_table(db: Connection, cut_off: Held[str]) -> Table:
    rows = []
    for row in db.execute("select * from endpoint order by node"):
        node, heard_at = row["node"], row["node_seen_at"]
        is_online = heard_at is not None and clock.time() - heard_at < collections.HEARD_S
        if node in cut_off:
            shown = state("disconnected", "attention", note="on this page")
        elif is_online:
            shown = state("online", "ok")
        else:
            shown = state("offline", "failed", note="" if heard_at else "never heard of")
        (held,) = db.execute("select count(*) from copy_order where node = ? and not is_finished", (node,)).fetchone()
        is_cut = node in cut_off
        button = Button(words="Connect again" if is_cut else "Disconnect", act="connect" if is_cut else "disconnect", fields={"node": node})
        rows.append(
            (
                text(node, note=row["display_name"]),
                shown,
                moment(heard_at),
                code(row["node_url"]),
                code(row["node_instance"]),
                number(held),
                acts(button),
            )
        )
    return Table(
        title="Data transfer nodes",
        columns=("Node", "State", "Last heard", "Address", "Instance", "Open orders", ""),
        rows=rows,
        note="A disconnected node gets 503 from control, and its folders cannot be reached, until it is connected again.",
    )


def collections_table(db: Connection) -> Table:
    known, rows = names(db), []
    for each in collections.all_collections(db):
        (n_rules,) = db.execute("select count(*) from access_rule where collection_id = ?", (each.id,)).fetchone()
        facts = [each.kind, *(["high assurance"] if each.is_high_assurance else []), *([] if each.is_public else ["not public"])]
        rows.append(
            (
                link(each.display_name, f"/file-manager/collections/{each.id}/overview", note=each.id),
                text(", ".join(facts), note=f"on {known.get(each.mapped_id)}" if each.mapped_id else ""),
                text(each.node),
                code(each.base_path),
                named(known, each.owner_id),
                number(n_rules, address=f"/admin/rules?collection={each.id}"),
                number(each.rule_version),
            )
        )
    return Table(title="Collections", columns=("Collection", "Kind", "Node", "Folder", "Owner", "Rules", "Rule version"), rows=rows)


def endpoints_table(db: Connection) -> Table:
    known = names(db)
    rows = [
        (text(row["display_name"], note=row["id"]), text(row["node"]), code(row["gcs_address"]), named(known, row["owner_id"]))
        for row in db.execute("select * from endpoint order by display_name")
    ]
    return Table(title="Endpoints", columns=("Endpoint", "Node", "GCS Manager", "Owner"), rows=rows)


def rules_table(db: Connection, collection_id: str) -> Table:
    """Access rules, all or of one collection, those out of date too."""
    known, rows = names(db), []
    query = "select * from access_rule where ? in ('', collection_id) order by collection_id, path, created_at limit ?"
    for row in db.execute(query, (collection_id, MOST)):
        is_over = row["expires_at"] is not None and row["expires_at"] <= now_text()
        until = state("over", "attention", note=row["expires_at"]) if is_over else text(minute(row["expires_at"]) or "no end")
        button = Button(words="Remove", act="remove-rule", fields={"collection": row["collection_id"], "rule": row["id"]}, is_grave=True)
        rows.append(
            (
                named(known, row["collection_id"]),
                code(row["path"]),
                named(known, row["principal"]) if row["principal"] else text(row["principal_type"].replace("_", " ")),
                text(row["permissions"]),
                time(minute(row["created_at"])),
                until,
                code(row["id"]),
                acts(button),
            )
        )
    return Table(title="Access rules", columns=("Collection", "Folder", "Who", "May", "Made (UTC)", "Until (UTC)", "Id", ""), rows=rows)


def roles_table(db: Connection, subject_id: str) -> Table:
    known = names(db)
    query = "select * from role where ? in ('', subject_id) order by subject_id, role limit ?"
    rows = [
        (named(known, row["subject_id"]), text(row["role"]), named(known, row["principal"]), code(row["id"]))
        for row in db.execute(query, (subject_id, MOST))
    ]
    return Table(title="Roles", columns=("On", "Role", "Who", "Id"), rows=rows)


def pauses_table(db: Connection) -> Table:
    known = names(db)
    rows = [
        (named(known, row["subject_id"]), named(known, row["identity_id"]), text(row["message"]), code(row["operations"]))
        for row in db.execute("select * from pause_rule order by id")
    ]
    return Table(title="Pause rules", columns=("On", "For", "Message", "What"), rows=rows)


def task_state(row: Row) -> Cell:
    kind = {"SUCCEEDED": "ok", "FAILED": "failed"}.get(row["status"], "waiting" if row["is_ok"] else "attention")
    return state(row["status"], kind, note=row["fatal_code"] or (row["nice_status"] if row["nice_status"] != "OK" else ""))


def tasks_table(db: Connection, *, is_open: bool) -> Table:
    known = names(db)
    where = "where completed_at is null" if is_open else ""
    rows = [
        (
            link(row["label"] or row["type"].lower(), f"/admin/tasks/{row['id']}", note=row["id"]),
            task_state(row),
            named(known, row["owner_id"]),
            text(row["source_name"], note=f"to {row['destination_name']}" if row["destination_id"] else "deletion"),
            number(row["files_transferred"]),
            number(row["faults"]),
            time(second(row["requested_at"])),
        )
        for row in db.execute(f"select * from task {where} order by rowid desc limit ?", (MOST,))  # noqa: S608 (our own words)
    ]
    return Table(title="Tasks", columns=("Task", "State", "Owner", "Where", "Files", "Faults", "Asked (UTC)"), rows=rows)


def task_tables(db: Connection, task_id: str) -> list[Table]:
    """Everything that is kept of one task; empty for one that there is not."""
    row = db.execute(f"{tasks.SELECT} where id = ?", (task_id,)).fetchone()
    if row is None:
        return []
    known = names(db)
    kept = [(text(name), code(row[name])) for name in row.keys() if name not in ("options", "owner_id")]  # noqa: SIM118 (a Row has no other)
    kept += [(text("owner"), named(known, row["owner_id"])), (text("options"), code(json.dumps(json.loads(row["options"]), indent=1)))]
    needs = [("consent that it lacks", authority.missing_consent(db, row)), ("what pauses it", pausing.reason(db, row))]
    kept += [(text(words), text(value or "none")) for words, value in needs if not row["completed_at"]]
    return [
        _orders_table(db, row),
        _events_table(db, task_id),
        _results_table(db, task_id),
        _items_table(db, task_id),
        Table(title="As it is kept", columns=("Column", "Value"), rows=kept),
    ]


def _orders_table(db: Connection, task: Row) -> Table:
    rows = []
    for row in db.execute("select * from copy_order where task_id = ?", (task["id"],)):
        left_s = row["leased_until"] - clock.time()
        lease = "finished" if row["is_finished"] else f"leased for {left_s:.0f} s more" if left_s > 0 else "waits to be leased"
        buttons = [] if row["is_finished"] else [Button(words="Take it from the node", act="release", fields={"task": task["id"]})]
        if task["completed_at"] is None:
            buttons.append(Button(words="End the task", act="end-task", fields={"task": task["id"]}, is_grave=True))
        hold = moment(row["held_until"]) if row["held_until"] > clock.time() else text("")
        rows.append(
            (code(row["id"]), text(row["node"]), code(row["instance"]), text(lease), hold, number(row["last_sequence"]), acts(*buttons))
        )
    return Table(title="Order", columns=("Order", "Node", "Instance", "Lease", "Held back until", "Batches", ""), rows=rows)


def _events_table(db: Connection, task_id: str) -> Table:
    rows = [
        (
            time(second(row["time"])),
            state(row["code"], "attention") if row["is_error"] else text(row["code"]),
            text(row["description"], note=row["details"]),
        )
        for row in db.execute("select * from task_event where task_id = ? order by id desc limit ?", (task_id, MOST))
    ]
    return Table(title="Events", columns=("Time (UTC)", "Code", "Words"), rows=rows, empty="None: no node has taken it up.")


def _results_table(db: Connection, task_id: str) -> Table:
    query = (
        "select status, error_code, count(*) as n, sum(size_bytes) as size from task_result where task_id = ? group by status, error_code"
    )
    rows = [
        (text(row["status"]), text(row["error_code"]), number(row["n"]), number(row["size"] or 0)) for row in db.execute(query, (task_id,))
    ]
    return Table(title="Results of files", columns=("Status", "Error", "Files", "Bytes"), rows=rows)


def _items_table(db: Connection, task_id: str) -> Table:
    rows = [
        (number(row["position"]), code(row["source_path"]), code(row["destination_path"]), text("recursive" if row["is_recursive"] else ""))
        for row in db.execute("select * from task_item where task_id = ? order by position limit ?", (task_id, MOST))
    ]
    return Table(title="Items", columns=("No.", "From", "To", ""), rows=rows)


def is_failed(call: Call) -> bool:
    return call.status is None or call.status >= 400


def calls_table(calls: Iterable[Call], *, title: str) -> Table:
    rows = []
    for call in calls:
        if call.status is None:
            answer = state("no answer", "failed", note=call.message)
        elif call.status < 400:
            answer = state(str(call.status), "ok")
        else:
            answer = state(f"{call.status} {call.code}", "failed" if call.status >= 500 else "attention", note=call.message)
        rows.append(
            (
                time(f"{datetime.fromtimestamp(call.at, UTC):%H:%M:%S}", note=ago(timedelta(seconds=clock.time() - call.at))),
                code(f"{call.method} {call.target}"),
                answer,
                text(call.caller, note=call.via),
                Cell(words=f"{call.took_s * 1000:,.0f} ms", kind="number"),
            )
        )
    return Table(title=title, columns=("Time (UTC)", "Call", "Answer", "Who", "Took"), rows=rows, empty="None since the start.")
