"""The calls that both sides are asked: what the portal and the graph service do, and what must be refused. They leave nothing behind."""

import uuid
from collections.abc import Callable
from typing import Any

from globus_sdk import TransferData
from globus_sdk.scopes import TransferScopes

from tests.live.service_calls import SERVICE_CALLS
from tests.live.sides import Side

WRITABLE = {"DATA_TYPE": "access", "permissions": "rw"}
NOBODY = "00000000-0000-4000-8000-000000000000"
Call = Callable[[Side], Any]


def mkdir_again(side: Side) -> Any:
    path = side.new_folder()
    return side.transfer.operation_mkdir(side.destination.collection, path)


def rename(side: Side) -> Any:
    old = side.new_folder()
    return side.transfer.operation_rename(side.destination.collection, old, f"{side.workspace}{uuid.uuid4().hex}/")


def transfer_repeated(side: Side) -> Any:
    asked = side.copy()
    asked["submission_id"] = side.transfer.get_submission_id()["value"]
    side.ended(side.transfer.submit_transfer(asked)["task_id"])
    return side.transfer.submit_transfer(asked)


def transfer_to_nobody(side: Side) -> Any:
    asked = TransferData(side.source.collection, NOBODY)
    asked.add_item(side.source.path, "/", recursive=True)
    return side.transfer.submit_transfer(asked)


def submit_delete(side: Side) -> Any:
    answer = side.transfer.submit_delete(side.removal())
    side.ended(answer["task_id"])
    return answer


def submit_transfer(side: Side) -> Any:
    answer = side.transfer.submit_transfer(side.copy())
    side.ended(answer["task_id"])
    return answer


def bookmark(side: Side) -> Any:
    made = {"endpoint_id": side.destination.collection, "path": side.workspace, "name": uuid.uuid4().hex}
    answer = side.transfer.create_bookmark(made)
    side.transfer.delete_bookmark(answer["id"])
    return answer


def rule(side: Side, act: Callable[[str], Any]) -> Any:
    """What `act` answers about a rule that lets every signed-in person read a new folder; the rule is taken back."""
    wanted = {"DATA_TYPE": "access", "principal_type": "all_authenticated_users", "principal": "", "permissions": "r"}
    made = side.transfer.add_endpoint_acl_rule(side.destination.collection, {**wanted, "path": side.new_folder()})
    try:
        return made if (answer := act(made["access_id"])) is None else answer
    finally:
        side.transfer.delete_endpoint_acl_rule(side.destination.collection, made["access_id"])


def group(side: Side, act: Callable[[str], Any]) -> Any:
    made = side.groups.create_group({"name": f"causeway live {uuid.uuid4().hex}"})
    try:
        return made if (answer := act(made["id"])) is None else answer
    finally:
        side.groups.delete_group(made["id"])


def revoke(side: Side) -> Any:
    return side.app.oauth2_revoke_token(side.token(TransferScopes.all).access_token)


