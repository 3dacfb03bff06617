"""That no command of the CLI is forgotten, and those that the other files do not run: Connect Personal, credentials, lesser commands."""

import json
import re
import uuid
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ADA, CY = "ada@university.example", "cy@elsewhere.example"
S3 = "7643e831-5f6c-4b47-a07f-8ee90f401d23"  # the connector's published id
HERE = Path(__file__).parent
FLOWS, STREAMS = "there are no flows: asserted for `flows list`", "there are no streaming tunnels: asserted for `streams tunnel list`"
LEFT_OUT = {
    "api flows": FLOWS,
    "flows": FLOWS,
    "streams": STREAMS,
    "update": "it asks the package index for a newer CLI",
}
"""By the first words of commands."""


def listed(service):
    found = re.findall(r"^    globus (\S.*)$", service("list-commands").text, re.MULTILINE)
    assert len(found) > 150
    return found


def test_every_command_is_run_by_a_test_or_left_out_with_a_reason(service):
    source = re.sub(r"\s+", " ", " ".join(path.read_text() for path in sorted(HERE.glob("test_cli*.py"))))
    forgotten = []
    for command in listed(service):
        words = ", ".join(f'"{word}"' for word in command.split())
        is_left_out = any(command == start or command.startswith(f"{start} ") for start in LEFT_OUT)
        if not is_left_out and not re.search(rf"[(\[] ?{re.escape(words)}[,)\]]", source):
            forgotten.append(command)
    assert forgotten == []


def test_services_that_are_not_there_say_so(service):
    assert "ClientError.NotFound" in service("flows", "list", status=1).errors
    assert "ClientError.NotFound" in service("streams", "tunnel", "list", status=1).errors


def test_commands_that_ask_no_service(service, ada):
    assert re.match(r"Installed Version: \d+\.\d+", service("version").text)
    assert service("cli-profile-list").errors == ""
    assert "No Globus Connect Personal installation found" in ada("endpoint", "local-id", status=1).text


def test_a_collection_is_updated_with_policies(service, ada, sites):
    """As `gcs collection update` sends them; what each of them does is shown at the service's own tests."""
    endpoint = service.json("api", "transfer", "GET", f"/v0.10/endpoint/{sites.collection('archive')}")["owner_id"]
    made = service("gcs", "collection", "create", "mapped", endpoint, "Ruled", "--storage-gateway-id", gateway_of(service, endpoint)).record
    asked = ["--disable-https", "--verify", "force", "--no-allow-guest-collections", "--sharing-user-deny", "root"]
    service("gcs", "collection", "update", made["ID"], *asked, "--sharing-restrict-paths", '{"read_write": ["/"]}')
    shown = service.json("gcs", "collection", "show", made["ID"], "--include-private-policies")
    assert (shown["enable_https"], shown["force_verify"], shown["allow_guest_collections"]) == (False, True, False)
    assert (shown["sharing_users_deny"], shown["sharing_restrict_paths"]["read_write"]) == (["root"], ["/"])
    service("gcs", "collection", "update", made["ID"], "--enable-https", "--sharing-user-deny", "", "--sharing-restrict-paths", "null")
    shown = service.json("gcs", "collection", "show", made["ID"], "--include-private-policies")
    assert (shown["enable_https"], shown["sharing_users_deny"], shown["sharing_restrict_paths"]) == (True, [], None)
    service("gcs", "collection", "delete", made["ID"])


