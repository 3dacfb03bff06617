"""Every answer of Auth, Transfer, Groups, Search, Timers and the GCS Manager that the Globus SDK ships as a recording, against ours.

A good answer of ours has the recorded status and at least the recorded keys, with compatible JSON types and a value where the recording
has one (`recorded.py`); a refusal has the recorded status and code. `ANSWERS` says how each recording is asked for here, `LEFT_OUT` names
the others with the reason, and a recording in neither fails.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import globus_sdk
import globus_sdk.testing.data
import pytest
from globus_sdk import (
    AccessTokenAuthorizer,
    AuthClient,
    ConfidentialAppAuthClient,
    DeleteData,
    GCSClient,
    GlobusAPIError,
    GroupPolicies,
    GroupsClient,
    NativeAppAuthClient,
    RecurringTimerSchedule,
    SearchClient,
    StorageGatewayDocument,
    TimerJob,
    TimersClient,
    TransferClient,
    TransferData,
    TransferTimer,
    UserCredentialDocument,
)
from globus_sdk.scopes import AuthScopes, GCSCollectionScopes, GCSEndpointScopes, SearchScopes, TimersScopes, TransferScopes
from globus_sdk.testing import get_response_set

from tests.contract.recorded import LEFT_OUT, MOCKED_STATUS, differences
from tests.services.localglobus.transfer.conftest import Sites, wait_until

pytestmark = pytest.mark.long

SERVICES = ("auth", "transfer", "groups", "search", "timer", "globus_connect_server")
ADA = "ada@university.example"
GROUPS = "urn:globus:auth:scope:groups.api.globus.org:all"
IDENTITIES = "openid urn:globus:auth:scope:auth.globus.org:view_identities"
TEMPLATE = "95fdeba8-fac2-42bd-a357-e068d82ff78e"


@pytest.mark.parametrize(
    ("recorded", "ours", "found"),
    [
        ({"a": 1}, {"a": None}, ["$.a is None, recorded 1"]),
        ({"a": [1]}, {"a": []}, ["$.a is [], recorded [1]"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": "1"}]}, ["$.a[].b is str, recorded int"]),
        ({"a": 1, "b": 2}, {"b": 3}, ["$.a is missing"]),
        ({"a": None, "b": []}, {"a": 1, "b": []}, []),
        ({"next_marker": 1}, {"next_marker": None}, []),
    ],
)
def test_a_value_that_is_not_there_is_a_difference_unless_a_reason_is_named(recorded, ours, found):
    assert differences(recorded, ours, service="transfer") == found


@dataclass
class World:
    """The clients by which the recordings are asked for, each made when it is needed."""

    sites: Sites
    folder: Path
    indices: list[str] = field(default_factory=list)

    @cached_property
    def projects(self) -> AuthClient:
        tokens = self.sites.globus.client("demo").oauth2_client_credentials_tokens(str(AuthScopes.manage_projects))
        return AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))

    def new_policy(self) -> Any:
        return self.projects.create_policy(
            project_id=uuid.uuid4(), display_name="Of a test", description="x", high_assurance=True, authentication_assurance_timeout=60,
            domain_constraints_include=["university.example"], domain_constraints_exclude=["elsewhere.example"],
        )  # fmt: skip

    def policy(self, ask: Callable[[AuthClient, Any], Any]) -> Any:
        """What is answered of a policy that is gone afterwards."""
        made = self.new_policy()
        try:
            return ask(self.projects, made)
        finally:
            self.projects.delete_policy(made["policy"]["id"])

    def deleted_policy(self) -> Any:
        return self.projects.delete_policy(self.new_policy()["policy"]["id"])

    def deleted_gateway(self) -> Any:
        posix = "145812c8-decc-41f1-83cf-bb2a85a2a70b"
        made = self.manager.create_storage_gateway(StorageGatewayDocument(display_name="Of a test", connector_id=posix))
        return self.manager.delete_storage_gateway(made["id"])

    def token(self, client: str, scope: str) -> str:
        return self.sites.globus.client(client).oauth2_client_credentials_tokens(scope)["access_token"]

    def sign_in(self, scope: str, **options: Any) -> globus_sdk.OAuthTokenResponse:
        return self.sites.globus.sign_in(ADA, scope, **options)

    @cached_property
    def auth(self) -> AuthClient:
        return AuthClient(authorizer=AccessTokenAuthorizer(self.sign_in(IDENTITIES)["access_token"]))

    @cached_property
    def owner(self) -> AuthClient:
        """Ada with the right to see her own consents."""
        tokens = self.sign_in("openid urn:globus:auth:scope:auth.globus.org:manage_projects")
        return AuthClient(authorizer=AccessTokenAuthorizer(tokens["access_token"]))

    @cached_property
    def portal(self) -> TransferClient:
        return self.sites.service("portal")

    @cached_property
    def demo(self) -> TransferClient:
        return self.sites.service("demo")

    @cached_property
    def cy(self) -> TransferClient:
        return self.sites.person("cy")

    @cached_property
    def groups(self) -> GroupsClient:
        return GroupsClient(authorizer=AccessTokenAuthorizer(self.token("portal", GROUPS)))

    @cached_property
    def manager(self) -> GCSClient:
        return self.sites.manager("demo")

    @cached_property
    def timers(self) -> TimersClient:
        scope = str(TimersScopes.timer.with_dependency(TransferScopes.all))
        return TimersClient(authorizer=AccessTokenAuthorizer(self.token("portal", scope)))

    def timer(self) -> Any:
        """A timer that waits; `world` deletes it."""
        schedule = RecurringTimerSchedule(604800, start="2100-01-01T00:00:00+00:00", end={"condition": "iterations", "iterations": 2})
        return self.timers.create_timer(TransferTimer(name="example timer", schedule=schedule, body=self.copy()))

    def job(self, start: str = "2100-01-01T00:00:00+00:00") -> Any:
        body = {"source_endpoint_id": self.sites.collection("archive"), "destination_endpoint_id": self.share}
        item = {"source_path": "/public/notes.txt", "destination_path": self.at("job.txt"), "recursive": False}
        options = {"label": self.folder.name, "skip_source_errors": True, "sync_level": 3, "verify_checksum": True}
        callback = {"body": {**body, **options, "transfer_items": [item]}}
        return self.timers.create_job(TimerJob(JOBS, callback, start, 864000, name="example timer"))

    def job_that_ran(self) -> str:
        number = self.job("2020-01-01T00:00:00+00:00")["job_id"]
        wait_until(lambda: self.timers.get_job(number)["n_runs"])
        return number

    def paused_job(self) -> Any:
        self.timers.pause_job(number := self.job()["job_id"])
        return self.timers.get_job(number)

    def resumed_job(self) -> Any:
        self.timers.pause_job(number := self.job()["job_id"])
        return self.timers.resume_job(number)

    @cached_property
    def search(self) -> SearchClient:
        return SearchClient(authorizer=AccessTokenAuthorizer(self.token("portal", str(SearchScopes.all))))

    def index(self) -> str:
        """An index of the portal's client; `world` deletes it."""
        self.indices.append(self.search.create_index(self.folder.name, "of a recording")["id"])
        return self.indices[-1]

    def closed_index(self) -> str:
        self.search.delete_index(made := self.index())
        return made

    def filled_index(self) -> str:
        made = self.index()
        entry = {"subject": "foo-bar", "visible_to": ["public"], "content": {"foo": "bar"}}
        task = self.search.ingest(made, {"ingest_type": "GMetaEntry", "ingest_data": entry})["task_id"]
        wait_until(lambda: self.search.get_task(task)["state"] == "SUCCESS")
        return made

    def role(self, index: str) -> Any:
        principal = f"urn:globus:auth:identity:{self.sites.identity(ADA)}"
        return self.search.create_role(index, {"role_name": "writer", "principal": principal})

    def many_indices(self) -> Any:
        for _ in range(4):
            self.index()

    def deleted_role(self) -> Any:
        index = self.index()
        return self.search.delete_role(index, self.role(index)["id"])

    def foreign_update(self) -> Any:
        demo = SearchClient(authorizer=AccessTokenAuthorizer(self.token("demo", str(SearchScopes.all))))
        return demo.update_index(self.index(), description="mine")

    @property
    def share(self) -> str:
        return self.sites.collection("share")

    @property
    def gateway(self) -> str:
        return self.manager.get_storage_gateway_list()["data"][0]["id"]

    @property
    def credential(self) -> str:
        return self.manager.get_user_credential_list()["data"][0]["id"]

    def at(self, name: str) -> str:
        return f"/{self.folder.name}/{name}"

    def made(self, name: str) -> str:
        """The path of a file that is there."""
        (self.folder / name).write_text(name)
        return self.at(name)

    def copy(self) -> TransferData:
        asked = TransferData(self.sites.collection("archive"), self.share, label=self.folder.name)
        asked.add_item("/public/notes.txt", self.at("copied.txt"))
        return asked

    def finished(self) -> str:
        """A task that has ended."""
        task_id = self.portal.submit_transfer(self.copy())["task_id"]
        wait_until(lambda: self.portal.get_task(task_id)["status"] != "ACTIVE")
        return task_id

    def group(self) -> str:
        return self.groups.create_group({"name": self.folder.name})["id"]

    def removal(self) -> DeleteData:
        asked = DeleteData(endpoint=self.share)
        asked.add_item(self.made("gone"))
        return asked

    def bookmark(self) -> str:
        return self.portal.create_bookmark({"endpoint_id": self.share, "path": self.at(""), "name": uuid.uuid4().hex})["id"]

    def resource(self, **attributes: str) -> dict[str, Any]:
        """The JSON:API document of a bookmark."""
        relation = {"collection": {"data": {"type": "Collection", "id": self.share}}}
        return {"data": {"type": "Bookmark", "attributes": attributes, "relationships": relation}}

    def exchange(self, scope: str) -> Any:
        return self.sign_in(scope, offline=True)

    def wrong_code(self) -> Any:
        client = self.sites.globus.client("portal")
        client.oauth2_start_flow(self.sites.globus.portal_redirect, requested_scopes="openid")
        return client.oauth2_exchange_code_for_tokens("wrong")

    def dependent(self, *, is_refreshed: bool) -> Any:
        """What the graph service gets for a token; the demo's graph service depends on https of the archive."""
        https = GCSCollectionScopes(self.sites.collection("archive")).https
        token = self.sign_in(f"{self.sites.globus.env['CAUSEWAY_GRAPH_SCOPE']}[*{https}]")["access_token"]
        return self.sites.globus.client("graph").oauth2_get_dependent_tokens(token, refresh_tokens=is_refreshed)

    def introspected(self) -> Any:
        graph = self.sites.globus.client("graph")
        return graph.oauth2_token_introspect(self.sign_in(self.sites.globus.env["CAUSEWAY_GRAPH_SCOPE"])["access_token"])

    def deleted_client(self) -> Any:
        made = NativeAppAuthClient(TEMPLATE).create_native_app_instance(TEMPLATE, "short").data["included"]["client_credential"]
        return ConfidentialAppAuthClient(made["client"], made["secret"]).delete(f"/v2/api/clients/{made['client']}")

    def other_credential(self) -> str:
        """A user credential of the portal's client, through which nothing works."""
        manager = self.sites.manager("portal")
        return manager.get_user_credential_list()["data"][0]["id"]

    def created_credential(self) -> Any:
        """One more, which is gone again at once: commands that find one credential take it without asking."""
        made = self.manager.create_user_credential(UserCredentialDocument())
        self.manager.delete_user_credential(made["id"])
        return made

    def deleted_credential(self) -> Any:
        return self.sites.manager("portal").delete_user_credential(self.other_credential())

    def wrong_scope(self) -> GCSClient:
        """A client of the archive's manager with a token that has another scope."""
        address = self.sites.globus.env["CAUSEWAY_GCS_ADDRESS"]
        return GCSClient(address, authorizer=AccessTokenAuthorizer(self.token("demo", str(TransferScopes.all))))

    def stranger(self) -> GCSClient:
        """The portal's client at the manager: known there, administrator of nothing."""
        address = self.sites.globus.env["CAUSEWAY_GCS_ADDRESS"]
        scope = str(GCSEndpointScopes(GCSClient(address).endpoint_client_id).manage_collections)
        return GCSClient(address, authorizer=AccessTokenAuthorizer(self.token("portal", scope)))

    def anonymous(self) -> AuthClient:
        return AuthClient(authorizer=AccessTokenAuthorizer("wrong"))

    def verify(self, client: TransferClient, value: object) -> Any:
        return client.put(f"/v0.10/endpoint/{self.share}/subscription_admin_verified", data={"subscription_admin_verified": value})


