"""What is laid down for a collection is kept, shown to whom it concerns, and done."""

import ssl

import httpx
import pytest
from globus_sdk import (
    AccessTokenAuthorizer,
    GCSAPIError,
    GCSClient,
    GuestCollectionDocument,
    MappedCollectionDocument,
    TransferAPIError,
    TransferClient,
    TransferData,
    UserCredentialDocument,
)
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes, TransferScopes

from tests.services.localglobus.transfer.conftest import wait_until

pytestmark = pytest.mark.long


class Mapped:
    """A mapped collection of the test's own over one folder, and the demo client as its administrator and user."""

    def __init__(self, sites, folder, *, gateway=None):
        self.sites, self.manager = sites, sites.manager("demo")
        gateway = gateway or self.manager.get_storage_gateway_list()["data"][0]["id"]
        document = MappedCollectionDocument(
            display_name="Ruled", storage_gateway_id=gateway, collection_base_path=f"/shares/{folder.name}/", public=False
        )
        self.id = self.manager.create_collection(document)["id"]
        data_access = GCSCollectionScopes(self.id).data_access
        transfer = self.token(TransferScopes.all.with_dependency(data_access.with_optional(True)))
        self.transfer = TransferClient(authorizer=AccessTokenAuthorizer(transfer))
        manage = GCSEndpointScopes(self.manager.endpoint_client_id).manage_collections.with_dependency(data_access)
        self.sharer = GCSClient(sites.globus.env["CAUSEWAY_GCS_ADDRESS"], authorizer=AccessTokenAuthorizer(self.token(manage)))
        self.guests = []

    def token(self, scope):
        return self.sites.globus.client("demo").oauth2_client_credentials_tokens(str(scope))["access_token"]

    def set(self, **policies):
        return self.manager.update_collection(self.id, {"DATA_TYPE": "collection#1.10.0", **policies})

    def private(self):
        return self.manager.get_collection(self.id, query_params={"include": "private_policies"})

    def share(self, path="/"):
        document = GuestCollectionDocument(mapped_collection_id=self.id, collection_base_path=path, display_name="On it", public=False)
        made = self.sharer.create_collection(document)["id"]
        self.guests.append(made)
        return made

    def remove(self):
        self.set(delete_protected=False)
        for collection in (*self.guests, self.id):
            self.manager.delete_collection(collection)


@pytest.fixture
def mapped(sites, folder):
    for name in ("open", "closed"):
        (folder / name).mkdir()
    made = Mapped(sites, folder)
    yield made
    made.remove()


def refusal(act):
    with pytest.raises((GCSAPIError, TransferAPIError)) as refused:
        act()
    return refused.value.http_status, refused.value.code


def test_policies_are_kept_and_private_ones_shown_to_administrators_who_ask(sites, mapped):
    asked = {
        "force_verify": True,
        "delete_protected": True,
        "sharing_users_allow": ["demo"],
        "sharing_users_deny": ["root"],
        "sharing_restrict_paths": {"DATA_TYPE": "path_restrictions#1.0.0", "read_write": ["/"], "none": ["/closed"]},
        "policies": {"DATA_TYPE": "posix_collection_policies#1.0.0", "sharing_groups_allow": ["staff"]},
    }
    mapped.set(**asked)
    found, shown = mapped.private(), mapped.manager.get_collection(mapped.id)
    assert (found["force_verify"], found["disable_verify"], found["delete_protected"]) == (True, False, True)
    assert (found["sharing_users_allow"], found["sharing_users_deny"]) == (["demo"], ["root"])
    assert (found["sharing_restrict_paths"]["none"], found["sharing_restrict_paths"]["read_write"]) == (["/closed/"], ["/"])
    assert found["policies"]["sharing_groups_allow"] == ["staff"]
    for name in ("sharing_users_allow", "sharing_users_deny", "sharing_restrict_paths", "policies"):
        assert shown[name] is None
    assert refusal(lambda: mapped.manager.delete_collection(mapped.id)) == (403, "permission_denied")
    storage, portal = sites.collection("storage"), sites.manager("portal")
    assert portal.get_collection(storage)["sharing_users_allow"] is None
    assert refusal(lambda: portal.get_collection(storage, query_params={"include": "private_policies"})) == (403, "permission_denied")


