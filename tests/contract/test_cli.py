"""Every command that people use on collections, groups and tasks, by the unmodified Globus CLI: its words, its JSON and its exit status.

The service client acts with its own credentials, Ada and Cy have signed in with `globus login`. 0 is success, 1 an error of the service,
2 of the command line, 3 the wrong kind of thing, 4 a missing sign-in or consent.
"""

import json
import uuid
from pathlib import Path

import pytest

from tests.contract.cli import Cli, sign_in
from tests.contract.conftest import approve, person
from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long

ADA, BEN, CY, DEE = "ada@university.example", "ben@archive.example", "cy@elsewhere.example", "dee@archive.example"


@pytest.fixture
def group(service):
    """A group of the service client, gone afterwards."""
    made = service.json("group", "create", f"Group {uuid.uuid4()}", "--description", "made by the CLI")["id"]
    yield made
    service("group", "delete", made)


def names(rows):
    return {row["name"] for row in rows}


def test_service_client_knows_itself(sites, service):
    own = sites.globus.env["GLOBUS_CLI_CLIENT_ID"]
    assert service("whoami").text.strip() == f"{own}@clients.auth.globus.org"
    assert service("whoami", "--verbose").record["ID"] == own
    assert service("whoami", "--linked-identities").text.strip() == f"{own}@clients.auth.globus.org"
    assert service.json("whoami")["sub"] == own
    assert service.json("session", "show")["authentications"] == {}
    assert "always" in service("login", status=2).errors


def test_signed_in_person_knows_herself(sites, ada):
    identity = sites.identity(ADA)
    assert ada("whoami").text.strip() == ADA
    assert ada("whoami", "--verbose").record == {"Username": ADA, "Name": "Ada Lindqvist", "ID": identity, "Email": ADA}
    assert ada("whoami", "--linked-identities").text.split() == [ADA, "ada@observatory.example"]
    assert ada.json("whoami")["preferred_username"] == ADA
    ((username, shown, when),) = ada("session", "show").lines
    assert (username, shown) == (ADA, identity)
    assert when
    assert identity in ada.json("session", "show")["authentications"]


def test_identities_are_looked_up(sites, service):
    identity = sites.identity(ADA)
    assert service("get-identities", ADA).text.strip() == identity
    assert service("get-identities", identity).text.strip() == ADA
    assert service("get-identities", "-v", ADA, CY).lines[0][1:4] == [ADA, "Ada Lindqvist", "Causeway University"]
    assert service.json("get-identities", ADA)["identities"][0]["id"] == identity
    assert service("get-identities", "nobody@nowhere.example").text.strip() == "NO_SUCH_IDENTITY"
    made = service("get-identities", "--provision", "later@elsewhere.example").text.strip()
    assert service.json("get-identities", made)["identities"][0]["status"] == "unused"


def test_endpoints_are_found_and_shown(sites, service, archive, endpoint):
    found = service("endpoint", "search", "Causeway").lines
    assert [archive, DEE, "Causeway Archive", "127.0.0.3"] in found
    rows = service.json("endpoint", "search", "Archive", "--filter-scope", "administered-by-me")["DATA"]
    assert archive in {row["id"] for row in rows}
    assert service.json("endpoint", "search", "none such")["DATA"] == []
    assert "gcs collection show" in service("endpoint", "show", archive, status=3).errors
    assert service("endpoint", "show", endpoint).record["Display Name"] == "Causeway archive"
    assert service.json("endpoint", "show", endpoint)["entity_type"] == "GCSv5_endpoint"
    refused = service("endpoint", "show", uuid.uuid4(), status=1)
    assert "EndpointNotFound" in refused.errors
    assert "gcs collection delete" in service("endpoint", "delete", archive, status=3).errors


