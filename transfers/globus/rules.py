"""Access rules on collections."""

from typing import Any

from transfers.errors import GlobusRefusedError
from transfers.faults import outside_call
from transfers.globus.clients import Id, transfer_client
from transfers.words import Rule


@outside_call
def add_rule(collection_id: Id, *, path: str, principal: Id = "", principal_type: str = "identity") -> str:
    """Let a principal read a folder and answer the rule's id. Safe to repeat: an existing rule is found. Never gives the right to write."""
    asked = {"DATA_TYPE": "access", "principal_type": principal_type, "principal": str(principal), "path": path, "permissions": "r"}
    try:
        with transfer_client(None) as client:
            return str(client.add_endpoint_acl_rule(collection_id, asked)["access_id"])
    except GlobusRefusedError as error:
        if "Exists" not in error.globus_code:
            raise
        found = find_rule(collection_id, path=path, principal=principal, principal_type=principal_type)
        if found is None:
            raise
        return found.rule_id


def find_rule(collection_id: Id, *, path: str, principal: Id = "", principal_type: str = "identity") -> Rule | None:
    """The rule of one principal on one folder."""
    wanted = (path, principal_type, str(principal))
    return next((r for r in list_rules(collection_id) if r.rule_id and (r.path, r.principal_type, r.principal) == wanted), None)


@outside_call
def remove_rule(collection_id: Id, rule_id: str) -> None:
    """Take a rule away. A rule that is gone is success."""
    try:
        with transfer_client(None) as client:
            client.delete_endpoint_acl_rule(collection_id, rule_id)
    except GlobusRefusedError as error:
        if not error.is_missing:
            raise


def list_rules(collection_id: Id) -> list[Rule]:
    """The access list of a collection, implicit rights of roles included."""
    with transfer_client(None) as client:
        lines = client.endpoint_acl_list(collection_id)["DATA"]
    return [
        Rule(
            str(r.get("id") or ""), r["path"], r["principal_type"], str(r.get("principal") or "") if _is_named(r) else "", r["permissions"]
        )
        for r in lines
    ]


def _is_named(rule: dict[str, Any]) -> bool:
    return rule["principal_type"] not in {"anonymous", "all_authenticated_users"}