@pytest.mark.parametrize(
    "wrong",
    [
        {"enable_https": "no"},
        {"force_verify": True, "disable_verify": True},
        {"sharing_users_allow": "demo"},
        {"sharing_restrict_paths": {"read_write": ["relative"]}},
        {"sharing_restrict_paths": {"write": ["/"]}},
        {"policies": {"DATA_TYPE": "s3_collection_policies#1.0.0"}},
        {"activity_notification_policy": {"status": ["SUCCEEDED"]}},
        {"default_directory": "no path"},
    ],
)
def test_what_is_no_policy_is_refused(mapped, wrong):
    assert refusal(lambda: mapped.set(**wrong))[0] == 400


def test_guest_collections_are_refused_and_those_that_are_there_closed(sites, mapped):
    guest = mapped.share()
    mapped.set(allow_guest_collections=False)
    assert mapped.manager.get_collection(mapped.id)["allow_guest_collections"] is False
    assert refusal(mapped.share) == (403, "permission_denied")
    demo = sites.service("demo")
    assert refusal(lambda: demo.operation_ls(guest, path="/")) == (403, "EndpointPermissionDenied")
    mapped.set(allow_guest_collections=True)
    assert len(demo.operation_ls(guest, path="/")["DATA"]) == 2


@pytest.mark.parametrize(
    ("policies", "is_allowed"),
    [
        ({"sharing_users_deny": ["demo"]}, False),
        ({"sharing_users_allow": ["somebody"]}, False),
        ({"sharing_users_allow": ["demo"]}, True),
        ({"sharing_users_allow": ["demo"], "sharing_users_deny": ["demo"]}, False),
        ({"sharing_users_allow": [], "sharing_users_deny": ["somebody"]}, True),
        ({"policies": {"sharing_groups_allow": ["staff"]}}, False),
        ({"policies": {"sharing_groups_allow": ["staff"]}, "sharing_users_allow": ["demo"]}, True),
    ],
)
def test_who_may_share(mapped, policies, is_allowed):
    mapped.set(**policies)
    if is_allowed:
        assert mapped.manager.get_collection(mapped.share())["allow_guest_collections"] is False
    else:
        assert refusal(mapped.share) == (403, "permission_denied")


def test_what_may_be_shared(mapped):
    mapped.set(sharing_restrict_paths={"read_write": ["/"], "none": ["/closed"]})
    for path in ("/", "/closed"):
        assert refusal(lambda path=path: mapped.share(path)) == (403, "permission_denied"), path
    assert mapped.share("/open")
    mapped.set(sharing_restrict_paths={"read_write": ["/closed"]})
    assert refusal(lambda: mapped.share("/open")) == (403, "permission_denied")
    mapped.set(sharing_restrict_paths=None)
    assert mapped.share("/")


def test_a_collection_without_https_answers_none_and_is_copied_from(sites, mapped, folder):
    (folder / "open/a.txt").write_text("hello")
    guest = mapped.share("/open")
    address = f"{sites.node_url('archive')}/{guest}/a.txt"
    verify = ssl.create_default_context(cafile=sites.globus.data / "ca.pem")
    token = mapped.token(GCSCollectionScopes(guest).https)

    def fetch():
        return httpx.get(address, headers={"Authorization": f"Bearer {token}"}, verify=verify, trust_env=False)

    assert fetch().text == "hello"
    mapped.manager.update_collection(guest, GuestCollectionDocument(enable_https=False))
    assert mapped.manager.get_collection(guest)["enable_https"] is False
    assert mapped.manager.get_collection(guest)["https_url"] is None
    demo = sites.service("demo")
    assert demo.get_endpoint(guest)["https_server"] is None
    assert wait_until(lambda: fetch().status_code == 403)  # the node hears of it within a second
    asked = TransferData(guest, guest)
    asked.add_item("/a.txt", "/b.txt")
    task = demo.submit_transfer(asked)["task_id"]
    assert demo.task_wait(task, timeout=60, polling_interval=1)
    assert demo.get_task(task)["status"] == "SUCCEEDED"
    assert (folder / "open/b.txt").read_text() == "hello"


def test_checksums_are_forced_and_disabled(sites, mapped, folder):
    (folder / "open/a.txt").write_text("hello")

    def verifies(*, asked):
        document = TransferData(mapped.id, mapped.id, verify_checksum=asked)
        document.add_item("/open/a.txt", "/closed/a.txt")
        task = mapped.transfer.submit_transfer(document)["task_id"]
        assert mapped.transfer.task_wait(task, timeout=60, polling_interval=1)
        return mapped.transfer.get_task(task)["verify_checksum"]

    assert verifies(asked=True) is True
    mapped.set(force_verify=False, disable_verify=True)
    assert mapped.transfer.get_endpoint(mapped.id)["disable_verify"] is True
    assert verifies(asked=True) is False
    mapped.set(force_verify=True, disable_verify=False)
    assert verifies(asked=False) is True


