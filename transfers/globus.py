"""The gateway to Globus: Transfer, the GCS Manager, and the tokens of Auth. Plain functions, our words in and out.

Every call has a time-out and turns the SDK's errors into ours: `GlobusUnavailableError` (try again), `GlobusRefusedError` (do not),
`ConsentNeededError` (ask the person). `token=None` acts as the portal itself, otherwise as the person whose token it is.
Calls that change something are safe to repeat: "exists" and "gone" are success, submissions carry an id that is kept before the call.
Nothing here knows a model. `globus_sdk` is imported nowhere else in this app.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import globus_sdk
from django.conf import settings
from django.core.cache import cache
from globus_sdk.authorizers import GlobusAuthorizer
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes
from globus_sdk.transport import RequestsTransport, RetryConfig

from transfers.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError
from transfers.faults import after_call, outside_call
from transfers.words import Arrived, Collection, CopyItem, Entry, Fault, Rule, Skipped, TaskProgress, fault_in_words

TRANSFER_SERVER = "transfer.api.globus.org"
TRANSFER_SCOPE = "urn:globus:auth:scope:transfer.api.globus.org:all"
TIMEOUT_S = 10.0
LIST_PAGE = 10_000

Id = UUID | str


# -- folders and files --------------------------------------------------------------------------------------------------------


@outside_call
def make_folder(collection_id: Id, path: str, *, token: str | None = None) -> None:
    """Make one folder; its parent must exist. Safe to repeat."""
    try:
        with _transfer(token) as client:
            client.operation_mkdir(collection_id, path)
    except GlobusRefusedError as error:
        if "Exists" not in error.globus_code:
            raise


def list_folder(collection_id: Id, path: str, *, token: str | None = None) -> Iterator[Entry]:
    """What a folder holds, page by page."""
    offset = 0
    with _transfer(token) as client:
        while True:
            page = client.operation_ls(collection_id, path, limit=LIST_PAGE, offset=offset, orderby="name ASC")
            found = page["DATA"]
            for line in found:
                yield _entry(line)
            offset += len(found)
            if not found or offset >= int(page.get("total") or offset):
                return


def stat(collection_id: Id, path: str, *, token: str | None = None) -> Entry:
    """One file or folder. Raises GlobusRefusedError with `is_missing` when it is not there."""
    with _transfer(token) as client:
        return _entry(client.operation_stat(collection_id, path).data)


@outside_call
def delete_folder(collection_id: Id, path: str, *, submission_id: Id) -> str:
    """Start deleting a folder with all it holds; the answer is the task id. Safe to repeat with the same submission id."""
    order = globus_sdk.DeleteData(
        collection_id, label=_label(f"Causeway removes {path}"), submission_id=submission_id, recursive=True, ignore_missing=True,
        notify_on_succeeded=False, notify_on_failed=False, notify_on_inactive=False,
    )  # fmt: skip
    order.add_item(path)
    with _transfer(None) as client:
        return str(client.submit_delete(order)["task_id"])


@outside_call
def delete_files(collection_id: Id, paths: Iterable[str], *, submission_id: Id) -> str:
    """Start deleting single files; the answer is the task id. Safe to repeat with the same submission id."""
    order = globus_sdk.DeleteData(
        collection_id, label="Causeway removes files", submission_id=submission_id, recursive=False, ignore_missing=True,
        notify_on_succeeded=False, notify_on_failed=False, notify_on_inactive=False,
    )  # fmt: skip
    for path in paths:
        order.add_item(path)
    with _transfer(None) as client:
        return str(client.submit_delete(order)["task_id"])


# -- tasks --------------------------------------------------------------------------------------------------------------------


@outside_call
def new_submission_id(*, token: str | None = None) -> UUID:
    """A key for one submission: save it, then submit with it."""
    with _transfer(token) as client:
        return UUID(client.get_submission_id()["value"])


@outside_call
def submit_transfer(
    items: Iterable[CopyItem],
    *,
    source_id: Id,
    destination_id: Id,
    submission_id: Id,
    label: str,
    token: str | None = None,
    is_encrypted: bool = False,
) -> str:
    """Start a copy and answer its task id. Safe to repeat: the same submission id answers with the first task.

    A file that cannot be read is left out and reported, rather than tried for a day: the rest is not held up by it.
    """
    order = globus_sdk.TransferData(
        source_id, destination_id, label=_label(label), submission_id=submission_id, verify_checksum=True, preserve_timestamp=True,
        encrypt_data=is_encrypted,
        skip_source_errors=True, fail_on_quota_errors=True, notify_on_succeeded=False, notify_on_failed=False, notify_on_inactive=False,
    )  # fmt: skip
    for item in items:
        has_checksum = bool(item.sha256) and not item.is_recursive
        order.add_item(
            item.source_path,
            item.destination_path,
            recursive=item.is_recursive,
            external_checksum=item.sha256 if has_checksum else globus_sdk.MISSING,
            checksum_algorithm="sha256" if has_checksum else globus_sdk.MISSING,
        )
    with _transfer(token) as client:
        return str(client.submit_transfer(order)["task_id"])


@outside_call
def task_progress(task_id: str, *, token: str | None = None) -> TaskProgress:
    """How far a task is."""
    with _transfer(token) as client:
        task = client.get_task(task_id)
    fatal = task.get("fatal_error") or {}
    condition = str(task.get("nice_status") or "")
    return TaskProgress(
        status={"SUCCEEDED": "succeeded", "FAILED": "failed"}.get(task["status"], "active"),
        n_files=int(task.get("files") or 0),
        files_done=int(task.get("files_transferred") or 0),
        files_skipped=int(task.get("files_skipped") or 0),
        bytes_done=int(task.get("bytes_transferred") or 0),
        bytes_per_second=int(task.get("effective_bytes_per_second") or 0),
        faults=int(task.get("faults") or 0),
        condition="" if condition in {"OK", "Queued"} else fault_in_words(condition),
        fatal=fault_in_words(str(fatal.get("code") or ""), str(fatal.get("description") or "")) if fatal else "",
    )


def task_faults(task_id: str, *, token: str | None = None, most: int = 20) -> list[Fault]:
    """The latest things that went wrong with a task, newest first."""
    with _transfer(token) as client:
        events = client.task_event_list(task_id, limit=most, query_params={"filter": "is_error:1"})["DATA"]
    return [
        Fault(e["code"], fault_in_words(e["code"], str(e.get("details") or e.get("description") or "")), _time(e["time"]), True)
        for e in events
        if e.get("is_error")
    ]


def successful_transfers(task_id: str, *, token: str | None = None) -> Iterator[Arrived]:
    """The files that a finished task brought."""
    with _transfer(token) as client:
        for line in client.paginated.task_successful_transfers(task_id).items():
            algorithm = str(line.get("checksum_algorithm") or "").lower().replace("-", "")
            sha256 = str(line.get("checksum") or "") if algorithm in {"sha256", ""} and len(str(line.get("checksum") or "")) == 64 else ""
            yield Arrived(line["source_path"], line["destination_path"], int(line.get("size") or 0), sha256)
    after_call("successful_transfers")


def skipped_files(task_id: str, *, token: str | None = None) -> Iterator[Skipped]:
    """What a finished task left out, with the reason in words."""
    with _transfer(token) as client:
        for line in client.paginated.task_skipped_errors(task_id).items():
            reason = fault_in_words(str(line.get("error_code") or ""), str(line.get("error_details") or ""))
            yield Skipped(line["source_path"], bool(line.get("is_directory")), reason)


@outside_call
def cancel_task(task_id: str, *, token: str | None = None) -> None:
    """Ask Globus to stop a task. A task that is finished or unknown is success."""
    try:
        with _transfer(token) as client:
            client.cancel_task(task_id)
    except GlobusRefusedError as error:
        if not (error.is_missing or "Complete" in error.globus_code):
            raise


# -- access rules -------------------------------------------------------------------------------------------------------------


@outside_call
def add_rule(collection_id: Id, *, path: str, principal: Id = "", principal_type: str = "identity") -> str:
    """Let a principal read a folder and answer the rule's id. Safe to repeat: an existing rule is found. Never gives the right to write."""
    asked = {"DATA_TYPE": "access", "principal_type": principal_type, "principal": str(principal), "path": path, "permissions": "r"}
    try:
        with _transfer(None) as client:
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
        with _transfer(None) as client:
            client.delete_endpoint_acl_rule(collection_id, rule_id)
    except GlobusRefusedError as error:
        if not error.is_missing:
            raise


