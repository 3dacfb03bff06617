"""The program behind `groups.Watchdog`: reads lines `watch GROUP SIGNAL`, `forget GROUP`, `remove FOLDER` and, when its
input ends, stops the groups and removes the folders. Standard library only, so that it is up in 20 ms and stays small.
"""

import os
import shutil
import signal
import sys
import time

GRACE_S = 8


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        verb, _, rest = line.rstrip("\n").partition(" ")
        if verb == "watch":
            group, wanted = rest.split()
            groups[int(group)] = int(wanted)
        elif verb == "forget":
            groups.pop(int(rest), None)
        elif verb == "remove":
            folders.append(rest)
    end(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end(groups: dict[int, int]) -> None:
    left = {group for group, number in groups.items() if tell_leader(group, number)}
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {group for group in left if is_running(group)}
    for group in groups:
        tell_group(group, signal.SIGKILL)


def is_running(group: int) -> bool:
    """A leader that ended but was never waited for (its parent hangs) counts as gone."""
    try:
        with open(f"/proc/{group}/stat") as words:  # noqa: PTH123 - pathlib is slow to import
            return words.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return tell_group(group, 0)


def tell_leader(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return tell_group(pid, number)
    return True


def tell_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
