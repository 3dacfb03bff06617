"""A path with a delay, loss and a rate, in user space: two TUN interfaces, and packets that wait between them.

`python -m services.embedded.bench.delaybox NAME NAME --one-way-ms 10 --loss 0.0005 --mbit 200 --queue-kib 256` makes the interfaces, says
`ready`, and passes packets until it is stopped; whoever started it moves them into network namespaces. Needs the right to make them.
"""

import argparse
import contextlib
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02
MOST_BYTES = 66_000
MOST_AT_ONCE = 64


@dataclass
class Direction:
    """Packets on their way from one interface to the other."""

    into: int
    out: int
    one_way_s: float
    loss: float
    bytes_per_s: float
    queue_bytes: float
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    free_at: float = 0.0  # when the line has sent all that it took

    def take(self, packet: bytes, now: float) -> None:
        """Let a packet on the line, unless it is lost or the queue before the line is full."""
        if random.random() < self.loss:  # noqa: S311  # no secret
            return
        begins = max(now, self.free_at)
        if self.bytes_per_s:
            if (begins - now) * self.bytes_per_s + len(packet) > self.queue_bytes:
                return
            self.free_at = begins + len(packet) / self.bytes_per_s
        self.waiting.append((max(self.free_at, now) + self.one_way_s, packet))

    def deliver(self, now: float) -> None:
        waiting = self.waiting
        while waiting and waiting[0][0] <= now:
            with contextlib.suppress(OSError):  # the interface is going down, or takes no more
                os.write(self.out, waiting.popleft()[1])


def open_interface(name: str, *, is_offloaded: bool) -> int:
    """Make an interface. Offloaded, it hands over many segments as one packet with a header that says so, and takes them as such."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = IFF_TUN | IFF_NO_PI | (IFF_VNET_HDR if is_offloaded else 0)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), kind))
    if is_offloaded:
        fcntl.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    return fd


def pass_packets(directions: tuple[Direction, Direction]) -> None:
    """Until the process is stopped."""
    by_fd = {direction.into: direction for direction in directions}
    while True:
        due = min((one.waiting[0][0] for one in directions if one.waiting), default=None)
        wait_s = 1.0 if due is None else max(0.0, due - time.monotonic())
        for fd in select.select(by_fd, (), (), wait_s)[0]:  # `poll` waits for whole milliseconds: the box would spin, or be late
            direction, now = by_fd[fd], time.monotonic()
            with contextlib.suppress(BlockingIOError):
                for _ in range(MOST_AT_ONCE):
                    direction.take(os.read(fd, MOST_BYTES), now)
        now = time.monotonic()
        for direction in directions:
            direction.deliver(now)


def main() -> int:
    parser = argparse.ArgumentParser(prog="delaybox")
    parser.add_argument("names", nargs=2)
    parser.add_argument("--one-way-ms", type=float, required=True)
    parser.add_argument("--loss", type=float, default=0.0, help="of each way, 0 to 1")
    parser.add_argument("--mbit", type=float, default=0.0, help="rate of each way (default: none)")
    parser.add_argument("--queue-kib", type=float, default=256.0)
    asked = parser.parse_args()
    is_plain = not asked.loss and not asked.mbit  # what is lost and queued are packets of the path's own size
    first, second = (open_interface(name, is_offloaded=is_plain) for name in asked.names)
    one_way_s, bytes_per_s = asked.one_way_ms / 1000, asked.mbit * 125_000
    line = {"one_way_s": one_way_s, "loss": asked.loss, "bytes_per_s": bytes_per_s, "queue_bytes": asked.queue_kib * 1024}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    pass_packets((Direction(first, second, **line), Direction(second, first, **line)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