def test_personal_collection_is_made_changed_shared_and_deleted(sites, ada, cy):
    made = ada("gcp", "create", "mapped", "Ada's laptop", "--description", "by the CLI").record
    host = made["Collection ID"]
    assert made["Setup Key"]
    assert "success" in ada("gcp", "update", "mapped", host, "--display-name", "Ada's desk").text
    assert ada("endpoint", "show", host).record["Display Name"] == "Ada's desk"
    shown = ada.json("endpoint", "show", host)
    assert (shown["entity_type"], shown["gcp_connected"], shown["is_globus_connect"]) == ("GCP_mapped_collection", False, True)
    assert host in {row[0] for row in ada("endpoint", "search", "--filter-scope", "my-gcp-endpoints", "desk").lines}
    assert "GCDisconnected" in ada("ls", f"{host}:/", status=1).errors
    assert "GCDisconnected" in ada("gcp", "create", "guest", "Shared", f"{host}:/", status=1).errors
    assert "EndpointPermissionDenied" in cy("gcp", "create", "guest", "Mine", f"{host}:/", status=1).errors
    assert "EndpointNotFound" in ada("gcp", "update", "guest", uuid.uuid4(), "--display-name", "x", status=1).errors
    assert "success" in ada("gcp", "set-subscription-id", host, "null").text
    assert "BadRequest" in ada("gcp", "set-subscription-id", host, uuid.uuid4(), status=1).errors
    assert "BadRequest" in ada("gcp", "set-subscription-admin-verified", host, "true", status=1).errors
    assert "Globus Connect Personal" in ada("gcs", "collection", "show", host, status=3).errors
    assert "PermissionDenied" in cy("endpoint", "delete", host, status=1).errors
    assert "success" in ada("endpoint", "delete", host).text
    assert "EndpointNotFound" in ada("endpoint", "show", host, status=1).errors


def test_endpoint_is_updated_by_its_old_command(ada):
    host = ada.json("gcp", "create", "mapped", "Old", "--disable-verify")["id"]
    assert ada.json("endpoint", "show", host)["disable_verify"] is True
    assert "success" in ada("endpoint", "update", host, "--description", "old way").text
    assert ada.json("endpoint", "show", host)["description"] == "old way"
    assert "success" in ada("endpoint", "set-subscription-id", host, "null").text
    ada("endpoint", "delete", host)


@pytest.fixture
def bucket_gateway(service, endpoint):
    policies = {"DATA_TYPE": "s3_storage_policies#1.0.0", "s3_endpoint": "http://127.0.0.1:9", "s3_buckets": ["a-bucket"]}
    document = {"DATA_TYPE": "storage_gateway#1.0.0", "display_name": "Buckets", "connector_id": S3, "policies": policies}
    made = service("api", "gcs", endpoint, "POST", "/storage_gateways", "--body", json.dumps(document)).text
    gateway = json.loads(made)["data"][0]["id"]
    yield gateway
    service("api", "gcs", endpoint, "DELETE", f"/storage_gateways/{gateway}")


def credentials_of(service, endpoint):
    return {row[0] for row in service("gcs", "user-credential", "list", endpoint).lines}


def made_credential(answer):
    return re.fullmatch(r"Created User Credential (\S+)\n", answer.text)[1]


def test_user_credentials_are_made_shown_and_deleted(sites, service, endpoint):
    gateway, own = gateway_of(service, endpoint), sites.globus.env["GLOBUS_CLI_CLIENT_ID"]
    before = credentials_of(service, endpoint)
    document = json.dumps({"DATA_TYPE": "user_credential#1.0.0", "storage_gateway_id": gateway, "identity_id": own, "username": "demo"})
    made = [
        made_credential(answer)
        for answer in (
            service("gcs", "user-credential", "create", "posix", endpoint, gateway, own, "demo", "--display-name", "By words"),
            service("endpoint", "user-credential", "create", "posix", endpoint, gateway, own, "demo"),
            service("gcs", "user-credential", "create", "from-json", endpoint, document),
            service("endpoint", "user-credential", "create", "from-json", endpoint, document),
        )
    ]
    assert credentials_of(service, endpoint) == before | {*made}
    assert len({*made}) == 4
    shown = service("gcs", "user-credential", "show", endpoint, made[0]).record
    assert (shown["Display Name"], shown["Local Username"]) == ("By words", "demo")
    for number, credential in enumerate(made):
        words = ("gcs", "user-credential", "delete") if number % 2 else ("endpoint", "user-credential", "delete")
        assert "Deleted User Credential" in service(*words, endpoint, credential).text
        assert "not_found" in service("gcs", "user-credential", "show", endpoint, credential, status=1).errors
    assert credentials_of(service, endpoint) == before


