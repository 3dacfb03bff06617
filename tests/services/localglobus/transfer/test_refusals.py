"""Whatever a client sends, the fault is the client's: a refusal in the API's shape, never an error of ours."""

import itertools
import json
import sqlite3
import ssl
from contextlib import closing

import httpx
import pytest
from globus_sdk.scopes import TransferScopes

from services.localglobus import sizes

ODD = [None, True, 0, -1, 10**30, 1.5, "", "\0", "\ud800", "x" * 5000, [], ["x"], {}, {"x": 1}]
ROLE = {"principal_type": "group", "principal": "00000000-0000-0000-0000-000000000001", "role": "activity_monitor"}
ODD_TEXT = ["", "x", "..", "%00", "\u00e9", "x" * 5000, "9" * 40, "-1", "name:", "/", "name:~[", "size:>x"]


@pytest.fixture
def documents(sites, folder):
    share, archive = sites.collection("share"), sites.collection("archive")
    identity, path = sites.identity("cy@elsewhere.example"), f"/{folder.name}/"
    item = {"DATA_TYPE": "transfer_item", "source_path": "/public/notes.txt", "destination_path": f"{path}x", "recursive": False}
    transfer = {"DATA_TYPE": "transfer", "source_endpoint": archive, "destination_endpoint": share, "DATA": [item], "label": "x"}
    delete = {"DATA_TYPE": "delete", "endpoint": share, "DATA": [{"path": f"{path}x"}]}
    options = {"deadline": None, "sync_level": 1, "verify_checksum": True, "filter_rules": [{"name": "*"}], "notify_on_failed": True}
    access = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity, "path": path, "permissions": "r"}
    return {
        f"/v0.10/endpoint/{share}/access": {**access, "expiration_date": None, "notify_email": None, "notify_message": None},
        f"/v0.10/endpoint/{share}/role": {"principal_type": "identity", "principal": identity, "role": "access_manager"},
        f"/v0.10/operation/endpoint/{share}/mkdir": {"DATA_TYPE": "mkdir", "path": f"{path}made/"},
        f"/v0.10/operation/endpoint/{share}/rename": {"DATA_TYPE": "rename", "old_path": f"{path}a", "new_path": f"{path}b"},
        "/v0.10/transfer": {**transfer, **options, "submission_id": "x"},
        "/v0.10/delete": {**delete, "submission_id": "x", "recursive": True, "interpret_globs": True},
    }  # fmt: skip


