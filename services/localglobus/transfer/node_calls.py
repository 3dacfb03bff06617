"""The gateway to data transfer nodes: folder operations, our words in and out (services/dtn/PROTOCOL.md, section 3).

Whether a person may do it is decided before the call; what the disk says comes back as the error of Globus for it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from services.localglobus.errors import ApiError
from services.localglobus.transfer.collections import Collection

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
TRY_AGAIN_S, TRIES = 0.4, 5
"""A node looks for collections that it does not know once a second at most; a new one is therefore asked for again."""
VERBS = {"ls": "DirListingFailed", "stat": "StatFailed", "mkdir": "MkdirFailed", "rename": "RenameFailed", "delete": "DeleteFailed"}


class NodeCalls:
    """Calls nodes over TLS, trusting the local CA, with the secret that was made for each of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secrets: dict[str, str] = {}
        self._client: httpx.AsyncClient | None = None
        self.cut_off: set[str] = set()  # nodes that somebody who debugs has disconnected

    def secret(self, node: str) -> str:
        """Returns the node's secret, which `DIR/dtn-<node>.secret` holds; it does not change while the program runs."""
        if node not in self._secrets:
            self._secrets[node] = self.secret_path(node).read_text().strip()
        return self._secrets[node]

    def secret_path(self, node: str) -> Path:
        return self._folder / f"dtn-{node}.secret"

    def names(self) -> list[str]:
        """Returns the names of all nodes that have a secret."""
        return [path.stem.removeprefix("dtn-") for path in sorted(self._folder.glob("dtn-*.secret"))]

    def forget(self, node: str) -> None:
        """A node that calls from now on is unknown. Safe to repeat."""
        self.secret_path(node).unlink(missing_ok=True)
        self._secrets.pop(node, None)

    async def call(self, collection: Collection, verb: str, **asked: Any) -> dict[str, Any]:
        """Returns the node's answer. Raises `ApiError`: 404, 403, 400 as the disk says, 502 `ExternalError` if the node is out of reach."""
        if collection.node in self.cut_off:
            raise _unreachable(collection, verb)
        status, body = await self._post(collection, verb, asked)
        for _ in range(TRIES):
            if body.get("code") != "EndpointNotFound":
                break
            await asyncio.sleep(TRY_AGAIN_S)
            status, body = await self._post(collection, verb, asked)
        if status < 300:
            return body
        raise _refused(collection, verb, status, body)

    async def _post(self, collection: Collection, verb: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        url = f"{collection.node_url}/.dtn/v1/operations/{verb}"
        headers = {"Authorization": f"Bearer {self.secret(collection.node)}"}
        try:
            response = await self._open().post(url, json={"collection": collection.id, **asked}, headers=headers, timeout=TIMEOUT)
            body = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unreachable(collection, verb) from error
        return response.status_code, body if isinstance(body, dict) else {}

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            verify = ssl.create_default_context(cafile=self._folder / "ca.pem")
            self._client = httpx.AsyncClient(verify=verify, trust_env=False)
        return self._client


def _unreachable(collection: Collection, verb: str) -> ApiError:
    if collection.is_personal:
        return ApiError(
            f"ExternalError.{VERBS[verb]}.GCDisconnected", f"The Globus Connect Personal of {collection.display_name} is not connected", 502
        )
    return ApiError(f"ExternalError.{VERBS[verb]}.ConnectFailed", f"The data host of {collection.display_name} does not answer", 502)


def _refused(collection: Collection, verb: str, status: int, body: Mapping[str, Any]) -> ApiError:
    code, message = str(body.get("code", "")), str(body.get("message", ""))
    words = f"{message} ({collection.display_name})"
    if status == 404 and verb == "stat":
        return ApiError("NotFound", words, 404)
    if status == 404:
        return ApiError("ClientError.NotFound", words, 404)
    if status == 403:
        return ApiError("EndpointPermissionDenied", f"Denied by endpoint: {words}", 403)
    if code.startswith("ExternalError"):
        return ApiError(code, words, 502)  # as Globus answers what the storage refused; its clients do not repeat these
    if status == 400:
        return ApiError(code or "BadRequest", words, 400)
    return _unreachable(collection, verb)