def list_rules(collection_id: Id) -> list[Rule]:
    """The access list of a collection, implicit rights of roles included."""
    with _transfer(None) as client:
        lines = client.endpoint_acl_list(collection_id)["DATA"]
    return [
        Rule(
            str(r.get("id") or ""), r["path"], r["principal_type"], str(r.get("principal") or "") if _is_named(r) else "", r["permissions"]
        )
        for r in lines
    ]


def _is_named(rule: dict[str, Any]) -> bool:
    return rule["principal_type"] not in {"anonymous", "all_authenticated_users"}


# -- collections --------------------------------------------------------------------------------------------------------------


def collection(collection_id: Id, *, token: str | None = None) -> Collection:
    """A collection's document."""
    with _transfer(token) as client:
        return _collection(client.get_endpoint(collection_id).data)


def search_collections(text: str = "", *, token: str, scopes: Iterable[str] = ("all",)) -> list[Collection]:
    """Collections by name, or all of a scope, scope by scope.

    Source: https://docs.globus.org/api/transfer/endpoint_and_collection_search/, "Search Scope".
    """
    found: dict[str, Collection] = {}
    with _transfer(token) as client:
        for scope in scopes:
            for line in client.endpoint_search(text or globus_sdk.MISSING, filter_scope=scope, limit=50)["DATA"]:
                if "collection" in str(line.get("entity_type")):
                    found.setdefault(line["id"], _collection(line))
    return list(found.values())