JOBS = "https://actions.automate.globus.org/transfer/transfer/run"
POLICIES = GroupPolicies(
    is_high_assurance=False,
    group_visibility="private",
    group_members_visibility="managers",
    join_requests=False,
    signup_fields=["address1"],
)

ANSWERS: dict[str, Callable[[World], Any]] = {
    "auth.create_native_app_instance": lambda w: NativeAppAuthClient(TEMPLATE).create_native_app_instance(TEMPLATE, "CLI"),
    "auth.delete_client": World.deleted_client,
    "auth.get_consents": lambda w: w.owner.get_consents(w.sites.identity(ADA)),
    "auth.get_identities": lambda w: w.auth.get_identities(usernames=ADA),
    "auth.get_identities:empty": lambda w: w.auth.get_identities(usernames="nobody@nowhere.example"),
    "auth.get_identities:multiple": lambda w: w.auth.get_identities(usernames=[ADA, "cy@elsewhere.example"]),
    "auth.get_identities:unauthorized": lambda w: w.anonymous().get_identities(usernames=ADA),
    "auth.get_identity_providers": lambda w: w.auth.get_identity_providers(domains="university.example"),
    "auth.oauth2_client_credentials_tokens": lambda w: w.sites.globus.client("demo").oauth2_client_credentials_tokens(GROUPS),
    "auth.oauth2_client_credentials_tokens:openid": lambda w: w.sites.globus.client("demo").oauth2_client_credentials_tokens("openid"),
    "auth.oauth2_exchange_code_for_tokens": lambda w: w.exchange(str(TransferScopes.all)),
    "auth.oauth2_exchange_code_for_tokens:openid": lambda w: w.exchange(f"openid {GROUPS}"),
    "auth.oauth2_exchange_code_for_tokens:invalid_grant": World.wrong_code,
    "auth.oauth2_get_dependent_tokens": lambda w: w.dependent(is_refreshed=False),
    "auth.oauth2_get_dependent_tokens:groups_with_refresh_token": lambda w: w.dependent(is_refreshed=True),
    "auth.oauth2_revoke_token": lambda w: w.sites.globus.client("portal").oauth2_revoke_token("x"),
    "auth.oauth2_token_introspect": World.introspected,
    "auth.create_policy": lambda w: w.policy(lambda auth, made: made),
    "auth.get_policy": lambda w: w.policy(lambda auth, made: auth.get_policy(made["policy"]["id"])),
    "auth.get_policies": lambda w: w.policy(lambda auth, made: auth.get_policies()),
    "auth.update_policy": lambda w: w.policy(lambda auth, made: auth.update_policy(made["policy"]["id"], display_name="Renamed")),
    "auth.update_policy:no_domain_constrants_include": lambda w: w.policy(
        lambda auth, made: auth.update_policy(made["policy"]["id"], domain_constraints_include=None)
    ),
    "auth.update_policy:no_domain_constrants_exclude": lambda w: w.policy(
        lambda auth, made: auth.update_policy(made["policy"]["id"], domain_constraints_exclude=None)
    ),
    "auth.delete_policy": World.deleted_policy,
    "auth.userinfo:unauthorized": lambda w: w.anonymous().userinfo(),
    "auth.userinfo:forbidden": lambda w: AuthClient(authorizer=AccessTokenAuthorizer(w.sign_in("email")["access_token"])).userinfo(),
    "transfer.cancel_task": lambda w: w.portal.cancel_task(w.finished()),
    "transfer.endpoint_manager_task_list": lambda w: w.demo.endpoint_manager_task_list(filter_task_id=w.finished()),
    "transfer.endpoint_manager_task_successful_transfers": lambda w: w.demo.endpoint_manager_task_successful_transfers(w.finished()),
    "transfer.get_endpoint": lambda w: w.portal.get_endpoint(w.share),
    "transfer.get_submission_id": lambda w: w.portal.get_submission_id(),
    "transfer.operation_mkdir": lambda w: w.portal.operation_mkdir(w.share, w.at("made/")),
    "transfer.operation_rename": lambda w: w.portal.operation_rename(w.share, w.made("old"), w.at("new")),
    "transfer.operation_stat": lambda w: w.portal.operation_stat(w.share, w.made("x")),
    "transfer.operation_stat:not_found": lambda w: w.portal.operation_stat(w.share, w.at("none")),
    "transfer.operation_stat:permission_denied": lambda w: w.cy.operation_stat(w.share, w.at("x")),
    "transfer.set_subscription_admin_verified:no_admin_role": lambda w: w.verify(w.cy, value=True),
    "transfer.set_subscription_admin_verified:non_valid_verified_status": lambda w: w.verify(w.demo, value="yes"),
    "transfer.set_subscription_admin_verified:non_subscribed_endpoint": lambda w: w.verify(w.demo, value=True),
    "transfer.set_subscription_id": lambda w: w.demo.set_subscription_id(w.share, None),
    "transfer.set_subscription_id:not_found": lambda w: w.demo.set_subscription_id(uuid.uuid4(), None),
    "transfer.set_subscription_id:multi_subscriber_cannot_use_default": lambda w: w.demo.set_subscription_id(w.share, "DEFAULT"),
    "transfer.submit_delete": lambda w: w.portal.submit_delete(w.removal()),
    "transfer.submit_transfer": lambda w: w.portal.submit_transfer(w.copy()),
    "transfer.submit_transfer:failure": lambda w: w.portal.submit_transfer(TransferData(w.share, w.share)),
    "transfer.task_list": lambda w: w.portal.task_list(filter=f"task_id:{w.finished()}"),
    "transfer.update_endpoint": lambda w: w.demo.update_endpoint(w.share, {"DATA_TYPE": "endpoint", "description": "new"}),
    "transfer.v2.create_bookmark": lambda w: w.portal.post("/v2/bookmarks", data=w.resource(name=uuid.uuid4().hex, path="/x/")),
    "transfer.v2.get_bookmark": lambda w: w.portal.get(f"/v2/bookmarks/{w.bookmark()}"),
    "transfer.v2.list_bookmarks": lambda w: w.portal.get("/v2/bookmarks") if w.bookmark() else None,
    "transfer.v2.update_bookmark": lambda w: w.portal.patch(f"/v2/bookmarks/{w.bookmark()}", data=w.resource(name=uuid.uuid4().hex)),
    "transfer.v2.delete_bookmark": lambda w: w.portal.delete(f"/v2/bookmarks/{w.bookmark()}"),
    "groups.create_group": lambda w: w.groups.create_group({"name": w.folder.name}),
    "groups.delete_group": lambda w: w.groups.delete_group(w.group()),
    "groups.get_group": lambda w: w.groups.get_group(w.group()),
    "groups.get_my_groups": lambda w: w.groups.get_my_groups(),
    "groups.set_group_policies": lambda w: w.groups.set_group_policies(w.group(), POLICIES),
    "timer.create_timer": World.timer,
    "timer.create_job": World.job,
    "timer.create_job:validation_error": lambda w: w.timers.post("/jobs/", data={"callback_body": {}}),
    "timer.get_job": lambda w: w.timers.get_job(w.job_that_ran()),
    "timer.get_job:inactive_user": World.paused_job,
    "timer.list_jobs": lambda w: w.timers.list_jobs() if w.job() else None,
    "timer.update_job": lambda w: w.timers.update_job(w.job()["job_id"], {"name": "updated name"}),
    "timer.pause_job": lambda w: w.timers.pause_job(w.job()["job_id"]),
    "timer.resume_job": World.resumed_job,
    "timer.delete_job": lambda w: w.timers.delete_job(w.job()["job_id"]),
    "search.create_index": lambda w: w.search.get_index(w.index()),
    "search.create_index:trial_limit": World.many_indices,
    "search.update_index": lambda w: w.search.update_index(w.index(), description="new"),
    "search.update_index:forbidden": World.foreign_update,
    "search.delete_index": lambda w: w.search.delete_index(w.index()),
    "search.delete_index:delete_pending": lambda w: w.search.delete_index(w.closed_index()),
    "search.reopen_index": lambda w: w.search.reopen_index(w.closed_index()),
    "search.reopen_index:already_open": lambda w: w.search.reopen_index(w.index()),
    "search.index_list": lambda w: w.search.index_list() if w.index() else None,
    "search.create_role": lambda w: w.role(w.index()),
    "search.get_role_list": lambda w: w.search.get_role_list(w.index()),
    "search.delete_role": World.deleted_role,
    "search.search": lambda w: w.search.search(w.filled_index(), "bar"),
    "search.post_search": lambda w: w.search.post_search(w.filled_index(), {"q": "bar"}),
    "search.batch_delete_by_subject": lambda w: w.search.batch_delete_by_subject(w.filled_index(), ["foo-bar"]),
    "globus_connect_server.create_storage_gateway:validation_error": lambda w: w.manager.post("/storage_gateways", data={"x": 1}),
    "globus_connect_server.create_user_credential": World.created_credential,
    "globus_connect_server.delete_storage_gateway": World.deleted_gateway,
    "globus_connect_server.delete_storage_gateway:permission_denied_error": lambda w: w.stranger().delete_storage_gateway(w.gateway),
    "globus_connect_server.delete_user_credential": World.deleted_credential,
    "globus_connect_server.get_collection_list": lambda w: w.manager.get_collection_list(),
    "globus_connect_server.get_collection_list:forbidden": lambda w: w.wrong_scope().get_collection_list(),
    "globus_connect_server.get_endpoint": lambda w: w.manager.get_endpoint(),
    "globus_connect_server.get_gcs_info": lambda w: w.manager.get_gcs_info(),
    "globus_connect_server.get_storage_gateway": lambda w: w.manager.get_storage_gateway(w.gateway),
    "globus_connect_server.get_storage_gateway_list": lambda w: w.manager.get_storage_gateway_list(),
    "globus_connect_server.get_user_credential": lambda w: w.manager.get_user_credential(w.credential),
    "globus_connect_server.get_user_credential_list": lambda w: w.manager.get_user_credential_list(),
    "globus_connect_server.update_endpoint": lambda w: w.manager.update_endpoint({"organization": "Causeway Archive"}),
    "globus_connect_server.update_endpoint:include_endpoint": lambda w: w.manager.update_endpoint(
        {"organization": "Causeway Archive"}, include="endpoint"
    ),
    "globus_connect_server.update_storage_gateway": lambda w: w.manager.update_storage_gateway(
        w.gateway, {"display_name": "Causeway archive storage"}
    ),
    "globus_connect_server.update_user_credential": lambda w: w.manager.update_user_credential(w.credential, {"display_name": "mine"}),
}
"""By `service.method`, which stands for the default case and for every other good answer of the method that has no line of its own."""