def test_gcs_endpoint_is_shown_and_changed(service, endpoint):
    assert service("gcs", "endpoint", "show", endpoint).record["Endpoint ID"] == endpoint
    changed = service("gcs", "endpoint", "update", endpoint, "--description", "by the CLI", "--keywords", "a,b")
    assert changed.record["Description"] == "by the CLI"
    assert service.json("gcs", "endpoint", "show", endpoint)["keywords"] == ["a", "b"]
    (role,) = service.json("gcs", "endpoint", "role", "list", endpoint)["DATA"]
    assert role["role"] == "administrator"
    assert service("gcs", "endpoint", "role", "show", endpoint, role["id"]).record["Role"] == "administrator"
    ((credential, _, _, username, _),) = service("endpoint", "user-credential", "list", endpoint).lines
    assert username == "demo"
    assert service("endpoint", "user-credential", "show", endpoint, credential).record["Local Username"] == "demo"
    ((gateway, name, *_),) = service("endpoint", "storage-gateway", "list", endpoint).lines
    assert name == "Causeway archive storage"
    assert service.json("endpoint", "storage-gateway", "list", endpoint)["data"][0]["id"] == gateway


def test_collections_are_made_changed_and_deleted(sites, service, storage, endpoint, folder):
    made = service("gcs", "collection", "create", "guest", storage, f"/shares/{folder.name}/", "By the CLI", "--private").record
    guest = made["ID"]
    assert (made["Collection Type"], made["Public"], made["Mapped Collection ID"]) == ("guest", "False", storage)
    service("gcs", "collection", "update", guest, "--display-name", "Renamed", "--description", "new", "--keywords", "x,y", "--public")
    service("collection", "update", guest, "--organization", "ours")
    assert service.json("collection", "show", guest)["organization"] == "ours"
    shown = service("collection", "show", guest).record
    assert (shown["Display Name"], shown["Description"], shown["Keywords"], shown["Public"]) == ("Renamed", "new", "['x', 'y']", "True")
    assert service.json("gcs", "collection", "show", guest)["keywords"] == ["x", "y"]
    assert guest in {row[0] for row in service("collection", "list", endpoint).lines}
    assert guest in {row["id"] for row in service.json("collection", "list", endpoint)["DATA"]}
    assert guest in {row[0] for row in service("endpoint", "my-shared-endpoint-list", storage).lines}
    assert guest in {row["id"] for row in service.json("endpoint", "my-shared-endpoint-list", storage)["DATA"]}
    (role,) = service.json("collection", "role", "list", guest)["data"]
    assert service("collection", "role", "show", guest, role["id"]).record["Role"] == "administrator"
    service("mkdir", f"{guest}:/in it/")
    assert (folder / "in it").is_dir()
    other = service.json("collection", "create", "guest", storage, f"/shares/{folder.name}/", "By the other name", "--private")["id"]
    service("gcs", "collection", "delete", other)
    assert "success" in service("gcs", "collection", "delete", guest).text.lower()
    assert "EndpointNotFound" in service("ls", f"{guest}:/", status=1).errors


def test_folders_are_listed(service, archive, share, folder):
    for name in ("b.txt", "a.nc", ".hidden"):
        (folder / name).write_text(name)
    (folder / "deep").mkdir()
    (folder / "deep/x.txt").write_text("x")
    at = f"{share}:/{folder.name}/"
    assert set(service("ls", at).text.split()) == {"a.nc", "b.txt", "deep/"}
    assert ".hidden" in service("ls", "-a", at).text.split()
    rows = {row[-1]: row for row in service("ls", "-l", at).lines}
    assert (rows["a.nc"][3], rows["a.nc"][5], rows["deep/"][5]) == ("4", "file", "dir")
    assert "deep/x.txt" in service("ls", "-r", at).text.split()
    assert service("ls", "--filter", "~*.txt", at).text.split() == ["b.txt"]
    assert service("ls", "--orderby", "name:DESC", at).text.split()[0] == "deep/"
    assert names(service.json("ls", at)["DATA"]) == {"a.nc", "b.txt", "deep"}
    assert "ClientError.NotFound" in service("ls", f"{archive}:/none/", status=1).errors
    assert service("stat", f"{at}a.nc").record["Size"] == "4"
    assert service.json("stat", f"{at}deep")["type"] == "dir"
    assert "Nothing found" in service("stat", f"{at}none").text