def check_role(collection_id: Id) -> None:
    """Raises GlobusRefusedError with the remedy when the portal may not grant access on a collection."""
    roles = collection(collection_id).roles
    if not {"administrator", "access_manager", "owner"} & set(roles):
        raise GlobusRefusedError(
            f"The portal may not manage access on collection {collection_id}. An administrator of the collection runs: "
            f"globus endpoint role create {collection_id} access_manager --identity {settings.GLOBUS_CLIENT_ID}",
            globus_code="PermissionDenied",
        )


@outside_call
def create_guest_collection(*, mapped_id: Id, base_path: str, name: str) -> str:
    """A guest collection over one folder; answers its id. Safe to repeat: one of that name on that storage is found."""
    if known := find_guest_collection(mapped_id=mapped_id, name=name):
        return known
    with _gcs(mapped_id) as client:
        gateway = client.get_collection(mapped_id).get("storage_gateway_id")
        credentials = [
            c for c in client.get_user_credential_list(gateway or globus_sdk.MISSING) if c["identity_id"] == settings.GLOBUS_CLIENT_ID
        ]
        document = globus_sdk.GuestCollectionDocument(
            mapped_collection_id=mapped_id,
            collection_base_path=base_path,
            display_name=name,
            public=False,
            user_credential_id=credentials[0]["id"] if credentials else globus_sdk.MISSING,
        )
        return str(client.create_collection(document)["id"])


def find_guest_collection(*, mapped_id: Id, name: str) -> str:
    """The id of the guest collection of that name on a storage; empty when there is none."""
    with _gcs(mapped_id) as client:
        found = client.paginated.get_collection_list(mapped_collection_id=mapped_id).items()
        return next((str(line["id"]) for line in found if line.get("display_name") == name), "")


