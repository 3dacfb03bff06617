"""The source's end of a copy by GridFTP: a server for each task's pull ticket, which opens what the ticket opens and goes when that ends.

`POST /.dtn/v1/gridftp` (`PROTOCOL.md`, section 6) starts it, or finds it running. Its paths are the real ones: what a symbolic link leads
to is reached only where the ticket opens that too. Control is asked every second whether the ticket still opens the same.
"""

import asyncio
import hashlib
import ipaddress
import logging
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.dtn.errors import BadRequestError, NodeError, UnavailableError
from services.dtn.gridftp_credentials import require_authority
from services.dtn.gridftp_servers import GridServer
from services.dtn.node import Collection, Node
from services.dtn.operations import read_json, require_ticket
from services.dtn.posix import PosixStorage
from services.dtn.rights import FRESH_S, Access
from services.dtn.storage import Storage

logger = logging.getLogger("dtn.gridftp")
NAME = re.compile(r"(/[A-Za-z]+=[\w .:@-]+){2,}", re.ASCII)
MOST_PATHS = 100_000  # as many as a task has items; so many cost the server seconds at its start and a login, and 10 ms a command


@dataclass
class _Opening:
    server: GridServer
    user: str
    authority: str
    access: Access
    watch: asyncio.Task[None] | None = None


class Openings:
    """The servers that this node runs as a source, by ticket."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open: dict[str, _Opening] = {}
        self._starting = asyncio.Lock()
        shutil.rmtree(servers_folder(node), ignore_errors=True)  # of a process that was killed

    async def tell(self, request: Request) -> Response:
        """POST /.dtn/v1/gridftp: where the server of this ticket is."""
        asked = await read_json(request)
        loop = asyncio.get_running_loop()
        collection = await loop.run_in_executor(self._node.readers, self._node.collection, str(asked.get("collection")))
        ticket, access = await require_ticket(request, self._node, collection)
        user, authority = _credential(asked)
        site, folder = self._node.settings.gridftp, server_folder(self._node, collection.storage)
        if site is not None:
            return JSONResponse({"host": site.host, "port": site.port, "ca": None, "folder": folder})
        key = hashlib.sha256(f"{collection.id}:{access.task_id or ticket}".encode()).hexdigest()[:32]  # each lease has a new ticket
        async with self._starting:
            opening = self._open.get(key)
            if opening is None or not _fits(opening, user, authority, access):
                await self._close(key)
                server = await loop.run_in_executor(self._node.readers, self._start, key, collection, access, user, authority)
                opening = self._open[key] = _Opening(server, user, authority, access)
                opening.watch = asyncio.create_task(self._watch(key, collection, ticket))
        server = opening.server
        return JSONResponse({"host": server.host, "port": server.port, "ca": self._node.gridftp.pem, "folder": folder})

    def _start(self, key: str, collection: Collection, access: Access, user: str, authority: str) -> GridServer:
        paths = [("R", path) for path in real_paths(collection.storage, [rule.path for rule in access.rules], access.may_read)]
        host = address_of(self._node)
        return GridServer(
            servers_folder(self._node) / f"{key}-{secrets.token_hex(4)}", host=host, identity=self._node.gridftp.host(host), user=user,
            authorities=[self._node.gridftp.pem, authority], paths=paths,
        )  # fmt: skip

    async def _watch(self, key: str, collection: Collection, ticket: str) -> None:
        """Stop the server when the ticket opens something else, or nothing, or control cannot be asked."""
        opening = self._open[key]
        while opening.server.is_running:
            await asyncio.sleep(FRESH_S / 2)
            try:
                access = await self._node.tickets.get(collection.id, ticket)
            except NodeError:
                break
            if access.rules != opening.access.rules:
                break
        if self._open.get(key) is opening:
            await self._close(key)

    async def _close(self, key: str) -> None:
        opening = self._open.pop(key, None)
        if opening is None:
            return
        await asyncio.get_running_loop().run_in_executor(self._node.readers, opening.server.stop)
        if opening.watch is not None and opening.watch is not asyncio.current_task():
            opening.watch.cancel()
        logger.info("gridftp server ended", extra={"facts": {"user": opening.user}})


def real_paths(storage: Storage, paths: list[str], is_allowed: Callable[[str], bool]) -> list[str]:
    """Return where these paths of a collection really lie on the host, without those whose real path is not allowed."""
    if len(paths) > MOST_PATHS:
        raise BadRequestError(f"A copy by GridFTP has at most {MOST_PATHS} items; copy folders.")
    folder, found = host_folder(storage), []
    for path in paths:
        try:
            real_path = storage.real_path(path)
        except NodeError:  # a link that leads out, a name that no disk takes: told when the file is asked for
            continue
        real_path = real_path.rstrip("/") + "/" if path.endswith("/") else real_path
        if is_allowed(real_path):
            found.append(f"{folder}{real_path}")
    return found


def host_folder(storage: Storage) -> Path:
    """Return the folder of the host that a collection is. Raises BadRequestError for storage that is no folder."""
    if not isinstance(storage, PosixStorage):
        raise BadRequestError("GridFTP reaches collections that are folders of the data host, and no others.")
    return storage.root.folder


def server_folder(node: Node, storage: Storage) -> str:
    """Return the folder of a collection as the GridFTP server sees it, which may be another host's."""
    folder, site = host_folder(storage), node.settings.gridftp
    return str(folder if site is None else site.folder / folder.relative_to(node.settings.data))


def servers_folder(node: Node) -> Path:
    return node.settings.state / "gridftp" / "servers"


def address_of(node: Node) -> str:
    """Return the loopback address at which this node's servers listen. Raises UnavailableError on a node that others reach."""
    host = urlsplit(node.settings.url).hostname or ""
    if host != "localhost" and not _is_loopback(host):
        raise UnavailableError("This node starts GridFTP servers on loopback only; it is to be pointed at its site's own.")
    return "127.0.0.1" if host == "localhost" else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credential(asked: dict[str, Any]) -> tuple[str, str]:
    """Return who will log in and whose word for it counts: both end in files of the server, so they are looked at closely."""
    user, authority = str(asked.get("user")), str(asked.get("ca"))
    try:
        require_authority(authority)
    except ValueError as error:
        raise BadRequestError("ca is no certificate of a node's CA.") from error
    if NAME.fullmatch(user) is None:
        raise BadRequestError("user is no name of a certificate.")
    return user, authority


def _fits(opening: _Opening, user: str, authority: str, access: Access) -> bool:
    same = (opening.user, opening.authority, opening.access.rules) == (user, authority, access.rules)
    return same and opening.server.is_running
