"""A third-party transfer: one server sends a file to another, and this node, which sees none of the bytes, listens to both.

Data go in extended block mode (GFD.20, section 3) on several connections for a large file; both ends prove by the delegated credential that
they act for the same order, and encrypt where that is asked. Connections are kept for the next file. After an error both
channels are in an unknown state: the caller closes the pair.
"""

import re
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from services.dtn.gridftp_control import LOOK_S, REPLY_S, ControlChannel, GridLostError, GridReplyError, Login, Reply

STREAMS = 4
IN_ADVANCE = 16  # small files that the servers are told of before they are done with the first
STREAMED_BYTES = 16 << 20  # a smaller file is through before a second connection helps
SETTLE_S = 2.0  # what the other end says of the same fault comes soon
SLOWEST_BYTES_S = 10 << 20  # a server that checksums more slowly than this is taken for lost
RANGE = re.compile(r"(\d+)-(\d+)")
MOVED = re.compile(r"Stripe Bytes Transferred: *(\d+)")


class TransferError(Exception):
    """What went wrong at either end; at least one of the two."""

    def __init__(self, source: Exception | None, destination: Exception | None) -> None:
        super().__init__(str(source or destination))
        self.source = source
        self.destination = destination


@dataclass
class Listener:
    """Who is told how a transfer goes. `look` is called often and may raise, which ends it."""

    look: Callable[[], None]
    moved: Callable[[int], None]
    arrived: Callable[[Mapping[int, int]], None]


class Pair:
    """Control channels to the two servers of an order."""

    def __init__(self, source: Login, destination: Login, *, is_private: bool, look: Callable[[], None]) -> None:
        self._streams = 0
        sides = (source, "source"), (destination, "destination")
        with ThreadPoolExecutor(2) as both:  # the servers make keys for the delegated credentials, which takes a while
            opening = [both.submit(_open, login, side, is_private=is_private, look=look) for login, side in sides]
        errors = [error for one in opening if (error := one.exception()) is not None]
        if errors:
            for one in opening:
                if one.exception() is None:
                    one.result().close()
            raise errors[0]
        self.source, self.destination = (one.result() for one in opening)

    def close(self) -> None:
        """Let both servers go; what they were doing for this pair ends with it."""
        self.source.close()
        self.destination.close()

    def copy(self, source_path: str, destination_path: str, *, size: int, done: Mapping[int, int], listener: Listener) -> None:
        """Copy what is missing of a file into a file that is there. Raises TransferError.

        `done` are the parts (length by offset) that are at the destination already.
        """
        self._join(STREAMS if size > STREAMED_BYTES else 1)
        parts = ",".join(f"{offset}-{offset + length}" for offset, length in sorted(done.items()))
        with _errors_of("destination"):
            if done:
                self.destination.ask(f"REST {parts}", 3)
            self.destination.send(f"STOR {destination_path}")
        with _errors_of("source"):
            if done:
                self.source.ask(f"REST {parts}", 3)
            self.source.send(f"RETR {source_path}")
        self._follow(dict(done), listener)

    def _join(self, streams: int) -> None:
        """Let the destination listen and the source connect to it, unless they are connected just so."""
        if self._streams == streams:
            return
        with _errors_of("destination"):
            text = self.destination.ask("PASV").text
            found = re.search(r"\d+(,\d+){5}", text)
            if found is None:
                raise GridReplyError(227, text)
        with _errors_of("source"):
            self.source.ask(f"OPTS RETR Parallelism={streams},{streams},{streams};")
            self.source.ask(f"PORT {found[0]}")
        self._streams = streams

    def _follow(self, ranges: dict[int, int], listener: Listener) -> None:
        ends = {"source": self.source, "destination": self.destination}
        errors: dict[str, Exception] = {}
        heard_at = time.monotonic()
        while ends:
            listener.look()
            for side in _ready(ends):
                heard_at = time.monotonic()
                try:
                    reply = ends[side].next_reply(wait_s=0)
                    if reply is None:
                        continue
                    if side == "destination" and not reply.is_final:
                        _note(reply, ranges, listener)
                    if not reply.is_final:
                        continue
                    reply.require(2)
                except (GridReplyError, GridLostError) as error:
                    errors[side] = error
                del ends[side]
            if time.monotonic() - heard_at > (SETTLE_S if errors else REPLY_S):
                break
        if errors or ends:
            for side in ends if not errors else ():
                errors[side] = GridLostError("The server is silent.")
            raise TransferError(errors.get("source"), errors.get("destination"))

    def checksums(self, source_path: str | None, destination_path: str, *, size: int) -> tuple[str | None, str]:
        """Return the SHA-256 of both files, or of the destination's alone, each read by its own server. Raises TransferError."""
        within_s = REPLY_S + size / SLOWEST_BYTES_S
        found: str | None = None
        with _errors_of("destination"):
            self.destination.ask_checksum(destination_path)
        with _errors_of("source"):
            if source_path is not None:
                self.source.ask_checksum(source_path)
                found = self.source.checksum(within_s=within_s)
        with _errors_of("destination"):
            return found, self.destination.checksum(within_s=within_s)

    def copy_many(self, files: Sequence[tuple[str, str]], look: Callable[[], None]) -> None:
        """Copy small files (source and destination path) into files that are there, telling the servers of some in advance.

        Raises TransferError; which files have come is not known then.
        """
        if not files:
            return
        self._join(1)
        ends = {"source": self.source, "destination": self.destination}
        done = dict.fromkeys(ends, 0)
        n_told, heard_at = 0, time.monotonic()
        while min(done.values()) < len(files):
            look()
            while n_told < len(files) and n_told - min(done.values()) < IN_ADVANCE:
                with _errors_of("destination"):
                    self.destination.send(f"STOR {files[n_told][1]}")
                with _errors_of("source"):
                    self.source.send(f"RETR {files[n_told][0]}")
                n_told += 1
            for side in _ready(ends):
                heard_at = time.monotonic()
                with _errors_of(side):
                    reply = ends[side].next_reply(wait_s=0)
                    if reply is not None and reply.is_final:
                        reply.require(2)
                        done[side] += 1
            if time.monotonic() - heard_at > REPLY_S:
                raise TransferError(GridLostError("The server is silent."), None)

    def checksums_at_destination(self, paths: Sequence[str]) -> list[str]:
        """Return the SHA-256 of small files, read by their server. Raises TransferError."""
        found: list[str] = []
        with _errors_of("destination"):
            for number, path in enumerate(paths):
                self.destination.ask_checksum(path)
                if number >= IN_ADVANCE:
                    found.append(self.destination.checksum(within_s=REPLY_S))
            while len(found) < len(paths):
                found.append(self.destination.checksum(within_s=REPLY_S))
        return found

    def checksum_at_destination(self, path: str, *, algorithm: str, size: int) -> str:
        """Return the digest of the destination's file by another algorithm. Raises TransferError, also where its server knows none such."""
        with _errors_of("destination"):
            self.destination.ask_checksum(path, algorithm=algorithm.upper())
            return self.destination.checksum(within_s=REPLY_S + size / SLOWEST_BYTES_S)


