"""The gateway to Globus: Auth (introspection, dependent tokens) and Transfer (folders, rules and deletion in the results collection).

Plain functions on one `Globus`; the SDK's errors become ours here and only here. No token is ever part of a message. Everything that
changes something is safe to repeat: "exists" and "gone" are success, deletions carry their submission id.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import globus_sdk
from globus_sdk.scopes import GCSCollectionScopes
from globus_sdk.transport import RequestsTransport, RetryConfig

from services.graph.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError
from services.graph.settings import Settings

TIMEOUT_S = 10.0
SERVER_LIFETIME_S = 300
TRANSFER_ALL = "urn:globus:auth:scope:transfer.api.globus.org:all"


class Globus:
    """Calls as this service's own client, which is access manager of the results collection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._servers: dict[str, tuple[float, str]] = {}
        self._own_tokens: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def introspect(self, token: str) -> dict[str, Any]:
        """What Globus Auth says about a token (RFC 7662); `{"active": False}` for one that is not live or not for us."""
        with self._auth() as client:
            return dict(client.oauth2_token_introspect(token).data)

    def dependent_tokens(self, token: str) -> dict[str, str]:
        """Access tokens by resource server, for what the caller let this service do for her. Raises ConsentNeededError."""
        with self._auth() as client:
            answer = client.oauth2_get_dependent_tokens(token)
            return {server: str(entry["access_token"]) for server, entry in answer.by_resource_server.items()}

    def https_server(self, collection_id: str) -> str:
        """The HTTPS address of a collection, as Globus knows it: an address from a request would be an order to send tokens anywhere."""
        with self._lock:
            until, server = self._servers.get(collection_id, (0.0, ""))
        if until < time.monotonic():
            with self._transfer() as client:
                server = str(client.get_endpoint(collection_id).get("https_server") or "")
            if not server:
                raise GlobusRefusedError("The collection has no HTTPS access.")
            with self._lock:
                self._servers[collection_id] = (time.monotonic() + SERVER_LIFETIME_S, server)
        return server

    def own_token(self, collection_id: str) -> str:
        """The access token of this service itself for files of a collection over HTTPS."""
        return self._client_token(str(GCSCollectionScopes(collection_id).https))

    def make_folder(self, path: str) -> None:
        """Make one folder in the results collection; its parent must exist. Safe to repeat."""
        try:
            with self._transfer() as client:
                client.operation_mkdir(self._settings.results_collection, path)
        except GlobusRefusedError as error:
            if "Exists" not in error.globus_code:
                raise

    def add_rule(self, identity_id: str, path: str) -> str:
        """Let an identity read a folder of the results collection; answers the rule's id. Safe to repeat."""
        rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": identity_id, "path": path, "permissions": "r"}
        try:
            with self._transfer() as client:
                return str(client.add_endpoint_acl_rule(self._settings.results_collection, rule)["access_id"])
        except GlobusRefusedError as error:
            if "Exists" not in error.globus_code:
                raise
            return self._find_rule(identity_id, path)

    def _find_rule(self, identity_id: str, path: str) -> str:
        with self._transfer() as client:
            for rule in client.endpoint_acl_list(self._settings.results_collection):
                if rule["principal"] == identity_id and rule["path"] == path and rule["id"]:
                    return str(rule["id"])
        raise GlobusRefusedError("Globus says that a rule exists, but does not list it.")

    def remove_rules(self, path: str) -> int:
        """Remove every rule on a folder of the results collection, by its path, so that one whose id was lost goes too. Safe to repeat."""
        with self._transfer() as client:
            rules = [
                rule["id"] for rule in client.endpoint_acl_list(self._settings.results_collection) if rule["path"] == path and rule["id"]
            ]
        for rule_id in rules:
            try:
                with self._transfer() as client:
                    client.delete_endpoint_acl_rule(self._settings.results_collection, rule_id)
            except GlobusRefusedError as error:
                if error.globus_status != 404:
                    raise
        return len(rules)

    def submit_deletion(self, path: str, submission_id: str) -> str:
        """Start deleting a folder with all it holds; answers the task id. Safe to repeat with the same submission id."""
        order = globus_sdk.DeleteData(
            self._settings.results_collection, label="Causeway removes graphs", submission_id=submission_id, recursive=True,
            ignore_missing=True, notify_on_succeeded=False, notify_on_failed=False, notify_on_inactive=False,
        )  # fmt: skip
        order.add_item(path)
        with self._transfer() as client:
            return str(client.submit_delete(order)["task_id"])

    def new_submission_id(self) -> str:
        """A key for one submission: save it, then submit with it."""
        with self._transfer() as client:
            return str(client.get_submission_id()["value"])

    def task_status(self, task_id: str) -> str:
        """`active`, `succeeded` or `failed`."""
        with self._transfer() as client:
            return {"SUCCEEDED": "succeeded", "FAILED": "failed"}.get(client.get_task(task_id)["status"], "active")

    def folder_url(self, path: str) -> str:
        """Where people see a folder of the results collection in the Globus web app."""
        app = os.environ.get("GLOBUS_SDK_SERVICE_URL_APP") or "https://app.globus.org/"
        return f"{app.rstrip('/')}/file-manager?{urlencode({'origin_id': self._settings.results_collection, 'origin_path': path})}"

    def _client_token(self, scope: str) -> str:
        with self._lock:
            until, token = self._own_tokens.get(scope, (0.0, ""))
        if until < time.time():
            with self._auth() as client:
                answer = client.oauth2_client_credentials_tokens(requested_scopes=scope)
                entry = next(iter(answer.by_resource_server.values()))
            until, token = float(entry["expires_at_seconds"]) - 300, str(entry["access_token"])
            with self._lock:
                self._own_tokens[scope] = (until, token)
        return token

    @contextmanager
    def _auth(self) -> Iterator[globus_sdk.ConfidentialAppAuthClient]:
        with _our_errors():
            client = globus_sdk.ConfidentialAppAuthClient(
                self._settings.client_id,
                self._settings.client_secret,
                transport=RequestsTransport(http_timeout=TIMEOUT_S),
                retry_config=RetryConfig(max_retries=2),
            )
            with client:
                yield client

    @contextmanager
    def _transfer(self) -> Iterator[globus_sdk.TransferClient]:
        authorizer = globus_sdk.AccessTokenAuthorizer(self._client_token(TRANSFER_ALL))
        with _our_errors():
            client = globus_sdk.TransferClient(
                authorizer=authorizer, transport=RequestsTransport(http_timeout=TIMEOUT_S), retry_config=RetryConfig(max_retries=2)
            )
            with client:
                yield client


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except globus_sdk.GlobusAPIError as error:
        if error.http_status == 429 or (error.http_status >= 500 and "ExternalError" not in str(error.code)):
            raise GlobusUnavailableError(f"Globus answered {error.http_status}.") from error
        scopes = _unapproved_scopes(error)
        if scopes:
            raise ConsentNeededError(required_scopes=scopes) from error
        raise GlobusRefusedError(
            f"Globus refused the call: {error.message}", globus_code=str(error.code), status=error.http_status
        ) from error
    except globus_sdk.NetworkError as error:
        raise GlobusUnavailableError from error


def _unapproved_scopes(error: globus_sdk.GlobusAPIError) -> list[str]:
    """The scopes that Auth says are missing, from a `dependent_consent_required` error."""
    body = error.raw_json or {}
    if body.get("error") != "dependent_consent_required":
        return []
    return [str(scope) for entry in body.get("errors", []) for scope in entry.get("unapproved_scopes", [])]