def test_folders_are_made_and_renamed(service, share, folder):
    at = f"{share}:/{folder.name}"
    assert "successfully" in service("mkdir", f"{at}/one/").text
    assert "ExternalError.MkdirFailed.Exists" in service("mkdir", f"{at}/one/", status=1).errors
    assert service.json("mkdir", f"{at}/two/")["code"] == "DirectoryCreated"
    assert "successfully" in service("rename", share, f"/{folder.name}/one/", f"/{folder.name}/three/").text
    assert {path.name for path in folder.iterdir()} == {"two", "three"}


def test_stranger_is_refused(cy, share, storage):
    assert "EndpointPermissionDenied" in cy("mkdir", f"{share}:/mine/", status=1).errors
    assert "EndpointNotFound" in cy("gcs", "collection", "show", storage, status=1).errors
    assert "PermissionDenied" in cy("endpoint", "permission", "list", share, status=1).errors


def submitted(cli: Cli, *words: object) -> str:
    return cli.json("transfer", *words)["task_id"]


def wait(cli: Cli, task: str, status: int = 0) -> None:
    cli("task", "wait", "--timeout", 120, "--polling-interval", 1, task, status=status)


def test_transfer_is_submitted_watched_and_shown(sites, service, archive, share, folder):
    source, target = f"{archive}:/public/", f"{share}:/{folder.name}/copy/"
    said = service("transfer", source, target, "--recursive", "--label", folder.name, "--notify", "off", "--sync-level", "checksum").record
    task = said["Task ID"]
    assert "accepted" in said["Message"]
    wait(service, task)
    shown = service("task", "show", task).record
    assert (shown["Status"], shown["Label"], shown["Files"], shown["Faults"]) == ("SUCCEEDED", folder.name, "2", "0")
    moved = service("task", "show", "-t", task).lines
    assert [f"/{folder.name}/copy/notes.txt" in row[1] for row in moved].count(True) == 1
    assert service.json("task", "show", "-t", task)["DATA"][0]["checksum_algorithm"] == "sha256"
    assert service("task", "show", "--skipped-errors", task).lines == []
    assert [row[1] for row in service("task", "event-list", task).lines] == ["SUCCEEDED", "PROGRESS", "STARTED"]
    assert service("task", "event-list", "--filter-errors", task).lines == []
    assert service.json("task", "show", task)["sync_level"] == 3
    listed = service.json("task", "list", "--filter-label", folder.name, "--filter-status", "SUCCEEDED")["DATA"]
    assert [row["task_id"] for row in listed] == [task]
    assert task in {row[0] for row in service("task", "list").lines}
    assert "completed before" in service("task", "cancel", task).text
    assert "cannot be changed" in service("task", "update", task, "--label", "late", status=1).errors
    assert "is not paused" in service("task", "pause-info", task).text


def test_batch_transfer_filters_and_repeats_no_submission(sites, service, archive, share, folder):
    for name in ("keep.nc", "drop.tmp"):
        (folder / name).write_text(name)
    number = service("task", "generate-submission-id").text.strip()
    words = [
        "transfer",
        share,
        share,
        "--batch",
        "-",
        "--submission-id",
        number,
        "--exclude",
        "*.tmp",
        "--preserve-timestamp",
        "--no-verify-checksum",
    ]
    batch = f'"/{folder.name}/" "/{folder.name} copy/" --recursive\n'
    first = service(*words, "--format", "json", stdin=batch).json
    second = service(*words, "--format", "json", stdin=batch).json
    assert (first["code"], second["code"], second["task_id"]) == ("Accepted", "Duplicate", first["task_id"])
    wait(service, first["task_id"])
    copy = folder.with_name(f"{folder.name} copy")
    assert [path.name for path in copy.iterdir()] == ["keep.nc"]
    assert copy.joinpath("keep.nc").stat().st_mtime == pytest.approx(folder.joinpath("keep.nc").stat().st_mtime, abs=1)
    assert "Task ID" in service("delete", "-r", f"{share}:/{copy.name}/").record
    wait_until(lambda: not copy.exists())
    late = service("transfer", share, share, "--batch", "-", "--deadline", "2020-01-01", status=1, stdin=batch)
    assert "deadline is in the past" in late.errors