@outside_call
def delete_guest_collection(collection_id: Id, *, mapped_id: Id) -> None:
    """Delete a guest collection with all its rules; the files stay. One that is gone is success."""
    try:
        with _gcs(mapped_id) as client:
            client.delete_collection(collection_id)
    except GlobusRefusedError as error:
        if not error.is_missing:
            raise


def base_path_of(collection_id: Id, *, mapped_id: Id) -> str:
    """Where on its storage a guest collection begins, ending with "/"."""
    with _gcs(mapped_id) as client:
        return str(client.get_collection(collection_id)["collection_base_path"]).rstrip("/") + "/"


# -- addresses ----------------------------------------------------------------------------------------------------------------


def file_manager_link(collection_id: Id, path: str) -> str:
    """The Globus file manager at a folder."""
    return f"{_app_url()}/file-manager?{urlencode({'origin_id': str(collection_id), 'origin_path': path})}"


def activity_link(task_id: str) -> str:
    """The Globus page of a task."""
    return f"{_app_url()}/activity/{quote(task_id)}"


def https_url(collection_id: Id, path: str) -> str:
    """The address of a file or folder for HTTPS access, percent-encoded segment by segment."""
    return https_server(collection_id).rstrip("/") + quote(path)


def https_server(collection_id: Id) -> str:
    """The HTTPS address of a collection's root; looked up once in ten minutes."""
    key = f"https-server:{collection_id}"
    known = cache.get(key)
    if known is None:
        known = collection(collection_id).https_server
        cache.set(key, known, timeout=600)
    return str(known)


def trusted_ca_file() -> str:
    """The certificate authority that the SDK is told to trust, where it is one of our own; empty for the usual ones."""
    verified = _transport().verify_ssl
    return verified if isinstance(verified, str) else ""


def _app_url() -> str:
    return str(settings.GLOBUS_APP_URL).rstrip("/")


# -- tokens -------------------------------------------------------------------------------------------------------------------


def refresh_tokens(refresh_token: str) -> dict[str, Any]:
    """New tokens for a refresh token, as Auth answers. Raises ConsentNeededError when Auth does not know it any more."""
    try:
        with _errors():
            return dict(_auth_client().oauth2_refresh_token(refresh_token).data)
    except GlobusRefusedError as error:
        raise ConsentNeededError("Globus ended the permission that you gave.") from error


def revoke_token(token: str) -> None:
    """End a token at Globus. An unknown token is success."""
    with _errors():
        _auth_client().oauth2_revoke_token(token)


def own_token(scope: str) -> str:
    """The portal's own token for a scope, such as that of the graph service."""
    with _errors(is_own=True):
        return str(_own_authorizer(scope).get_authorization_header()).removeprefix("Bearer ")


# -- the clients and their errors ---------------------------------------------------------------------------------------------


@contextmanager
def _transfer(token: str | None) -> Iterator[globus_sdk.TransferClient]:
    with _errors(is_own=token is None):
        authorizer = globus_sdk.AccessTokenAuthorizer(token) if token else _own_authorizer(TRANSFER_SCOPE)
        with globus_sdk.TransferClient(authorizer=authorizer, transport=_transport(), retry_config=_retries()) as client:
            yield client


@contextmanager
def _gcs(mapped_id: Id) -> Iterator[globus_sdk.GCSClient]:
    """The GCS Manager as the portal. Managing guest collections needs the consent for the storage beneath them."""
    address = settings.GCS_ADDRESS
    with _errors(is_own=True):
        scope = GCSEndpointScopes(_gcs_endpoint(address)).manage_collections.with_dependency(
            GCSCollectionScopes(str(mapped_id)).data_access
        )
        with globus_sdk.GCSClient(
            address, authorizer=_own_authorizer(str(scope)), transport=_transport(), retry_config=_retries()
        ) as client:
            yield client


