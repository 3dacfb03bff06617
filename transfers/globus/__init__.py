"""The gateway to Globus: Transfer, the GCS Manager, Search, and the tokens of Auth. Plain functions, our words in and out.

Every call has a time-out and turns the SDK's errors into ours: `GlobusUnavailableError` (try again), `GlobusRefusedError` (do not),
`ConsentNeededError` (ask the person). `token=None` acts as the portal itself, otherwise as the person whose token it is.
Calls that change something are safe to repeat: "exists" and "gone" are success, submissions carry an id that is kept before the call.
Nothing here knows a model. `globus_sdk` is imported nowhere else in this app.
"""

from transfers.globus.addresses import activity_link, file_manager_link, https_server, https_url, roles_link, trusted_ca_file
from transfers.globus.clients import TRANSFER_SCOPE
from transfers.globus.collections import (
    base_path_of,
    check_role,
    collection,
    create_guest_collection,
    delete_guest_collection,
    find_guest_collection,
    role_command,
    search_collections,
)
from transfers.globus.folders import delete_files, delete_folder, list_folder, make_folder, stat
from transfers.globus.rules import add_rule, find_rule, list_rules, remove_rule
from transfers.globus.search import delete_subjects, find_entries, ingest_entries, list_entries, search_task
from transfers.globus.tasks import (
    cancel_task,
    new_submission_id,
    skipped_files,
    submit_transfer,
    successful_transfers,
    task_faults,
    task_progress,
)
from transfers.globus.tokens import own_token, refresh_tokens, revoke_token

TRANSFER_SERVER = "transfer.api.globus.org"

__all__ = [
    "TRANSFER_SCOPE",
    "TRANSFER_SERVER",
    "activity_link",
    "add_rule",
    "base_path_of",
    "cancel_task",
    "check_role",
    "collection",
    "create_guest_collection",
    "delete_files",
    "delete_folder",
    "delete_guest_collection",
    "delete_subjects",
    "file_manager_link",
    "find_entries",
    "find_guest_collection",
    "find_rule",
    "https_server",
    "https_url",
    "ingest_entries",
    "list_entries",
    "list_folder",
    "list_rules",
    "make_folder",
    "new_submission_id",
    "own_token",
    "refresh_tokens",
    "remove_rule",
    "revoke_token",
    "role_command",
    "roles_link",
    "search_collections",
    "search_task",
    "skipped_files",
    "stat",
    "submit_transfer",
    "successful_transfers",
    "task_faults",
    "task_progress",
    "trusted_ca_file",
]