def test_waiting_and_canceling(sites, service, archive, share, folder):
    sites.fault(kind="node.ticket", times=10_000, error={"http_status": 503, "code": "ServiceUnavailable", "message": "busy"})
    task = submitted(service, f"{archive}:/public/notes.txt", f"{share}:/{folder.name}/notes.txt")
    service("task", "wait", "--timeout", 1, "--polling-interval", 1, "--timeout-exit-code", 2, task, status=2)
    assert service("task", "update", task, "--label", f"{folder.name} later").text == "Success\n"
    assert service.json("task", "show", task)["label"] == f"{folder.name} later"
    assert "cancelled" in service("task", "cancel", task).text  # or "is being", where the node takes its time
    wait(service, task, status=1)
    assert service("task", "show", task).record["Status"] == "FAILED"
    assert service.json("task", "show", task)["fatal_error"]["code"] == "CANCELED"


def test_files_are_removed(service, share, folder):
    for name in ("a.txt", "b.txt", "c.nc"):
        (folder / name).write_text(name)
    service("rm", "--notify", "off", f"{share}:/{folder.name}/*.txt")
    assert [path.name for path in folder.iterdir()] == ["c.nc"]
    assert service.json("rm", f"{share}:/{folder.name}/c.nc")["status"] == "SUCCEEDED"
    service("rm", "--ignore-missing", f"{share}:/{folder.name}/c.nc")
    asked = service("delete", "--batch", "-", share, "--format", "json", stdin=f"/{folder.name}/none\n").json
    wait(service, asked["task_id"], status=1)
    assert service.json("task", "show", asked["task_id"])["fatal_error"]["code"] == "FILE_NOT_FOUND"


def test_permissions_of_every_kind(sites, service, cy, share, folder):
    at = f"{share}:/{folder.name}/"
    made = service("endpoint", "permission", "create", at, "--identity", CY, "--permissions", "r", "--notify-email", CY).record
    rule = made["Rule ID"]
    assert cy("ls", at).text.split() == []
    shown = service("endpoint", "permission", "show", share, rule).record
    assert (shown["Permissions"], shown["Shared With"], shown["Path"]) == ("r", CY, f"/{folder.name}/")
    assert "Exists" in service("endpoint", "permission", "create", at, "--identity", CY, "--permissions", "r", status=1).errors
    assert "updated" in service("endpoint", "permission", "update", share, rule, "--permissions", "rw").text
    assert service.json("endpoint", "permission", "show", share, rule)["permissions"] == "rw"
    for who in (["--all-authenticated"], ["--anonymous"], ["--group", sites.globus.env["CAUSEWAY_STEWARD_GROUPS"]]):
        service("endpoint", "permission", "create", at, *who, "--permissions", "r")
    service("endpoint", "permission", "create", at, "--provision-identity", "soon@elsewhere.example", "--permissions", "r")
    rows = [row for row in service.json("endpoint", "permission", "list", share)["DATA"] if row["path"] == f"/{folder.name}/"]
    assert sorted(row["principal_type"] for row in rows) == ["all_authenticated_users", "anonymous", "group", "identity", "identity"]
    assert [None, "rw"] in [
        [row[0] if row[0] != "None" else None, row[1]] for row in service("endpoint", "permission", "list", share).lines
    ]
    assert "deleted" in service("endpoint", "permission", "delete", share, rule).text
    assert "AccessRuleNotFound" in service("endpoint", "permission", "show", share, rule, status=1).errors
    expiry = service.json(
        "endpoint", "permission", "create", at, "--identity", BEN, "--permissions", "r", "--expiration-date", "2100-01-01"
    )
    assert service.json("endpoint", "permission", "show", share, expiry["access_id"])["expiration_date"].startswith("2100-01-01")