@lru_cache(maxsize=8)
def _gcs_endpoint(address: str) -> str:
    with globus_sdk.GCSClient(address, transport=_transport(), retry_config=_retries()) as client:
        return str(client.endpoint_client_id)


def _own_authorizer(scope: str) -> GlobusAuthorizer:
    return _client_credentials(scope, settings.GLOBUS_CLIENT_ID, settings.GLOBUS_CLIENT_SECRET)


@lru_cache(maxsize=32)
def _client_credentials(scope: str, client_id: str, secret: str) -> GlobusAuthorizer:
    """The portal's own token for one scope, kept in this process; renewed when it ends or Globus does not accept it."""
    auth = globus_sdk.ConfidentialAppAuthClient(client_id, secret, transport=_transport(), retry_config=_retries())
    return globus_sdk.ClientCredentialsAuthorizer(auth, scope)


def _auth_client() -> globus_sdk.ConfidentialAppAuthClient:
    return globus_sdk.ConfidentialAppAuthClient(
        settings.GLOBUS_CLIENT_ID, settings.GLOBUS_CLIENT_SECRET, transport=_transport(), retry_config=_retries()
    )


def _transport() -> RequestsTransport:
    return RequestsTransport(http_timeout=TIMEOUT_S)


def _retries() -> RetryConfig:
    """One quick retry here; longer waits belong to the queue, where they hold up nobody."""
    return RetryConfig(max_retries=1, max_sleep=1)


@contextmanager
def _errors(*, is_own: bool = False) -> Iterator[None]:
    try:
        yield
    except globus_sdk.GlobusAPIError as error:
        translated = _translated(error)
        if is_own and isinstance(translated, ConsentNeededError):  # no person can give it: an operator has to mend the portal's client
            raise GlobusUnavailableError("Globus does not accept the portal itself at the moment.") from error
        raise translated from error
    except globus_sdk.NetworkError as error:
        raise GlobusUnavailableError("Globus cannot be reached.") from error


def _translated(error: globus_sdk.GlobusAPIError) -> Exception:
    """Which of our errors a Globus error is. "ExternalError" is the collection speaking, not Globus."""
    code, status, words = str(error.code or ""), error.http_status, str(error.message or error.text or "")[:500]
    if error.info.consent_required:
        return ConsentNeededError(required_scopes=error.info.consent_required.required_scopes)
    if status == 401:
        return ConsentNeededError("Globus does not accept the permission any more.", required_scopes=[TRANSFER_SCOPE])
    is_passing = any(word in code for word in ("ConnectFailed", "Timeout", "GCDisconnected", "ServiceUnavailable"))
    if status == 429 or is_passing or (status >= 500 and "ExternalError" not in code and "EndpointError" not in code):
        return GlobusUnavailableError(f"Globus: {words}", retry_after_s=_retry_after_s(error))
    return GlobusRefusedError(words, globus_code=code, globus_status=status)


def _retry_after_s(error: globus_sdk.GlobusAPIError) -> int:
    said = error.headers.get("Retry-After", "")
    return int(said) if said.isdigit() else 0


def _entry(line: Any) -> Entry:
    modified = line.get("last_modified")
    return Entry(line["name"], line["type"], int(line.get("size") or 0), _time(modified) if modified else None)


def _collection(line: Any) -> Collection:
    return Collection(
        id=line["id"],
        name=str(line.get("display_name") or line.get("canonical_name") or line["id"]),
        kind=str(line.get("entity_type") or ""),
        owner=str(line.get("owner_string") or ""),
        https_server=str(line.get("https_server") or ""),
        mapped_collection_id=str(line.get("mapped_collection_id") or ""),
        roles=tuple(line.get("my_effective_roles") or ()),
        default_folder=str(line.get("default_directory") or "/~/"),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _label(words: str) -> str:
    return " ".join(words.split())[:128]
