"""The commands that portals and their users type most, as the service client and as a person (Dee, who owns the archive's collections).

Each is run twice: for its words and for its JSON, which is the service's own document. What only one of the two can do, or does
otherwise, is in `test_cli.py`.
"""

import uuid

import pytest

from tests.contract.conftest import person
from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

CY, BEN, DEE = "cy@elsewhere.example", "ben@archive.example", "dee@archive.example"


@pytest.fixture(scope="module")
def dee(server, running_sites, service, tmp_path_factory):
    """The CLI of Dee, who agreed to what managing the archive's collections needs."""
    storage = running_sites.collection("storage")
    endpoint = service.json("api", "transfer", "GET", f"/v0.10/endpoint/{storage}")["owner_id"]
    with pytest.MonkeyPatch.context():
        return person(server, running_sites, tmp_path_factory.mktemp("dee"), DEE, "--gcs", f"{endpoint}:{storage}")


@pytest.fixture(params=["client", "person"])
def cli(request, service):
    return service if request.param == "client" else request.getfixturevalue("dee")


def both(cli, *words):
    """What the command says, and its JSON."""
    return cli(*words).text, cli.json(*words)


def test_who_one_is(cli, service):
    text, document = both(cli, "whoami")
    assert document["preferred_username"] == text.strip()
    assert cli("whoami", "--verbose").record["ID"] == document["sub"]
    text, document = both(cli, "whoami", "--linked-identities")
    assert {each["username"] for each in document} == set(text.split())
    text, document = both(cli, "session", "show")
    assert "authentications" in document
    if cli is service:  # a client proves itself with each token and is in no session
        assert (document["authentications"], cli("session", "show").lines) == ({}, [])
    else:
        identity = cli("whoami", "--verbose").record["ID"]
        assert set(document["authentications"]) == {identity}
        assert (identity in text, DEE in text) == (True, True)
    text, document = both(cli, "get-identities", BEN)
    assert text.strip() == document["identities"][0]["id"]
    name = f"{uuid.uuid4().hex}@elsewhere.example"
    assert cli.json("get-identities", name)["identities"] == []
    made = cli("get-identities", "--provision", name).text.strip()
    assert cli.json("get-identities", name)["identities"] == cli.json("get-identities", "--provision", name)["identities"]
    assert cli.json("get-identities", name)["identities"][0] == cli.json("get-identities", made)["identities"][0]
    assert uuid.UUID(made)


def test_endpoints_and_collections(sites, cli, archive, endpoint):
    text, document = both(cli, "endpoint", "search", "Causeway")
    assert all(each["id"] in text for each in document["DATA"])
    assert archive in text
    text, document = both(cli, "endpoint", "show", endpoint)
    assert document["display_name"] in text
    assert cli("endpoint", "show", archive, status=3).errors
    for words in (("gcs", "collection", "show"), ("collection", "show")):
        text, document = both(cli, *words, archive)
        assert document["display_name"] in text
    text, document = both(cli, "gcs", "collection", "list", endpoint)
    assert archive in text
    assert archive in {each["id"] for each in document["DATA"]}
    text, document = both(cli, "endpoint", "my-shared-endpoint-list", sites.collection("storage"))
    assert archive in text
    assert archive in {each["id"] for each in document["DATA"]}
    text, document = both(cli, "endpoint", "user-credential", "list", endpoint)
    assert all(each["id"] in text for each in document["data"])
    text, document = both(cli, "endpoint", "storage-gateway", "list", endpoint)
    assert all(each["id"] in text for each in document["data"])
    text, document = both(cli, "gcs", "endpoint", "show", endpoint)
    assert document["id"] in text


def test_guest_collection_from_its_making_to_its_end(sites, cli, folder):
    words = ["gcs", "collection", "create", "guest", sites.collection("storage"), f"/shares/{folder.name}/"]
    made = cli(*words, "In words", "--private").record["ID"]
    other = cli.json(*words, "In JSON", "--private")["id"]
    assert cli("gcs", "collection", "update", made, "--description", "new").text
    cli.json("gcs", "collection", "update", made, "--description", "newer")
    assert cli.json("gcs", "collection", "show", made)["description"] == "newer"
    assert "success" in cli("gcs", "collection", "delete", made).text.lower()
    assert cli.json("gcs", "collection", "delete", other)["code"] == "success"
    assert "EndpointNotFound" in cli("gcs", "collection", "show", made, status=1).errors


