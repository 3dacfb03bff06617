"""Runs inside the CLI's own environment: imports it once, then forks a child for each command line that it is asked for on stdin.

It knows nothing of this repository and changes nothing in the CLI; the child runs `main()` as the installed script does.
"""

import importlib
import json
import os
import pkgutil
import sys
import traceback

commands = importlib.import_module("globus_cli.commands")


def load() -> None:
    """Import what the CLI would import as it goes: every command and every SDK client."""
    for module in pkgutil.walk_packages(commands.__path__, "globus_cli.commands."):
        importlib.import_module(module.name)
    for name in ("AuthClient", "TransferClient", "GroupsClient", "GCSClient", "SearchClient", "TimersClient", "ConfidentialAppAuthClient"):
        getattr(importlib.import_module("globus_sdk"), name)


def run(asked: dict) -> int:
    """In the child: the command's exit status."""
    for number, (name, flags) in enumerate((("in", os.O_RDONLY), ("out", os.O_CREAT | os.O_WRONLY), ("err", os.O_CREAT | os.O_WRONLY))):
        os.dup2(os.open(asked[name], flags, 0o600), number)
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 (descriptors, for the life of the child)
    sys.argv = ["globus", *asked["words"]]
    try:
        commands.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
    except BaseException:  # noqa: BLE001 (as the interpreter would)
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


load()
while line := sys.stdin.readline():
    child = os.fork()
    if child == 0:
        os._exit(run(json.loads(line)))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