def test_roles_of_a_collection(service, share):
    role = service("endpoint", "role", "create", share, "--identity", CY, "--role", "activity_monitor").text.split()[-1]
    assert service("endpoint", "role", "show", share, role).record["Role"] == "activity_monitor"
    assert ["identity", role, CY, "activity_monitor"] in service("endpoint", "role", "list", share).lines
    assert role in {row["id"] for row in service.json("endpoint", "role", "list", share)["DATA"]}
    assert "Exists" in service("endpoint", "role", "create", share, "--identity", CY, "--role", "activity_monitor", status=1).errors
    assert "deleted" in service("endpoint", "role", "delete", share, role).text
    assert "RoleNotFound" in service("endpoint", "role", "show", share, role, status=1).errors


def test_bookmarks(ada, cy, archive):
    made = ada("bookmark", "create", f"{archive}:/public/", "open data").record["Bookmark ID"]
    assert ada("bookmark", "show", "open data").text.strip() == f"{archive}:/public/"
    assert ada("bookmark", "show", "-v", made).record == {"ID": made, "Name": "open data", "Endpoint ID": archive, "Path": "/public/"}
    assert ["open data", made, archive, "Causeway Archive", "/public/"] in ada("bookmark", "list").lines
    assert made in {row["id"] for row in ada.json("bookmark", "list")["DATA"]}
    assert "Exists" in ada("bookmark", "create", f"{archive}:/closed/", "open data", status=1).errors
    assert ada("bookmark", "rename", made, "ours").text.strip() == "Success"
    assert 'No bookmark found for "ours"' in cy("bookmark", "show", "ours", status=1).errors
    assert "deleted" in ada("bookmark", "delete", "ours").text
    assert ada.json("bookmark", "list")["DATA"] == []


def test_groups_and_their_members(service, ada, cy, group):
    assert service("group", "show", group).record["Description"] == "made by the CLI"
    assert group in {row[0] for row in service("group", "list").lines}
    service("group", "update", group, "--name", "Ours", "--terms-and-conditions", "be kind")
    shown = service.json("group", "show", group)
    assert (shown["name"], shown["description"], shown["terms_and_conditions"]) == ("Ours", "made by the CLI", "be kind")
    assert service("group", "member", "add", group, CY, "--role", "manager").record["Added User Username"] == CY
    assert [CY, "manager", "active"] in cy("group", "member", "list", group).lines
    assert cy("group", "member", "invite", group, ADA).record["Invited User Username"] == ADA
    assert "Accepted invitation" in ada("group", "invite", "accept", group).text
    assert group in {row["id"] for row in ada.json("group", "list")}
    assert "FORBIDDEN" in ada("group", "member", "list", group, status=1).errors
    assert service("group", "member", "remove", group, ADA).record["Removed User Username"] == ADA
    assert "Left group" in cy("group", "leave", group).text
    assert "last admin" in service("group", "leave", group, status=1).errors
    service("group", "set-policies", group, "--visibility", "authenticated", "--join-requests")
    assert cy("group", "join", "--request", group).record["Username"] == CY
    assert service("group", "member", "approve", group, CY).record["Approved User Username"] == CY
    assert ada("group", "join", group).record["Username"] == ADA
    assert "SUBSCRIPTION_NOT_FOUND" in service("group", "get-subscription-info", group, status=1).errors
    assert "FORBIDDEN" in ada("group", "delete", group, status=1).errors