def test_a_listing_without_a_path_begins_at_the_default_directory(mapped, folder):
    (folder / "open/a.txt").write_text("hello")
    guest = mapped.share("/")
    mapped.set(default_directory="/open/")
    listed = mapped.transfer.operation_ls(mapped.id)
    assert (listed["path"], [entry["name"] for entry in listed]) == ("/open/", ["a.txt"])
    assert mapped.transfer.get_endpoint(mapped.id)["default_directory"] == "/open/"
    mapped.manager.update_collection(guest, GuestCollectionDocument(default_directory="/closed/"))
    assert mapped.transfer.operation_ls(guest)["path"] == "/closed/"
    home = GuestCollectionDocument(default_directory="/~/")
    assert refusal(lambda: mapped.manager.update_collection(guest, home)) == (400, "InvalidPath"), "a guest collection has no home folder"
    assert refusal(lambda: mapped.transfer.update_endpoint(guest, {"default_directory": "/~/"})) == (400, "InvalidPath")


def test_who_is_to_be_told_of_activity_is_kept(mapped):
    guest = mapped.share()
    policy = {"status": ["FAILED"], "transfer_use": ["SOURCE"]}
    mapped.manager.update_collection(guest, GuestCollectionDocument(activity_notification_policy=policy))
    assert mapped.manager.get_collection(guest)["activity_notification_policy"] == policy
    other = {"status": ["SUCCEEDED"]}
    mapped.manager.update_collection(guest, {"guest_collection_activity_notification_policy": other})
    mapped.manager.update_collection(guest, {"force_verify": True})
    assert mapped.manager.get_collection(guest)["activity_notification_policy"] == policy, "that is its name at Transfer"
    mapped.transfer.update_endpoint(guest, {"guest_collection_activity_notification_policy": other, "disable_verify": False})
    shown = mapped.manager.get_collection(guest)
    assert (shown["activity_notification_policy"], shown["force_verify"]) == (other, True)
    wrong = GuestCollectionDocument(activity_notification_policy={"status": ["NEVER"]})
    assert refusal(lambda: mapped.manager.update_collection(guest, wrong)) == (400, "bad_request")
    assert refusal(lambda: mapped.manager.update_collection(guest, {"sharing_users_deny": ["x"]})) == (400, "bad_request")


def test_a_gateway_lets_in_the_accounts_that_it_names(sites, folder):
    manager = sites.manager("demo")
    document = {"DATA_TYPE": "storage_gateway#1.0.0", "display_name": "Few", "users_allow": ["demo"], "users_deny": ["root"]}
    gateway = manager.create_storage_gateway(document)["id"]
    mapped = Mapped(sites, folder, gateway=gateway)
    try:
        shown = manager.get_storage_gateway(gateway)
        assert (shown["users_allow"], shown["users_deny"]) == (["demo"], ["root"])
        assert sites.manager("portal").get_storage_gateway(gateway)["users_allow"] is None
        assert mapped.transfer.operation_ls(mapped.id, path="/")["length"] == 0
        guest = mapped.share()
        rule = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "path": "/", "permissions": "r"}
        mapped.transfer.add_endpoint_acl_rule(guest, rule)
        cy = sites.person("cy")
        assert cy.operation_ls(guest)["length"] == 0
        for accounts in ({"users_deny": ["demo"]}, {"users_deny": None, "users_allow": ["somebody"]}):
            manager.update_storage_gateway(gateway, {"DATA_TYPE": "storage_gateway#1.0.0", **accounts})
            assert refusal(lambda: mapped.transfer.operation_ls(mapped.id, path="/")) == (403, "EndpointPermissionDenied")
            assert refusal(lambda: cy.operation_ls(guest)) == (403, "EndpointPermissionDenied"), "it was made through that account"
            assert refusal(lambda: mapped.transfer.operation_ls(guest)) == (403, "EndpointPermissionDenied")
            assert mapped.transfer.get_endpoint(guest)["my_effective_roles"] == ["administrator"]
            credential = UserCredentialDocument(storage_gateway_id=gateway, username="demo")
            assert refusal(lambda asked=credential: manager.create_user_credential(asked)) == (403, "permission_denied")
        for wrong in ({"users_allow": "demo"}, {"restrict_paths": {"read_write": ["/"]}}):
            assert refusal(lambda asked=wrong: manager.update_storage_gateway(gateway, asked)) == (400, "bad_request")
    finally:
        mapped.remove()
        manager.delete_storage_gateway(gateway)
