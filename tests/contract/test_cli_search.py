"""`globus search`: every command by the unmodified CLI, its words, its JSON and its exit status, as the service client and as people."""

import json
import uuid

import pytest

from tests.contract.cli import Cli
from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

CY = "cy@elsewhere.example"


@pytest.fixture
def index(service):
    """An index of the service client, deleted afterwards."""
    made = service.json("search", "index", "create", f"Index {uuid.uuid4().hex}", "made by the CLI")["id"]
    yield made
    service("search", "index", "delete", made)


def write(cli: Cli, index: str, subject: str, content: dict, visible_to: str = "public") -> str:
    entry = {"@datatype": "GMetaEntry", "subject": subject, "visible_to": [visible_to], "content": content}
    task = cli("search", "ingest", index, "-", stdin=json.dumps(entry)).record["Task ID"]
    wait_until(lambda: cli.json("search", "task", "show", task)["state"] == "SUCCESS")
    return task


def test_index_is_made_shown_listed_and_deleted(service, cy):
    made = service("search", "index", "create", "Portraits", "of people").record
    number = made["Index ID"]
    assert (made["Display Name"], made["Status"]) == ("Portraits", "open")
    assert service("search", "index", "show", number).record["Display Name"] == "Portraits"
    assert service.json("search", "index", "show", number)["permissions"] == ["owner"]
    assert [number, "Portraits", "open", "owner"] in service("search", "index", "list").lines
    assert number in {each["id"] for each in service.json("search", "index", "list")["index_list"]}
    assert number not in {each["id"] for each in cy.json("search", "index", "list")["index_list"]}
    assert "Forbidden.Generic" in cy("search", "index", "delete", number, status=1).errors
    assert "marked for deletion" in service("search", "index", "delete", number).text
    assert "Conflict.IncompatibleIndexStatus" in service("search", "query", "-q", "*", number, status=1).errors
    assert "NotFound.Generic" in service("search", "index", "show", uuid.uuid4(), status=1).errors


def test_documents_are_ingested_found_and_deleted(service, cy, index):
    task = write(service, index, "one", {"title": "The first of two", "n": 1})
    write(service, index, "two", {"title": "The second", "n": 2}, visible_to="all_authenticated_users")
    assert service("search", "task", "show", task).record["State"] == "SUCCESS (Task succeeded)"
    assert task in {row[1] for row in service("search", "task", "list", index).lines}
    assert len(service.json("search", "task", "list", index)["tasks"]) == 2
    assert service("search", "query", "-q", "second", index).text.split() == ["two"]
    assert service.json("search", "query", "-q", "title:first", "--advanced", "--limit", 1, index)["total"] == 1
    asked = json.dumps({"filters": [{"type": "range", "field_name": "n", "values": [{"gte": 2}]}]})
    assert service("search", "query", "--query-document", "-", index, stdin=asked).text.split() == ["two"]
    assert cy("search", "query", "-q", "*", index).text.split() == ["one", "two"]
    assert "Forbidden.Generic" in cy("search", "query", "-q", "*", "--bypass-visible-to", index, status=1).errors
    assert service.json("search", "query", "-q", "*", "--filter-principal-sets", "editors", index)["total"] == 0
    assert json.loads(service("search", "subject", "show", index, "one").text)["content"]["n"] == 1
    assert cy.json("search", "subject", "show", index, "two")["entries"][0]["content"]["n"] == 2
    assert "NotFound.Generic" in service("search", "subject", "show", index, "none", status=1).errors
    assert "successfully submitted" in service("search", "subject", "delete", index, "one").text
    assert service("search", "delete-by-query", "-q", "second", index).record["Task ID"]
    wait_until(lambda: service.json("search", "query", "-q", "*", index)["total"] == 0)
    assert "Forbidden.Generic" in cy("search", "delete-by-query", "-q", "*", index, status=1).errors
    assert "BadRequest.Generic" in service("search", "ingest", index, "-", status=1, stdin='{"@datatype": "GMetaEntry"}').errors
    assert service("search", "query", index, status=2).errors


def test_roles_let_others_write(service, cy, index):
    made = service("search", "index", "role", "create", index, "writer", CY).record
    assert (made["Role Name"], made["Principal"]) == ("writer", CY)
    listed = service("search", "index", "role", "list", index).lines
    assert [made["Role ID"], "writer", CY] in listed
    assert [each["role_name"] for each in service.json("search", "index", "role", "list", index)["role_list"]] == ["owner", "writer"]
    write(cy, index, "by cy", {"x": 1})
    assert "Successfully removed role" in service("search", "index", "role", "delete", index, made["Role ID"]).text
    assert "Forbidden.Generic" in cy("search", "task", "list", index, status=1).errors


def test_raw_call(service):
    assert "index_list" in json.loads(service("api", "search", "GET", "/v1/index_list").text)