def test_files_and_folders(cli, share, folder):
    at = f"{share}:/{folder.name}"
    for name in ("b.txt", "a.nc", ".hidden"):
        (folder / name).write_text(name)
    assert "created" in cli("mkdir", f"{at}/one").text
    assert cli.json("mkdir", f"{at}/two")["code"] == "DirectoryCreated"
    assert "renamed" in cli("rename", share, f"/{folder.name}/one", f"/{folder.name}/three").text
    assert cli.json("rename", share, f"/{folder.name}/two", f"/{folder.name}/four")["code"] == "FileRenamed"
    (folder / "four/deep.txt").write_text("x")
    text, document = both(cli, "ls", f"{at}/")
    assert text.split() == ["a.nc", "b.txt", "four/", "three/"]
    assert [each["name"] for each in document["DATA"]] == ["a.nc", "b.txt", "four", "three"]
    for options, expected in (
        (["-a"], {".hidden", "a.nc", "b.txt", "four", "three"}),
        (["-r"], {"a.nc", "b.txt", "four", "three", "four/deep.txt"}),
        (["--filter", "~*.txt"], {"b.txt"}),
        (["--orderby", "name:DESC"], {"a.nc", "b.txt", "four", "three"}),
    ):
        text, document = both(cli, "ls", *options, f"{at}/")
        assert {each["name"] for each in document["DATA"]} == expected, options
        assert {each.rstrip("/") for each in text.split()} == expected, options
    assert len(cli("ls", "-l", f"{at}/").lines) == 4
    text, document = both(cli, "stat", f"{at}/a.nc")
    assert (document["size"], "4" in text) == (4, True)
    assert "ClientError.NotFound" in cli("ls", f"{at}/none/", status=1).errors


def test_transfer_and_its_task(cli, archive, share, folder):
    (folder / "from").mkdir()
    for name in ("a.nc", "b.tmp"):
        (folder / "from" / name).write_text(name)
    words = ["transfer", f"{share}:/{folder.name}/from/", f"{share}:/{folder.name}/to/", "--recursive", "--label", folder.name]
    words += ["--exclude", "*.tmp", "--sync-level", "checksum", "--notify", "off", "--preserve-timestamp", "--deadline", "2100-01-01"]
    first = cli(*words).record["Task ID"]
    second = cli.json(*words)["task_id"]
    for task in (first, second):
        cli("task", "wait", task, "--timeout", 120, "--polling-interval", 1)
    assert [path.name for path in (folder / "to").iterdir()] == ["a.nc"]
    assert cli.json("task", "wait", first, "--timeout", 120, "--polling-interval", 1)["status"] == "SUCCEEDED"
    text, document = both(cli, "task", "show", first)
    assert (document["status"], document["label"] in text, document["sync_level"]) == ("SUCCEEDED", True, 3)
    text, document = both(cli, "task", "show", "-t", first)
    assert document["DATA"][0]["destination_path"] in text
    assert both(cli, "task", "show", "--skipped-errors", first)[1]["DATA"] == []
    text, document = both(cli, "task", "list", "--filter-label", folder.name)
    assert {each["task_id"] for each in document["DATA"]} == {first, second}
    assert first in text
    text, document = both(cli, "task", "event-list", first)
    assert [each["code"] for each in document["DATA"]] == ["SUCCEEDED", "PROGRESS", "STARTED"]
    assert "SUCCEEDED" in text
    text, document = both(cli, "task", "pause-info", first)
    assert document["pause_rules"] == []
    text, document = both(cli, "task", "generate-submission-id")
    assert uuid.UUID(text.strip()) != uuid.UUID(document["value"])
    assert "completed before" in cli("task", "cancel", first).text
    assert cli.json("task", "cancel", first)["code"] == "TaskComplete"
    assert "cannot be changed" in cli("task", "update", first, "--label", "late", status=1).errors


