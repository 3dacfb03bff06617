"""Indices, roles and tasks as the unmodified SearchClient uses them, and that what was acknowledged outlives a kill."""

import json
import signal
import sqlite3
import uuid
from contextlib import closing

import pytest
from globus_sdk import GlobusAPIError
from globus_sdk.scopes import SearchScopes

from tests.services.localglobus.conftest import use
from tests.services.localglobus.search.conftest import client_of, wait_for_task

CY = "cy@elsewhere.example"
DEEP = {"x": json.loads("[" * 60 + "]" * 60)}


def refused(act, *words, **more):
    with pytest.raises(GlobusAPIError) as error:
        act(*words, **more)
    return error.value.http_status, error.value.code


def urn(index, who):
    return f"urn:globus:auth:identity:{index.identity(who)}"


def test_a_task_that_cannot_be_done_fails_and_those_behind_it_are_done(globus, index):
    task_id = str(uuid.uuid4())
    with closing(sqlite3.connect(globus.data / "localglobus.sqlite", timeout=30)) as db, db:
        row = (task_id, index.id, "ingest", "PENDING", None, '{"entries": [{}]}', "2000-01-01 00:00:00", None)
        db.execute("INSERT INTO search_task VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    index.put(index.entry("a", {"x": 1}))
    assert index.wait(task_id)["state"] == "FAILED"
    assert index.demo.search(index.id, "1")["total"] == 1


def test_an_entry_is_no_larger_than_what_is_ingested(index):
    entry = index.entry("large", {"x": "x" * 10 * 2**20})
    for path, asked in (("entry", entry), ("ingest", {"ingest_type": "GMetaEntry", "ingest_data": entry})):
        assert refused(index.demo.post, f"/v1/index/{index.id}/{path}", data=asked)[0] == 413


def test_an_entry_is_put_in_the_place_of_the_one_of_its_name(index):
    for verb, n in ((index.demo.post, 1), (index.demo.put, 2)):
        task = verb(f"/v1/index/{index.id}/entry", data=index.entry("a", {"x": n}))["task_id"]
        assert index.wait(task)["state"] == "SUCCESS"
    assert index.demo.get_index(index.id)["num_entries"] == 1
    assert index.demo.get_subject(index.id, "a")["entries"][0]["content"] == {"x": 2}


def test_index_is_described_changed_closed_and_opened_again(index, anonymous):
    made = index.demo.get_index(index.id)
    assert (made["status"], made["num_entries"], made["permissions"], made["is_trial"]) == ("open", 0, ["owner"], True)
    assert index.id in {each["id"] for each in index.demo.index_list()}
    assert index.demo.update_index(index.id, description="new")["description"] == "new"
    assert anonymous.get_index(index.id)["permissions"] == []
    index.put(index.entry("a", {"x": 1}), index.entry("a", {"x": 2}, entry_id="second"))
    assert [index.demo.get_index(index.id)[name] for name in ("num_entries", "num_subjects")] == [2, 1]
    assert index.demo.delete_index(index.id)["acknowledged"] is True
    assert refused(index.demo.search, index.id, "*") == (409, "Conflict.IncompatibleIndexStatus")
    assert refused(index.demo.delete_index, index.id) == (409, "Conflict.IncompatibleIndexStatus")
    assert index.demo.reopen_index(index.id)["acknowledged"] is True
    assert refused(index.demo.reopen_index, index.id) == (409, "Conflict.IncompatibleIndexStatus")
    assert index.demo.search(index.id, "*")["total"] == 1


def test_nobody_owns_more_than_three_indices(sdk):
    client = client_of(sdk, "graph")
    made = [client.create_index(f"Index {number}", "one of three")["id"] for number in range(3)]
    assert refused(client.create_index, "Fourth", "one too many") == (409, "Conflict.LimitExceeded")
    for each in made:
        client.delete_index(each)
    client.delete_index(client.create_index("Fifth", "after the others went")["id"])


def test_roles_say_who_may_do_what(index, person):
    cy = person("cy")
    entry = {"ingest_type": "GMetaEntry", "ingest_data": index.entry("by cy", {"x": 1})}
    forbidden = (403, "Forbidden.Generic")
    assert refused(cy.ingest, index.id, entry) == forbidden
    assert refused(cy.get_role_list, index.id) == forbidden
    writer = index.demo.create_role(index.id, {"role_name": "writer", "principal": urn(index, CY)})
    assert refused(index.demo.create_role, index.id, {"role_name": "writer", "principal": urn(index, CY)}) == (409, "Conflict.Generic")
    task = cy.ingest(index.id, entry)["task_id"]
    assert wait_for_task(cy, task)["state"] == "SUCCESS"
    assert refused(person("ben").get_task, task) == forbidden
    assert refused(cy.update_index, index.id, description="mine") == forbidden
    admin = index.demo.create_role(index.id, {"role_name": "admin", "principal": urn(index, CY)})
    assert cy.update_index(index.id, description="ours")["description"] == "ours"
    assert refused(cy.create_role, index.id, {"role_name": "owner", "principal": urn(index, CY)}) == forbidden
    assert refused(cy.delete_index, index.id) == forbidden
    listed = {each["id"]: each["role_name"] for each in cy.get_role_list(index.id)["role_list"]}
    assert sorted(listed.values()) == ["admin", "owner", "writer"]
    for role in (writer, admin):
        assert index.demo.delete_role(index.id, role["id"])["deleted"]["id"] == role["id"]
    assert refused(index.demo.delete_role, index.id, writer["id"]) == (404, "NotFound.Generic")
    owner = next(number for number, name in listed.items() if name == "owner")
    assert refused(index.demo.delete_role, index.id, owner)[0] == 409


def test_group_holds_a_role_for_its_members(index, person):
    group = f"urn:globus:groups:id:{index.globus.env['CAUSEWAY_STEWARD_GROUPS']}"
    index.demo.create_role(index.id, {"role_name": "writer", "principal": group})
    assert "writer" in person("ben").get_index(index.id)["permissions"]
    assert refused(person("ada").get_task_list, index.id) == (403, "Forbidden.Generic")


def test_entries_are_replaced_and_deleted_one_by_one_by_subject_and_by_query(index):
    demo = index.demo
    index.put(*[index.entry(f"s{number}", {"n": number}) for number in range(6)], index.entry("s0", {"n": 100}, entry_id="more"))
    index.put(index.entry("s1", {"n": 11}))
    assert demo.get_subject(index.id, "s1")["entries"][0]["content"] == {"n": 11}
    assert index.wait(demo.delete_entry(index.id, "s0", entry_id="more")["task_id"])["task_type"] == "delete-by-entry-id"
    assert demo.get_subject(index.id, "s0")["entries"][0]["entry_id"] is None
    index.wait(demo.delete_subject(index.id, "s2")["task_id"])
    index.wait(demo.batch_delete_by_subject(index.id, ["s3", "none"])["task_id"])
    above = {"filters": [{"type": "range", "field_name": "n", "values": [{"gte": 5}]}]}
    assert index.wait(demo.delete_by_query(index.id, above)["task_id"])["state"] == "SUCCESS"
    assert [each["subject"] for each in demo.search(index.id, "*")["gmeta"]] == ["s0", "s4"]
    assert demo.search(index.id, "5")["total"] == 0
    kinds = {each["task_type"] for each in demo.get_task_list(index.id)["tasks"]}
    assert kinds == {"ingest", "delete-by-subject", "delete-by-query", "delete-by-entry-id"}
    assert refused(demo.delete_by_query, index.id, {"q": "(", "advanced": True}) == (400, "BadRequest.Generic")


def test_deletion_by_query_reaches_what_its_caller_does_not_see(index):
    index.put(index.entry("closed", {"n": 1}, visible_to=[urn(index, CY)]))
    assert index.demo.search(index.id, "*")["total"] == 0
    index.wait(index.demo.delete_by_query(index.id, {"q": "*"})["task_id"])
    assert index.demo.get_index(index.id)["num_entries"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": ""},
        {"subject": "x" * 513},
        {"visible_to": []},
        {"visible_to": "public"},
        {"visible_to": ["everybody"]},
        {"content": []},
        {"content": DEEP},
        {"id": 3},
        {"principal_sets": {"x": ["ada"]}},
    ],
)
def test_wrong_entry_is_refused_when_it_is_sent(index, changed):
    entry = {**index.entry("a", {"x": 1}), **changed}
    assert refused(index.demo.ingest, index.id, {"ingest_type": "GMetaEntry", "ingest_data": entry}) == (400, "BadRequest.Generic")
    assert index.demo.get_task_list(index.id)["tasks"] == []


def test_scope_to_search_is_not_enough_to_write(index):
    reader = client_of(index.globus, "demo", str(SearchScopes.search))
    assert reader.search(index.id, "*")["total"] == 0
    assert refused(reader.ingest, index.id, {})[0] == 403
    writer = client_of(index.globus, "demo", str(SearchScopes.ingest))
    assert writer.get_task_list(index.id)["tasks"] == []
    assert refused(writer.delete_index, index.id)[0] == 403


def test_acknowledged_ingest_outlives_a_kill(start_localglobus, monkeypatch):
    globus = start_localglobus()
    use(globus, monkeypatch)
    demo = client_of(globus, "demo")
    index = demo.create_index("Survivor", "of a kill")["id"]
    entries = [{"subject": f"s{n}", "visible_to": ["public"], "content": {"words": f"number {n} " * 50}} for n in range(500)]
    tasks = [demo.ingest(index, {"ingest_type": "GMetaList", "ingest_data": {"gmeta": entries}})["task_id"] for _ in range(3)]
    globus.stop(signal.SIGKILL)
    globus.start()
    assert [wait_for_task(demo, each)["state"] for each in tasks] == ["SUCCESS"] * 3
    assert demo.search(index, "number")["total"] == 500