def recordings() -> list[str]:
    """`service.method:case` of every recording of these services."""
    root, found = Path(globus_sdk.testing.data.__file__).parent, []
    for service in SERVICES:
        for path in sorted((root / service).rglob("[a-z]*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            found += [f"{name}:{case}" for case in get_response_set(name).cases()]
    return found


def answer_for(recording: str) -> Callable[[World], Any] | None:
    method, _, case = recording.partition(":")
    is_good = get_response_set(method).lookup(case).status in (None, 200, 201)
    return ANSWERS.get(recording) or (ANSWERS.get(method) if is_good else None)


def is_left_out(recording: str) -> bool:
    return recording in LEFT_OUT or recording.partition(":")[0] in LEFT_OUT


CHECKED = [each for each in recordings() if not is_left_out(each)]


@pytest.fixture
def world(sites, folder):
    made = World(sites, folder)
    yield made
    for task in made.portal.task_list(filter=f"status:ACTIVE/label:{folder.name}"):  # whose folder goes now
        made.portal.cancel_task(task["task_id"])
    for job in made.timers.list_jobs()["jobs"] if "timers" in vars(made) else ():
        made.timers.delete_job(job["job_id"])
    for index in made.indices:
        if made.search.get_index(index)["status"] == "open":
            made.search.delete_index(index)


def test_every_recording_is_asked_for_or_left_out_with_a_reason():
    assert [each for each in CHECKED if answer_for(each) is None] == []
    known = {part for each in recordings() for part in (each, each.partition(":")[0])}
    assert sorted({*ANSWERS, *LEFT_OUT} - known) == []


@pytest.mark.parametrize("recording", CHECKED)
def test_answer_is_what_was_recorded(world, recording):
    method, _, case = recording.partition(":")
    recorded, service = get_response_set(method).lookup(case), method.partition(".")[0]
    ask = answer_for(recording)
    assert ask is not None
    if recorded.status not in (None, 200, 201):
        with pytest.raises(GlobusAPIError) as refused:
            ask(world)
        assert refused.value.http_status == recorded.status
        assert differences(recorded.json, refused.value.raw_json, service=service) == []
        assert code_of(refused.value.raw_json) == code_of(recorded.json)
        return
    answer = ask(world)
    assert answer.http_status == MOCKED_STATUS.get(method, recorded.status)
    ours = getattr(answer, "full_data", None) or answer.data
    assert ours
    theirs = recorded.json["client"] if method == "auth.create_native_app_instance" else recorded.json  # recorded in an envelope too many
    assert differences(theirs, ours, service=service) == []


def code_of(body: Any) -> Any:
    """The code of a refusal, wherever its API has it."""
    return body.get("code") or body.get("error") if "errors" not in body else [each["code"] for each in body["errors"]]