def test_batch_is_one_task_and_a_repeated_submission_is_the_same(cli, share, folder):
    (folder / "from").mkdir()
    for name in ("from/a", "b c"):
        (folder / name).write_text(name)
    number = cli("task", "generate-submission-id").text.strip()
    batch = f'# a remark\n/{folder.name}/from /{folder.name}/to --recursive\n"/{folder.name}/b c" "/{folder.name}/d e"\n'
    words = ["transfer", share, share, "--batch", "-", "--submission-id", number]
    first = cli(*words, "--format", "json", stdin=batch).json
    assert first["code"] == "Accepted"
    assert cli(*words, stdin=batch).record["Task ID"] == first["task_id"]
    assert cli(*words, "--format", "json", stdin=batch).json["code"] == "Duplicate"
    cli("task", "wait", first["task_id"], "--timeout", 120, "--polling-interval", 1)
    assert ((folder / "to/a").read_text(), (folder / "d e").read_text()) == ("from/a", "b c")
    gone = f'/{folder.name}/from\n"/{folder.name}/b c"\n'
    asked = cli("delete", "--batch", "-", "--recursive", share, "--format", "json", stdin=gone).json
    cli("task", "wait", asked["task_id"], "--timeout", 120, "--polling-interval", 1)
    assert sorted(path.name for path in folder.iterdir()) == ["d e", "to"]


def test_events_are_told_apart_by_whether_they_are_errors(request, sites, cli, share, folder):
    (folder / "a").write_text("a")
    request.addfinalizer(lambda: sites.clear_node_faults("archive"))
    sites.node_fault("archive", kind="write", no_space=True, times=1)
    task = cli.json("transfer", f"{share}:/{folder.name}/a", f"{share}:/{folder.name}/b")["task_id"]
    cli("task", "wait", task, "--timeout", 120, "--polling-interval", 1)
    words = ["task", "event-list", task]
    text, document = both(cli, *words, "--filter-errors")
    errors = [each["code"] for each in document["DATA"]]
    assert errors
    assert all(each["is_error"] for each in document["DATA"])
    assert all(code in text for code in errors)
    text, document = both(cli, *words, "--filter-non-errors")
    assert {"STARTED", "SUCCEEDED"} <= {each["code"] for each in document["DATA"]}
    assert not any(each["is_error"] for each in document["DATA"])
    assert "STARTED" in text


def test_open_task_is_changed_and_canceled(sites, cli, share, folder):
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    (folder / "a").write_text("a")
    task = cli.json("transfer", f"{share}:/{folder.name}/a", f"{share}:/{folder.name}/b")["task_id"]
    cli("task", "wait", task, "--timeout", 1, "--polling-interval", 1, "--timeout-exit-code", 50, status=50)
    assert cli("task", "update", task, "--label", "first").text == "Success\n"
    assert cli.json("task", "update", task, "--label", "second")["code"] == "Updated"
    assert cli.json("task", "show", task)["label"] == "second"
    assert cli.json("task", "cancel", task)["code"] in ("Canceled", "CancelAccepted")
    wait_until(lambda: cli.json("task", "show", task)["status"] == "FAILED")
    cli("task", "wait", task, "--timeout", 120, "--polling-interval", 1, status=1)