def test_raw_calls_of_each_service(service, archive):
    assert json.loads(service("api", "transfer", "GET", f"/v0.10/endpoint/{archive}").text)["id"] == archive
    assert json.loads(service("api", "groups", "GET", "/v2/groups/my_groups").text) is not None
    assert json.loads(service("api", "auth", "GET", "/v2/oauth2/userinfo").text)["sub"]
    assert "EndpointNotFound" in service("api", "transfer", "GET", f"/v0.10/endpoint/{uuid.uuid4()}", status=1).errors
    assert service("ls", "no id", status=2).errors


def test_every_reading_command_answers_in_json(service, archive, share, storage, endpoint, group):
    """What the other tests read as words; the CLI prints the service's own document, so that a missing one would show here."""
    asked = {
        ("get-identities", BEN): "identities",
        ("gcs", "collection", "show", storage): "manager_url",
        ("gcs", "endpoint", "role", "list", endpoint): "DATA",
        ("endpoint", "user-credential", "list", endpoint): "data",
        ("endpoint", "permission", "list", archive): "DATA",
        ("endpoint", "role", "list", archive): "DATA",
        ("ls", "-r", f"{archive}:/"): "DATA",
        ("task", "list"): "DATA",
        ("task", "generate-submission-id"): "value",
        ("bookmark", "list"): "DATA",
        ("group", "member", "list", group): "memberships",
        ("group", "show", group): "policies",
    }
    assert [words for words, key in asked.items() if key not in service.json(*words)] == []


def test_consent_for_data_access_is_asked_for_and_given(sites, server, tmp_path: Path):
    campus = sites.collection("campus")
    ada = person(server, sites, tmp_path / "home", ADA)
    refused = ada("ls", f"{campus}:/~/", status=4)
    assert "globus session consent" in refused.text
    assert f"https://auth.globus.org/scopes/{campus}/data_access" in refused.text
    scope = f"urn:globus:auth:scope:transfer.api.globus.org:all[*https://auth.globus.org/scopes/{campus}/data_access]"
    agreed = sign_in(ada, ["session", "consent", "--no-local-server", scope], lambda address: approve(sites, address, ADA))
    assert agreed.status == 0, agreed
    (sites.root("campus") / "home/ada/mine.txt").write_text("mine")
    assert "mine.txt" in ada("ls", f"{campus}:/~/").text.split()


def test_person_makes_a_guest_collection_after_login_with_gcs(sites, server, tmp_path: Path):
    campus = sites.collection("campus")
    ada = person(server, sites, tmp_path / "home", ADA)
    endpoint = ada.json("api", "transfer", "GET", f"/v0.10/endpoint/{campus}")["owner_id"]
    asked = ["gcs", "collection", "create", "guest", campus, "/home/ada/", "Ada's own"]
    assert f"globus login --gcs {endpoint}:{campus}" in ada(*asked, status=4).errors
    agreed = sign_in(ada, ["login", "--no-local-server", "--gcs", f"{endpoint}:{campus}"], lambda address: approve(sites, address, ADA))
    assert agreed.status == 0, agreed
    made = ada(*asked).record
    assert made["Owner"] == ADA
    assert ada.json("gcs", "collection", "delete", made["ID"])["code"] == "success"


def test_session_update_asks_for_an_identity(sites, server, tmp_path: Path):
    ada = person(server, sites, tmp_path / "home", ADA)
    other = "ada@observatory.example"
    agreed = sign_in(ada, ["session", "update", "--no-local-server", other], lambda address: approve(sites, address, other))
    assert agreed.status == 0, agreed
    assert {row[0] for row in ada("session", "show").lines} >= {other}
    assert "not in your identity set" in ada("session", "update", "--no-local-server", CY, status=1).errors


def test_logout_ends_the_session(sites, server, tmp_path: Path):
    ada = person(server, sites, tmp_path / "home", ADA)
    assert f"Logging out of Globus as {ADA}" in ada("logout", "--yes").text
    assert "globus login" in ada("whoami", status=4).errors
    assert "globus login" in ada("ls", f"{sites.collection('archive')}:/", status=4).errors