CALLS: dict[str, Call] = {
    "token": lambda s: s.app.oauth2_client_credentials_tokens(str(TransferScopes.all)),
    "token.wrong_secret": lambda s: s.impostor().oauth2_client_credentials_tokens(str(TransferScopes.all)),
    "token.unknown_scope": lambda s: s.app.oauth2_client_credentials_tokens("urn:globus:auth:scope:nowhere.example:all"),
    "token.revoke": revoke,
    "token.introspect_another_servers": lambda s: s.app.oauth2_token_introspect(s.token(TransferScopes.all).access_token),
    "userinfo": lambda s: s.auth.userinfo(),
    "identities.by_id": lambda s: s.auth.get_identities(ids=s.client_id),
    "identities.unknown": lambda s: s.auth.get_identities(ids=NOBODY),
    "endpoint.source": lambda s: s.transfer.get_endpoint(s.source.collection),
    "endpoint.destination": lambda s: s.transfer.get_endpoint(s.destination.collection),
    "endpoint.unknown": lambda s: s.transfer.get_endpoint(NOBODY),
    "endpoint.wrong_token": lambda s: s.stranger().get_endpoint(s.source.collection),
    "search": lambda s: s.transfer.endpoint_search(s.transfer.get_endpoint(s.source.collection)["display_name"]),
    "ls": lambda s: s.transfer.operation_ls(s.source.collection, path=s.source.path, limit=10),
    "ls.missing": lambda s: s.transfer.operation_ls(s.destination.collection, path=f"{s.workspace}none/"),
    "ls.unknown_collection": lambda s: s.transfer.operation_ls(NOBODY, path="/"),
    "stat": lambda s: s.transfer.operation_stat(s.destination.collection, s.new_folder()),
    "stat.missing": lambda s: s.transfer.operation_stat(s.destination.collection, f"{s.workspace}none"),
    "mkdir": lambda s: s.transfer.operation_mkdir(s.destination.collection, f"{s.workspace}{uuid.uuid4().hex}/"),
    "mkdir.again": mkdir_again,
    "rename": rename,
    "rename.missing": lambda s: s.transfer.operation_rename(s.destination.collection, f"{s.workspace}none", f"{s.workspace}other"),
    "submission_id": lambda s: s.transfer.get_submission_id(),
    "transfer": submit_transfer,
    "transfer.repeated": transfer_repeated,
    "transfer.empty": lambda s: s.transfer.submit_transfer(TransferData(s.source.collection, s.destination.collection)),
    "transfer.unknown_collection": transfer_to_nobody,
    "delete": submit_delete,
    "task": lambda s: s.transfer.get_task(s.finished),
    "task.unknown": lambda s: s.transfer.get_task(NOBODY),
    "task.list": lambda s: s.transfer.task_list(filter=f"task_id:{s.finished}"),
    "task.events": lambda s: s.transfer.task_event_list(s.finished),
    "task.successful": lambda s: s.transfer.task_successful_transfers(s.finished),
    "task.skipped": lambda s: s.transfer.task_skipped_errors(s.finished),
    "task.pause_info": lambda s: s.transfer.task_pause_info(s.finished),
    "task.cancel_ended": lambda s: s.transfer.cancel_task(s.finished),
    "task.update_ended": lambda s: s.transfer.update_task(s.finished, {"DATA_TYPE": "task", "label": "late"}),
    "bookmark": bookmark,
    "bookmark.unknown": lambda s: s.transfer.get_bookmark(NOBODY),
    "groups.mine": lambda s: s.groups.get_my_groups(),
    "groups.create": lambda s: group(s, lambda _: None),
    "groups.get": lambda s: group(s, s.groups.get_group),
    "groups.policies": lambda s: group(s, s.groups.get_group_policies),
    "groups.unknown": lambda s: s.groups.get_group(NOBODY),
    **SERVICE_CALLS,
}
GRANTS: dict[str, Call] = {
    "roles": lambda s: s.transfer.endpoint_role_list(s.destination.collection),
    "rules.no_principal": lambda s: s.transfer.add_endpoint_acl_rule(s.destination.collection, {**WRITABLE, "path": "/"}),
    "rules.no_folder": lambda s: s.transfer.add_endpoint_acl_rule(
        s.destination.collection, {**WRITABLE, "principal_type": "all_authenticated_users", "principal": "", "path": "/x"}
    ),
    "rules": lambda s: s.transfer.endpoint_acl_list(s.destination.collection),
    "rules.create": lambda s: rule(s, lambda _: None),
    "rules.get": lambda s: rule(s, lambda rule_id: s.transfer.get_endpoint_acl_rule(s.destination.collection, rule_id)),
    "rules.unknown": lambda s: s.transfer.get_endpoint_acl_rule(s.destination.collection, NOBODY),
    "rules.update": lambda s: rule(s, lambda rule_id: s.transfer.update_endpoint_acl_rule(s.destination.collection, rule_id, WRITABLE)),
}
"""For a client that may set rules at the destination."""
