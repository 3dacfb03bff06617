"""How answers are compared with the SDK's recordings, and what is left out of that: each with its reason."""

from typing import Any

PROJECTS = "developers' projects are not part of the stand-in: clients come from the demo world and the CLI's template"
TUNNELS = "streaming tunnels are not part of the stand-in"
SUBSCRIPTIONS = "there are no subscriptions, and so nobody has one to set or to verify"
LEFT_OUT = {
    **dict.fromkeys(
        [f"auth.{verb}_{noun}" for verb in ("create", "update", "delete", "get") for noun in ("project", "scope")]
        + ["auth.get_projects", "auth.get_scopes", "auth.get_clients", "auth.get_client", "auth.update_client"]
        + ["auth.create_client", "auth.create_child_client", "auth.create_client_credential", "auth.delete_client_credential"]
        + ["auth.get_client_credentials"],
        PROJECTS,
    ),
    **dict.fromkeys(
        [f"transfer.{name}" for name in ("create_tunnel", "delete_tunnel", "get_tunnel", "get_tunnel_events", "list_tunnels")]
        + ["transfer.update_tunnel", "transfer.get_stream_access_point"]
        + [f"transfer.v2.{name}" for name in ("create_tunnel", "delete_tunnel", "get_tunnel", "get_tunnel_events", "list_tunnels")]
        + ["transfer.v2.update_tunnel", "transfer.v2.get_stream_access_point", "transfer.v2.list_stream_access_points"],
        TUNNELS,
    ),
    "transfer.set_subscription_admin_verified:default": SUBSCRIPTIONS,
    "transfer.set_subscription_admin_verified:no_identities_in_session": SUBSCRIPTIONS,
    "groups.get_group:subscription": SUBSCRIPTIONS,
    "groups.get_group_by_subscription_id": SUBSCRIPTIONS,
    "groups.set_subscription_admin_verified": SUBSCRIPTIONS,
    "timer.create_timer:flow_timer_success": "there are no flows",
    "timer.get_job:simple_500_error": "a fault of the service, which nobody can ask for",
    "timer.get_job:inactive_gare": "shown by timers/test_timers.py: it needs a person who takes a consent back",
    "globus_connect_server.create_storage_gateway:default": "a gateway has no mapping and no restricted paths of its own",
}


NOT_ASKED_FOR = "what is made for the comparison has none"
NO_RUN_YET = "the timer has not run: it waits until the year 2100"
PLAIN_GATEWAY = "the demo world's gateway lets every account in that it gave; it has no mapping and no restricted paths"
REGISTERED = "clients belong to no project, and a host name of theirs is not kept"
ACTIVATION = "endpoints of version 5 are not activated, and nothing of theirs expires"
ENDED_OR_OPEN = (
    "completion_time",
    "details.completion_time",
    "details.is_ok",
    "details.nice_status",
    "details.nice_status_details",
    "details.nice_status_expires_in",
    "details.nice_status_short_description",
)
NOTHING_THERE = {
    "auth $.client.fqdns": REGISTERED,
    "auth $.client.project": REGISTERED,
    "groups $.description": NOT_ASKED_FOR,
    "groups $.my_memberships": "who deleted the group is in it no more",
    "timer $.last_ran_at": NO_RUN_YET,
    "timer $.results.data": NO_RUN_YET,
    "timer $.jobs[].last_ran_at": NO_RUN_YET,
    "timer $.jobs[].results.data": NO_RUN_YET,
    "transfer $.DATA[].destination_local_user": "a guest collection has no accounts to choose among",
    "transfer $.next_marker": "one page holds all files of the task",
    "transfer $.expires_in": ACTIVATION,
    "transfer $.expire_time": ACTIVATION,
    "transfer $.DATA[].subject": "the certificate of a node is for its host's name",
    "globus_connect_server $.detail": "the recording has an empty text",
    "globus_connect_server $.data": "the recording has one empty document",
    "globus_connect_server $.data[].contact_email": "the demo world's endpoint names nobody until somebody does",
    "globus_connect_server $.data[].display_name": "the credential of an account is named by nobody until somebody does",
    **dict.fromkeys(
        [f"timer $.results.data[].data.{name}" for name in ENDED_OR_OPEN], "the task was submitted just now, and ends at any moment"
    ),
    **dict.fromkeys(
        [f"globus_connect_server $.data[].{name}" for name in ("allowed_domains", "mapping", "restrict_paths", "users_allow", "users_deny")]
        + [f"globus_connect_server $.data[].policies.{name}" for name in ("groups_allow", "groups_deny")],
        PLAIN_GATEWAY,
    ),
}
"""`service where` of what a recording has a value for and ours has null or nothing in it, with the reason."""

MOCKED_STATUS = {
    "auth.create_native_app_instance": 201,
    "auth.create_policy": 201,
    "globus_connect_server.create_user_credential": 201,
    "search.batch_delete_by_subject": 202,
    "transfer.operation_mkdir": 202,
    "transfer.submit_delete": 202,
    "transfer.submit_transfer": 202,
}
"""What is answered where a recording has 200, which it has also when nobody wrote a status: these make something, or accept a task."""


def differences(recorded: Any, ours: Any, *, service: str, where: str = "$") -> list[str]:
    """What the recording has and ours has not, or of another JSON type."""
    if recorded is None:
        return []
    if ours is None or (recorded and ours in ([], {})):
        return [] if f"{service} {where}" in NOTHING_THERE else [f"{where} is {ours}, recorded {recorded}"]
    if isinstance(recorded, dict) and isinstance(ours, dict):
        missing = [f"{where}.{key} is missing" for key in recorded if key not in ours]
        there = [key for key in recorded if key in ours]
        return missing + [each for key in there for each in differences(recorded[key], ours[key], service=service, where=f"{where}.{key}")]
    if isinstance(recorded, list) and isinstance(ours, list):
        return [each for one in ours for each in differences(recorded[0], one, service=service, where=f"{where}[]")] if recorded else []
    kinds = (int, float) if isinstance(recorded, (int, float)) and not isinstance(recorded, bool) else type(recorded)
    return [] if isinstance(ours, kinds) else [f"{where} is {type(ours).__name__}, recorded {type(recorded).__name__}"]