def merge(ranges: dict[int, int], offset: int, length: int) -> None:
    """Add a part to the parts (length by offset) that are there, joining what touches."""
    end = offset + length
    for start, known in sorted(ranges.items()):
        if start <= end and offset <= start + known:
            offset, end = min(offset, start), max(end, start + known)
            del ranges[start]
    ranges[offset] = end - offset


def _note(reply: Reply, ranges: dict[int, int], listener: Listener) -> None:
    """Read a marker: 111 tells which parts are on the disk, 112 how many bytes came."""
    if reply.code == 111:
        for start, end in RANGE.findall(reply.text):
            merge(ranges, int(start), int(end) - int(start))
        listener.arrived(ranges)
    elif found := MOVED.search(reply.text):
        listener.moved(int(found[1]))


def _ready(ends: Mapping[str, ControlChannel]) -> list[str]:
    waiting = [side for side, channel in ends.items() if channel.has_reply]
    if waiting:
        return waiting
    readable = select.select(list(ends.values()), [], [], LOOK_S)[0]
    return [side for side, channel in ends.items() if channel in readable]


def _open(login: Login, side: str, *, is_private: bool, look: Callable[[], None]) -> ControlChannel:
    with _errors_of(side):
        channel = ControlChannel(login, look)
        with ExitStack() as opened:
            opened.callback(channel.close)
            for command in ("PBSZ 1048576", f"PROT {'P' if is_private else 'C'}", "DCAU A", "TYPE I", "MODE E"):
                channel.ask(command)
            opened.pop_all()
    return channel


@contextmanager
def _errors_of(side: str) -> Iterator[None]:
    try:
        yield
    except (GridReplyError, GridLostError) as error:
        raise TransferError(*((error, None) if side == "source" else (None, error))) from error
