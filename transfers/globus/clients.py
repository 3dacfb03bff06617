"""The SDK's clients as this gateway holds them, for the portal itself or for a person, and which of our errors theirs are."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import globus_sdk
from django.conf import settings
from globus_sdk.authorizers import GlobusAuthorizer
from globus_sdk.gare import to_gare
from globus_sdk.scopes import GCSCollectionScopes, GCSEndpointScopes
from globus_sdk.transport import RequestsTransport, RetryConfig

from transfers.errors import ConsentNeededError, GlobusRefusedError, GlobusUnavailableError, ReauthenticationNeededError
from transfers.requirements import MOST_NAMED, SESSION, bounded

TRANSFER_SCOPE = "urn:globus:auth:scope:transfer.api.globus.org:all"
TIMEOUT_S = 10.0

Id = UUID | str


@contextmanager
def transfer_client(token: str | None) -> Iterator[globus_sdk.TransferClient]:
    with translated_errors(is_own=token is None):
        authorizer = globus_sdk.AccessTokenAuthorizer(token) if token else own_authorizer(TRANSFER_SCOPE)
        with globus_sdk.TransferClient(authorizer=authorizer, transport=transport(), retry_config=_retries()) as client:
            yield client


@contextmanager
def submissions(token: str | None) -> Iterator[globus_sdk.TransferClient]:
    """As `transfer_client`, for submitting a task: that too many are open passes with time, unlike other limits."""
    try:
        with transfer_client(token) as client:
            yield client
    except GlobusRefusedError as error:
        if "LimitExceeded" in error.globus_code and error.globus_status == 409:
            raise GlobusUnavailableError("Globus has as many open tasks of this account as it takes. It is tried again.") from error
        raise


@contextmanager
def gcs_client(mapped_id: Id) -> Iterator[globus_sdk.GCSClient]:
    """The GCS Manager as the portal. Managing guest collections needs the consent for the storage beneath them."""
    address = settings.GCS_ADDRESS
    with translated_errors(is_own=True):
        scope = GCSEndpointScopes(_gcs_endpoint(address)).manage_collections.with_dependency(
            GCSCollectionScopes(str(mapped_id)).data_access
        )
        with globus_sdk.GCSClient(address, authorizer=own_authorizer(str(scope)), transport=transport(), retry_config=_retries()) as client:
            yield client


@lru_cache(maxsize=8)
def _gcs_endpoint(address: str) -> str:
    with globus_sdk.GCSClient(address, transport=transport(), retry_config=_retries()) as client:
        return str(client.endpoint_client_id)


def own_authorizer(scope: str) -> GlobusAuthorizer:
    return _client_credentials(scope, settings.GLOBUS_CLIENT_ID, settings.GLOBUS_CLIENT_SECRET)


@lru_cache(maxsize=32)
def _client_credentials(scope: str, client_id: str, secret: str) -> GlobusAuthorizer:
    """The portal's own token for one scope, kept in this process; renewed when it ends or Globus does not accept it."""
    auth = globus_sdk.ConfidentialAppAuthClient(client_id, secret, transport=transport(), retry_config=_retries())
    return globus_sdk.ClientCredentialsAuthorizer(auth, scope)


def auth_client() -> globus_sdk.ConfidentialAppAuthClient:
    return globus_sdk.ConfidentialAppAuthClient(
        settings.GLOBUS_CLIENT_ID, settings.GLOBUS_CLIENT_SECRET, transport=transport(), retry_config=_retries()
    )


def transport() -> RequestsTransport:
    return RequestsTransport(http_timeout=TIMEOUT_S)


def _retries() -> RetryConfig:
    """One quick retry here; longer waits belong to the queue, where they hold up nobody."""
    return RetryConfig(max_retries=1, max_sleep=1)


@contextmanager
def translated_errors(*, is_own: bool = False) -> Iterator[None]:
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
    if requirement := _requirement(error):
        return requirement
    if status == 401:
        return ConsentNeededError("Globus does not accept the permission any more.", required_scopes=[TRANSFER_SCOPE])
    is_passing = any(word in code for word in ("ConnectFailed", "Timeout", "GCDisconnected", "ServiceUnavailable"))
    if status == 429 or is_passing or (status >= 500 and "ExternalError" not in code and "EndpointError" not in code):
        return GlobusUnavailableError(f"Globus: {words}", retry_after_s=_retry_after_s(error))
    return GlobusRefusedError(words, globus_code=code, globus_status=status)


def _requirement(error: globus_sdk.GlobusAPIError) -> ConsentNeededError | None:
    """What the person must agree to or show, whichever of its forms Globus says it in."""
    gare = to_gare(error)
    if gare is None:
        return None
    asked = gare.authorization_parameters
    scopes = (asked.required_scopes or [TRANSFER_SCOPE])[:MOST_NAMED]
    session = bounded({name: getattr(asked, name) for name in SESSION})
    if session:
        return ReauthenticationNeededError(required_scopes=scopes, session=session)
    return ConsentNeededError(required_scopes=scopes)


def _retry_after_s(error: globus_sdk.GlobusAPIError) -> int:
    said = error.headers.get("Retry-After", "")
    return int(said) if said.isdigit() else 0


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def label_of(words: str) -> str:
    return " ".join(words.split())[:128]
