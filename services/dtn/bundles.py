"""Many small files in one answer (`PROTOCOL.md`, section 6): `POST /.dtn/v1/bundle` at the source.

A request a file costs more than the file when it is small. Here one streamed answer carries hundreds, each read once, hashed from the
same bytes that are sent (`small_files.py`), and judged by the ticket's rights of that moment. `landing.py` is the other end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.dtn.accounting import SCOPE_KEY, Connection
from services.dtn.errors import BadRequestError, ForbiddenError, NodeError
from services.dtn.faults import DropError, Faults
from services.dtn.node import Node
from services.dtn.operations import read_json, require_ticket
from services.dtn.rights import FRESH_S
from services.dtn.small_files import Answered, Had, encoded_together, in_groups, without_same
from services.dtn.storage import Storage

MOST_PATHS = 1000
Chunk = tuple[bytes, int]


@dataclass(frozen=True)
class Wanted:
    """What a bundle is asked for: paths, and what the destination has of them, where the sync level makes that count."""

    paths: list[str]
    had: list[Had | None]
    sync_level: int | None
    is_grouped: bool = False

    @classmethod
    def read(cls, asked: dict[str, Any]) -> "Wanted":
        """Read a question's body. Raises BadRequestError."""
        paths, level, had = asked.get("paths"), asked.get("sync_level"), asked.get("had") or []
        if not isinstance(paths, list) or len(paths) > MOST_PATHS or not all(isinstance(path, str) for path in paths):
            raise BadRequestError(f"'paths' is a list of at most {MOST_PATHS} paths.")
        is_grouped = asked.get("is_grouped") is True
        if level is None:
            return cls(paths, [], None, is_grouped)
        try:
            present = [None if one is None else Had(int(one["size"]), int(one["mtime_ns"]), one.get("sha256")) for one in had]
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise BadRequestError("'had' tells size and mtime_ns of each path, or null.") from error
        if not isinstance(level, int) or level not in {0, 1, 2, 3} or len(present) != len(paths):
            raise BadRequestError("A 'sync_level' (0 to 3) needs 'had' for each path.")
        return cls(paths, present, level, is_grouped)

    def chunks(self, storage: Storage, may_read: Callable[[str], bool], faults: Faults) -> Generator[Chunk, None, None]:
        """Read the files from the disk, as they are taken; yield pieces to send, each with the number of bytes in it that are files'."""
        answers = storage.read_small(self.paths, may_read, faults)
        wanted = answers if self.sync_level is None else without_same(answers, self.had, self.sync_level)
        with closing(answers):
            for group in in_groups(wanted):
                yield b"".join(self._lines(group)), sum(len(one.body) for one in group)
        yield b'{"end": true}\n', 0

    def _lines(self, group: list[Answered]) -> list[bytes]:
        return encoded_together(group) if self.is_grouped else [piece for one in group for piece in one.encoded()]


async def send_bundle(request: Request, node: Node) -> Response:
    """POST /.dtn/v1/bundle: the files of `paths`, as far as the ticket opens them; ends with `{"end": true}`."""
    asked = await read_json(request)
    loop = asyncio.get_running_loop()
    collection = await loop.run_in_executor(node.readers, node.collection, str(asked.get("collection")))
    wanted = Wanted.read(asked)
    ticket, access = await require_ticket(request, node, collection)
    rights = [access]

    def may_read(path: str) -> bool:
        return rights[0].may_read(path)  # of this moment

    chunks = wanted.chunks(collection.storage, may_read, node.faults)
    connection: Connection = request.scope[SCOPE_KEY]
    nothing: Chunk = (b"", 0)

    async def body() -> AsyncIterator[bytes]:
        read_at = time.monotonic()
        ahead = loop.run_in_executor(node.readers, next, chunks, nothing)
        try:
            while (chunk := await ahead)[0]:
                present = await node.tickets.get(collection.id, ticket)
                if present.rules != rights[0].rules and time.monotonic() - read_at > FRESH_S:
                    raise ForbiddenError("The rights changed while a slow reader kept this waiting.")
                rights[0], read_at = present, time.monotonic()
                ahead = loop.run_in_executor(node.readers, next, chunks, nothing)
                connection.data_out += chunk[1]  # the lines between the files stay what `app.py` takes all of it for
                connection.control_out -= chunk[1]
                yield chunk[0]
        except (DropError, NodeError):  # the answer has begun: only a cut connection says that it is not whole
            connection.abort()
        finally:
            await asyncio.wait([ahead])
            await loop.run_in_executor(node.readers, chunks.close)

    return StreamingResponse(body(), media_type="application/vnd.causeway.bundle")