def test_files_are_removed(cli, share, folder):
    for name in ("a", "b", "c/d", "e/f"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    at = f"{share}:/{folder.name}"
    cli("rm", f"{at}/a")
    assert cli.json("rm", f"{at}/b")["status"] == "SUCCEEDED"
    assert "accepted" in cli("delete", "-r", f"{at}/c").record["Message"]
    assert cli.json("delete", "-r", f"{at}/e")["code"] == "Accepted"
    wait_until(lambda: list(folder.iterdir()) == [])


def test_permissions(cli, share, folder):
    at = f"{share}:/{folder.name}/"
    made = cli("endpoint", "permission", "create", at, "--identity", CY, "--permissions", "r").record["Rule ID"]
    other = cli.json("endpoint", "permission", "create", at, "--all-authenticated", "--permissions", "r")["access_id"]
    text, document = both(cli, "endpoint", "permission", "list", share)
    assert {made, other} <= {each["id"] for each in document["DATA"]}
    assert made in text
    text, document = both(cli, "endpoint", "permission", "show", share, made)
    assert (document["permissions"], CY in text) == ("r", True)
    assert "updated" in cli("endpoint", "permission", "update", share, made, "--permissions", "rw").text
    assert cli.json("endpoint", "permission", "update", share, made, "--permissions", "r")["code"] == "Updated"
    assert "deleted" in cli("endpoint", "permission", "delete", share, made).text
    assert cli.json("endpoint", "permission", "delete", share, other)["code"] == "Deleted"
    assert "AccessRuleNotFound" in cli("endpoint", "permission", "show", share, made, status=1).errors


def test_permissions_of_every_principal(sites, cli, share, folder):
    at, group = f"{share}:/{folder.name}/", sites.globus.env["CAUSEWAY_STEWARD_GROUPS"]
    create, show = ("endpoint", "permission", "create", at, "--permissions", "r"), ("endpoint", "permission", "show", share)
    later, soon = (f"{uuid.uuid4().hex}@elsewhere.example" for _ in range(2))
    made = [
        cli(*create, "--group", group).record["Rule ID"],
        cli.json(*create, "--anonymous")["access_id"],
        cli(*create, "--provision-identity", later).record["Rule ID"],
        cli.json(*create, "--provision-identity", soon)["access_id"],
        cli.json(*create, "--identity", CY, "--expiration-date", "2100-01-01")["access_id"],
        cli(*create, "--identity", BEN, "--expiration-date", "2100-01-01").record["Rule ID"],
    ]
    rules = [cli.json(*show, rule) for rule in made]
    kinds = ["group", "anonymous", "identity", "identity", "identity", "identity"]
    assert [each["principal_type"] for each in rules] == kinds
    named = [cli.json("get-identities", name)["identities"][0]["id"] for name in (later, soon, CY, BEN)]
    assert [each["principal"] for each in rules] == [group, "", *named]
    assert [str(each["expiration_date"])[:10] for each in rules] == ["None"] * 4 + ["2100-01-01"] * 2
    for rule in made:
        assert "deleted" in cli("endpoint", "permission", "delete", share, rule).text


def test_roles(cli, share):
    made = cli("endpoint", "role", "create", share, "--identity", BEN, "--role", "activity_monitor").text.split()[-1]
    other = cli.json("endpoint", "role", "create", share, "--identity", BEN, "--role", "activity_manager")["id"]
    text, document = both(cli, "endpoint", "role", "list", share)
    assert {made, other} <= {each["id"] for each in document["DATA"]}
    assert made in text
    text, document = both(cli, "endpoint", "role", "show", share, made)
    assert document["role"] in text
    assert "deleted" in cli("endpoint", "role", "delete", share, made).text
    assert cli.json("endpoint", "role", "delete", share, other)["code"] == "Deleted"


def test_bookmarks(cli, archive):
    names = [uuid.uuid4().hex, uuid.uuid4().hex]
    made = cli("bookmark", "create", f"{archive}:/public/", names[0]).record["Bookmark ID"]
    other = cli.json("bookmark", "create", f"{archive}:/public/", names[1])["id"]
    text, document = both(cli, "bookmark", "list")
    assert {made, other} <= {each["id"] for each in document["DATA"]}
    assert names[0] in text
    text, document = both(cli, "bookmark", "show", made)
    assert text.strip() == f"{archive}:{document['path']}"
    assert cli("bookmark", "rename", made, f"{names[0]} again").text.strip() == "Success"
    assert cli.json("bookmark", "rename", other, f"{names[1]} again")["name"] == f"{names[1]} again"
    assert "deleted" in cli("bookmark", "delete", made).text
    assert cli.json("bookmark", "delete", other)["code"] == "Deleted"


def test_groups(cli):
    made = cli("group", "create", f"Group {uuid.uuid4()}").text.split()[1]
    other = cli.json("group", "create", f"Group {uuid.uuid4()}")["id"]
    text, document = both(cli, "group", "list")
    assert {made, other} <= {each["id"] for each in document}
    assert made in text
    text, document = both(cli, "group", "show", made)
    assert document["name"] in text
    assert cli.json("group", "member", "add", made, CY)["add"][0]["username"] == CY
    text, document = both(cli, "group", "member", "list", made)
    assert CY in text
    assert CY in {each["username"] for each in document["memberships"]}
    assert "deleted" in cli("group", "delete", made).text
    assert cli.json("group", "delete", other)


def test_sign_in_is_refused_to_a_client_and_known_to_a_person(service, dee):
    assert "always" in service("login", status=2).errors
    assert "already logged in" in dee("login").text
    assert "Client identities do not need to log in" in service("session", "consent", "openid", status=1).text
    assert "not in your identity set" in service("session", "update", CY, status=1).errors
    assert "Revoking all CLI tokens" in service("logout", "--yes").text
    assert service("whoami").text.endswith("@clients.auth.globus.org\n")
