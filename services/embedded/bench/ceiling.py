"""What a path between namespaces carries at most: bytes of plain TCP from the far one, no disk, no TLS, nobody who looks at them.

`python -m services.embedded.bench.ceiling send ADDRESS BYTES` sends that many to each who connects; `take` fetches them on several
connections at once and prints the seconds that it took.
"""

import argparse
import socket
import sys
import threading
import time

BLOCK_BYTES = 1 << 20
PORT = 5201


def main() -> int:
    parser = argparse.ArgumentParser(prog="ceiling")
    parser.add_argument("what", choices=("send", "take"))
    parser.add_argument("address")
    parser.add_argument("n_bytes", type=int, help="on each connection")
    parser.add_argument("--streams", type=int, default=8)
    asked = parser.parse_args()
    if asked.what == "send":
        send(asked.address, asked.n_bytes)
    print(take(asked.address, asked.n_bytes, streams=asked.streams))
    return 0


def send(address: str, n_bytes: int) -> None:
    """Until the process is stopped."""
    with socket.create_server((address, PORT)) as listener:
        print("ready", flush=True)
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=_send_to, args=(peer, n_bytes), daemon=True).start()


def _send_to(peer: socket.socket, n_bytes: int) -> None:
    block = memoryview(bytes(BLOCK_BYTES))
    with peer:
        while n_bytes > 0:
            peer.sendall(block[:n_bytes])
            n_bytes -= len(block)


def take(address: str, n_bytes: int, *, streams: int) -> float:
    """Return the seconds in which all connections brought their bytes. Raises OSError when one broke off."""
    missing: list[int] = []
    threads = [threading.Thread(target=lambda: missing.append(n_bytes - _take_one(address, n_bytes))) for _ in range(streams)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(missing) != streams or any(missing):
        raise OSError("a connection broke off")
    return time.monotonic() - began


def _take_one(address: str, n_bytes: int) -> int:
    buffer, n_taken = bytearray(BLOCK_BYTES), 0
    with socket.create_connection((address, PORT), timeout=60) as stream:
        while n_taken < n_bytes and (n_more := stream.recv_into(buffer)):
            n_taken += n_more
    return n_taken


if __name__ == "__main__":
    sys.exit(main())
