"""Further calls for both sides: what else the CLI and the SDK's clients ask of Auth, Transfer, Timers, Search and the GCS Manager.

Of Search nothing is made: an index that was deleted counts against its owner for a day at Globus.
"""

import uuid
from collections.abc import Callable
from typing import Any

from globus_sdk import ConfidentialAppAuthClient, OnceTimerSchedule, TransferData, TransferTimer
from globus_sdk.scopes import TransferScopes

from tests.live.sides import Side

Call = Callable[[Side], Any]
NOBODY = "00000000-0000-4000-8000-000000000000"
FAR = "2100-01-01T00:00:00+00:00"
OPENID = "openid email profile"


def folder(side: Side) -> str:
    """A folder with two folders in it."""
    path = side.new_folder()
    for name in ("a", "b"):
        side.transfer.operation_mkdir(side.destination.collection, f"{path}{name}/")
    return path


def listed(side: Side, **query: Any) -> Any:
    return side.transfer.operation_ls(side.destination.collection, path=folder(side), **query)


def missing_source(side: Side) -> TransferData:
    asked = TransferData(
        side.destination.collection, side.destination.collection, label="causeway live", skip_source_errors=True, notify_on_succeeded=False
    )
    asked.add_item(f"{side.workspace}none", f"{side.workspace}{uuid.uuid4().hex}")
    return asked


def skipped(side: Side) -> Any:
    """What a task tells of a file that is not there."""
    task = side.transfer.submit_transfer(missing_source(side))["task_id"]
    side.over(task)
    return side.transfer.task_skipped_errors(task)


def missing_deleted(side: Side, ask: Callable[[str], Any]) -> Any:
    """What is told of a deletion that ended badly, for there is nothing to delete."""
    asked = side.removal()
    asked["DATA"][0]["path"] = f"{side.workspace}none/"
    task = side.transfer.submit_delete(asked)["task_id"]
    side.over(task)
    return ask(task)


def late(side: Side) -> Any:
    asked = side.copy()
    asked["deadline"] = "2001-01-01T00:00:00+00:00"
    return side.transfer.submit_transfer(asked)


def untold_level(side: Side) -> Any:
    asked = side.copy()
    asked["sync_level"] = 9
    return side.transfer.submit_transfer(asked)


def timer(side: Side, ask: Callable[[str], Any]) -> Any:
    """What is answered of a timer that waits until the year 2100; it is deleted."""
    made = side.timers.create_timer(TransferTimer(name="causeway live", schedule=OnceTimerSchedule(FAR), body=side.copy()))
    number = made["timer"]["job_id"]
    try:
        return made if (answer := ask(number)) is None else answer
    finally:
        side.timers.delete_job(number)


def deleted_timer(side: Side) -> Any:
    made = side.timers.create_timer(TransferTimer(name="causeway live", schedule=OnceTimerSchedule(FAR), body=side.copy()))
    return side.timers.delete_job(made["timer"]["job_id"])


def form(side: Side, path: str, **fields: str) -> Any:
    """A form sent to Auth as the client itself."""
    return side.app.post(path, data=fields, encoding="form")


def code(side: Side) -> Any:
    side.app.oauth2_start_flow("https://auth.globus.org/v2/web/auth-code", requested_scopes=OPENID)
    return side.app.oauth2_exchange_code_for_tokens("wrong")


def unknown_client(side: Side) -> Any:
    with side.pointed_at():
        return ConfidentialAppAuthClient(NOBODY, "wrong").oauth2_client_credentials_tokens(str(TransferScopes.all))


SERVICE_CALLS: dict[str, Call] = {
    "token.openid": lambda s: s.app.oauth2_client_credentials_tokens(OPENID),
    "token.code_that_is_none": code,
    "token.refresh_that_is_none": lambda s: s.app.oauth2_refresh_token("wrong"),
    "token.unknown_client": unknown_client,
    "token.unknown_grant": lambda s: form(s, "/v2/oauth2/token", grant_type="nothing"),
    "token.validate": lambda s: form(s, "/v2/oauth2/token/validate", token=s.token(OPENID).access_token),
    "token.validate_nothing": lambda s: form(s, "/v2/oauth2/token/validate", token="wrong"),
    "token.introspect_nothing": lambda s: s.app.oauth2_token_introspect("wrong"),
    "token.dependent_of_anothers": lambda s: s.app.oauth2_get_dependent_tokens(s.token(TransferScopes.all).access_token),
    "discovery": lambda s: s.app.get_openid_configuration(),
    "userinfo.wrong_token": lambda s: s.visitor().userinfo(),
    "identities.by_name": lambda s: s.auth.get_identities(usernames=f"{s.client_id}@clients.auth.globus.org"),
    "identities.both": lambda s: s.auth.get("/v2/api/identities", query_params={"ids": NOBODY, "usernames": "a@b.example"}),
    "consents": lambda s: s.auth.get_consents(s.client_id),
    "search.mine": lambda s: s.transfer.endpoint_search(filter_scope="my-endpoints"),
    "search.recent": lambda s: s.transfer.endpoint_search(filter_scope="recently-used"),
    "search.no_words": lambda s: s.transfer.endpoint_search(filter_scope="all"),
    "search.unknown_scope": lambda s: s.transfer.endpoint_search("x", filter_scope="nothing"),
    "endpoint.pause_rules": lambda s: s.transfer.my_effective_pause_rule_list(s.source.collection),
    "endpoint.servers": lambda s: s.transfer.endpoint_server_list(s.source.collection),
    "endpoint.my_shared": lambda s: s.transfer.my_shared_endpoint_list(s.source.collection),
    "endpoint.no_uuid": lambda s: s.transfer.get_endpoint("nothing"),
    "ls.ordered": lambda s: listed(s, orderby="name DESC", show_hidden=False),
    "ls.filtered": lambda s: listed(s, filter="name:~a*/type:dir"),
    "ls.page": lambda s: listed(s, limit=1, offset=1),
    "ls.wrong_order": lambda s: listed(s, orderby="nothing"),
    "ls.above": lambda s: s.transfer.operation_ls(s.destination.collection, path="/../"),
    "mkdir.without_parent": lambda s: s.transfer.operation_mkdir(s.destination.collection, f"{s.workspace}none/below/"),
    "transfer.late": late,
    "transfer.unknown_sync_level": untold_level,
    "task.skipped_missing": skipped,
    "task.failed": lambda s: missing_deleted(s, s.transfer.get_task),
    "task.failed_events": lambda s: missing_deleted(s, s.transfer.task_event_list),
    "task.list_wrong_filter": lambda s: s.transfer.task_list(filter="nothing:x"),
    "monitored": lambda s: s.transfer.endpoint_manager_monitored_endpoints(),
    "monitored.task_of_nobody": lambda s: s.transfer.endpoint_manager_get_task(NOBODY),
    "timer": lambda s: timer(s, lambda _: None),
    "timer.get": lambda s: timer(s, s.timers.get_job),
    "timer.pause": lambda s: timer(s, s.timers.pause_job),
    "timer.delete": deleted_timer,
    "timer.unknown": lambda s: s.timers.get_job(NOBODY),
    "timer.list": lambda s: timer(s, lambda _: s.timers.list_jobs()),
    "index.unknown": lambda s: s.indices.get_index(NOBODY),
    "index.unknown_search": lambda s: s.indices.search(NOBODY, "x"),
    "groups.no_uuid": lambda s: s.groups.get_group("nothing"),
    "manager": lambda s: s.manager().get_gcs_info(),
    "manager.wrong_token": lambda s: s.manager("wrong").get_collection_list(),
}