@pytest.fixture
def client(sites):
    token = sites.globus.client("demo").oauth2_client_credentials_tokens(str(TransferScopes.all))["access_token"]
    with httpx.Client(base_url=sites.globus.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        yield client


def test_deep_and_large_bodies_are_refused(client):
    deep = f'{{"DATA_TYPE": "transfer", "DATA": {"[" * 900}{"]" * 900}}}'
    answer = client.post("/v0.10/transfer", content=deep)
    assert (answer.status_code, "nested" in answer.json()["message"]) == (400, True)
    for no_object in ("3", "null", "true", '"x"', "[1]"):
        assert client.post("/v0.10/transfer", content=no_object).status_code == 400
    answer = client.post("/v0.10/transfer", content=b"x" * (sizes.MOST_BODY_BYTES + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("path", "asked", "most", "row"),
    [
        (
            "bookmark",
            {"endpoint_id": "SHARE", "path": "/", "name": "one more"},
            1000,
            ("bookmark", "n, :owner, n, :share, '/', 0", "owner_id"),
        ),
        ("endpoint/SHARE/role", ROLE, 1000, ("role", "n, :share, 'group', n, 'activity_monitor'", "subject_id")),
        (
            "endpoint_manager/pause_rule",
            {"endpoint_id": "SHARE", "message": "x", "start_time": "2100-01-01"},
            100,
            ("pause_rule", "n, :share, null, 'x', '2100-01-01T00:00:00+00:00', 'x', '{}'", "subject_id"),
        ),
    ],
    ids=["bookmarks", "roles", "pause rules"],
)
def test_there_are_so_many_and_no_more(sites, client, path, asked, most, row):
    share, (table, values, column) = sites.collection("share"), row
    ids = {"share": share, "owner": sites.globus.env["GLOBUS_CLI_CLIENT_ID"]}
    numbers = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many LIMIT :most)"
    with closing(sqlite3.connect(sites.globus.data / "localglobus.sqlite", timeout=30)) as db:
        with db:
            db.execute(f"INSERT INTO {table} {numbers} SELECT {values} FROM many", {**ids, "most": most})
        try:
            answer = client.post(f"/v0.10/{path.replace('SHARE', share)}", json=json.loads(json.dumps(asked).replace("SHARE", share)))
            assert (answer.status_code, answer.json()["code"]) == (409, "LimitExceeded")
        finally:
            with db:
                db.execute(f"DELETE FROM {table} WHERE {column} = ? AND length(id) < 36", (ids["owner" if "owner" in column else "share"],))


def odd_pairs(names, odd, *, each=6):
    """Each name with a few of the odd values, so that neighbours meet different ones and all meet some."""
    turning = itertools.cycle(odd)
    return [(name, next(turning)) for name in names for _ in range(each)]


def check(answer):
    assert answer.status_code < 500 or answer.json()["code"].startswith("ExternalError"), answer.text
    if answer.status_code >= 400:
        assert all(isinstance(answer.json()[name], str) for name in ("code", "message", "request_id")), answer.text


def test_odd_values_in_every_field_of_every_document(client, documents):
    issued = iter(lambda: client.get("/v0.10/submission_id").json()["value"], None)
    for address, document in documents.items():
        for name, odd in odd_pairs(document, ODD):
            asked = {**document, name: odd}
            if "submission_id" in document and name != "submission_id":
                asked["submission_id"] = next(issued)
            check(client.post(address, content=_json(asked)))
        for name, odd in odd_pairs(document.get("DATA", [{}])[0], ODD):
            asked = {**document, "DATA": [{**document["DATA"][0], name: odd}], "submission_id": next(issued)}
            check(client.post(address, content=_json(asked)))


def test_odd_values_in_every_query(client, sites):
    share = sites.collection("share")
    addresses = {
        f"/v0.10/operation/endpoint/{share}/ls": ["path", "limit", "offset", "orderby", "filter", "show_hidden"],
        f"/v0.10/operation/endpoint/{share}/stat": ["path"],
        "/v0.10/endpoint_search": ["filter_fulltext", "filter_scope", "limit", "offset", "filter_entity_type"],
        "/v0.10/task_list": ["limit", "offset", "orderby", "filter"],
    }
    for address, names in addresses.items():
        for name, odd in odd_pairs(names, ODD_TEXT):
            check(client.get(address, params={name: odd}))
    for address in ("/v0.10/endpoint/{}", "/v0.10/operation/endpoint/{}/ls", "/v0.10/task/{}", "/v0.10/task/{}/event_list"):
        for odd in ("x", "%00", "x" * 5000, "%ff", "..%2f.."):
            check(client.get(address.format(odd)))


def test_odd_values_at_the_manager(sites, folder):
    tokens = sites.manager("demo").authorizer.access_token
    document = {"DATA_TYPE": "collection#1.10.0", "collection_type": "guest", "mapped_collection_id": sites.collection("storage")}
    document |= {"collection_base_path": f"/shares/{folder.name}/", "display_name": "x", "public": False, "identity_id": None}
    document |= {"user_credential_id": None, "description": "x", "organization": "x"}
    role = {"collection": sites.collection("share"), "principal": "urn:globus:auth:identity:x", "role": "access_manager"}
    verify = ssl.create_default_context(cafile=sites.globus.data / "ca.pem")
    address = sites.globus.env["CAUSEWAY_GCS_ADDRESS"]
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {tokens}"}, verify=verify, trust_env=False) as client:
        for path, asked in (("/api/collections", document), ("/api/roles", role)):
            for name, odd in odd_pairs(asked, ODD):
                answer = client.post(path, content=_json({**asked, name: odd}))
                assert answer.status_code < 500, (name, odd, answer.text)
                if answer.status_code == 201 and path == "/api/collections":
                    client.delete(f"{path}/{answer.json()['data'][0]['id']}")


def _json(asked):
    """As JSON with its escapes, so that a lone surrogate travels too."""
    return json.dumps(asked).encode()