def test_keys_to_buckets_are_made_shown_and_deleted(sites, service, endpoint, bucket_gateway):
    own, secret = sites.globus.env["GLOBUS_CLI_CLIENT_ID"], uuid.uuid4().hex
    before = credentials_of(service, endpoint)
    keys = [endpoint, bucket_gateway, own, "demo", "key", secret]
    made = [
        made_credential(service(*words, *keys))
        for words in (["gcs", "user-credential", "create", "s3"], ["endpoint", "user-credential", "create", "s3"])
    ]
    assert credentials_of(service, endpoint) == before | {*made}
    shown = service("gcs", "user-credential", "show", endpoint, made[0], "--format", "json").text
    assert json.loads(shown)["policies"]["s3_key_id"] == "key"
    assert secret not in shown
    for credential in made:
        service("gcs", "user-credential", "delete", endpoint, credential)
    assert credentials_of(service, endpoint) == before


def test_credentials_of_others_and_of_another_kind_are_refused(sites, service, endpoint):
    gateway, own = gateway_of(service, endpoint), sites.globus.env["GLOBUS_CLI_CLIENT_ID"]
    before = credentials_of(service, endpoint)
    for who, account in ((CY, "demo"), (own, "root")):
        refused = service("gcs", "user-credential", "create", "posix", endpoint, gateway, who, account, status=1)
        assert "permission_denied" in refused.errors
    refused = service("gcs", "user-credential", "create", "s3", endpoint, gateway, own, "demo", "key", "secret", status=1)
    assert "bad_request" in refused.errors
    assert credentials_of(service, endpoint) == before


def test_mapped_collection_and_roles_by_the_manager(sites, service, endpoint):
    made = service("gcs", "collection", "create", "mapped", endpoint, "Another view", "--storage-gateway-id", gateway_of(service, endpoint))
    other = service("collection", "create", "mapped", endpoint, "A third", "--storage-gateway-id", gateway_of(service, endpoint))
    for number in (made.record["ID"], other.record["ID"]):
        assert number in {row[0] for row in service("gcs", "collection", "list", endpoint).lines}
    service("gcs", "collection", "delete", made.record["ID"])
    service("collection", "delete", other.record["ID"])
    share = sites.collection("share")
    asked = {"principal": f"urn:globus:auth:identity:{sites.identity(CY)}", "collection": share, "role": "activity_monitor"}
    for words in (("gcs", "collection", "role", "delete"), ("collection", "role", "delete")):
        body = json.dumps({"DATA_TYPE": "role#1.0.0", **asked})
        role = json.loads(service("api", "gcs", endpoint, "POST", "/roles", "--body", body).text)["data"][0]["id"]
        assert service("gcs", "collection", "role", "show", share, role).record["Role"] == "activity_monitor"
        assert role in {each["id"] for each in service.json("gcs", "collection", "role", "list", share)["data"]}
        assert "success" in service(*words, share, role).text
    role = service.json("gcs", "endpoint", "role", "create", endpoint, "activity_monitor", CY)["id"]
    assert "Deleted" in service("gcs", "endpoint", "role", "delete", endpoint, role).text
    assert "Updated" in service("gcs", "endpoint", "set-subscription-id", endpoint, "null").text
    assert "bad_request" in service("gcs", "endpoint", "set-subscription-id", endpoint, uuid.uuid4(), status=1).errors


def gateway_of(service, endpoint):
    return service.json("gcs", "storage-gateway", "list", endpoint)["data"][0]["id"]


def test_invitations_are_declined_and_requests_rejected(service, ada, cy):
    group = service.json("group", "create", f"Group {uuid.uuid4()}", "--description", "x")["id"]
    service("group", "member", "invite", group, ADA)
    assert "Declined invitation" in ada("group", "invite", "decline", group).text
    service("group", "set-policies", group, "--visibility", "authenticated", "--join-requests")
    cy("group", "join", "--request", group)
    assert service("group", "member", "reject", group, CY).record["Rejected User Username"] == CY
    assert "SUBSCRIPTION_NOT_FOUND" in service("group", "get-by-subscription", uuid.uuid4(), status=1).errors
    assert "FORBIDDEN" in service("group", "set-subscription-admin-verified", group, uuid.uuid4(), status=1).errors
    service("group", "delete", group)
