"""`script/demo --check`: drives the main job of a running stack through its real HTTP interfaces and prints a timeline.

A step is a function that takes the `Check`, does one thing as a person or a client would, and returns what was seen in
words; it raises `CheckError` when that is not what it should be. The steps of the main job are in `main_job.py`; they run
in order and hand facts to later ones through `check.facts`. The last step always runs: no data byte passed the portal or
the local Globus.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.embedded.counting import CONTROL_PLANE, Passed, count_bytes
from services.embedded.stack import Stack, node_state
from services.embedded.visitor import PageError


class CheckError(Exception):
    """Something was not as it should be; the message says what was seen instead."""


@dataclass
class Check:
    """The running stack, and what the steps found out so far."""

    stack: Stack
    facts: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    settle_s: float = 6  # nodes write down connections that are still open every five seconds

    def wait_for(self, what: str, look: Callable[[], Any], *, timeout_s: float = 60) -> Any:
        """Ask `look` until it answers something true; raises CheckError naming `what` after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise CheckError(f"{what}: not seen within {timeout_s:.0f} s")
            time.sleep(0.2)
        return seen


Step = tuple[str, Callable[[Check], str]]


def first_page(check: Check) -> str:
    answer = httpx.get(check.stack.base_url + "/", follow_redirects=True, timeout=30, trust_env=False)
    if answer.status_code != httpx.codes.OK:
        raise CheckError(f"the first page answers {answer.status_code}")
    return f"{len(answer.content)} bytes of HTML"


def no_data_bytes_in_the_control_plane(check: Check) -> str:
    """Sum what every node counted, from the start of the stack on (the archive's ingest included)."""
    time.sleep(check.settle_s)
    places = check.stack.places
    journals = [node_state(root) / "connections.jsonl" for root in (places.archive, places.campus)]
    passed = count_bytes(journals, places.run, since=check.stack.started_at, ourselves="this check, as the browser of a person")
    if not any(one.data_bytes for one in passed):
        raise CheckError(f"the nodes counted no data byte at all ({', '.join(map(str, journals))}), so this shows nothing")
    guilty = [one for one in passed if one.is_control_plane and one.data_bytes]
    if guilty:
        raise CheckError("\n".join(f"{one.data_bytes} data bytes passed {one.who}: {'; '.join(one.samples)}" for one in guilty))
    absent = [Passed(who) for who in CONTROL_PLANE if who not in {one.who for one in passed}]
    lines = [
        f"{one.data_bytes:>13,} data bytes  {one.control_bytes:>11,} control bytes  {one.connections:>5} connections  {one.who}"
        for one in [*passed, *absent]
    ]
    return "\n".join(["0 data bytes passed the portal or the local Globus; who exchanged what with the nodes:", *lines])


LAST: Step = ("data plane", no_data_bytes_in_the_control_plane)


def run_check(check: Check, steps: Sequence[Step]) -> int:
    """Run the steps and print the timeline; 0 when all went well, 1 when not."""
    failed = run_until_failure(check, steps)
    if not check_one(check, *LAST):
        failed.append(LAST[0])
    print(f"main job: {'ok' if not failed else 'FAILED at ' + ', '.join(failed)} ({time.monotonic() - check.began:.1f} s)", flush=True)
    return 1 if failed else 0


def run_until_failure(check: Check, steps: Sequence[Step]) -> list[str]:
    """Names of failed steps: at most one, since later steps build on earlier ones."""
    for name, step in steps:
        if not check_one(check, name, step):
            return [name]
    return []


def check_one(check: Check, name: str, step: Callable[[Check], str]) -> bool:
    """Run one step and print its line: when, how long, what was seen."""
    began = time.monotonic()
    try:
        seen, is_well = step(check), True
    except (CheckError, PageError, httpx.HTTPError, OSError, LookupError, ValueError) as error:
        seen, is_well = f"FAILED: {type(error).__name__}: {error}", False
    took = time.monotonic() - began
    first, *rest = seen.splitlines() or [""]
    print(f"{began - check.began:7.1f} s  {took:6.1f} s  {name:28} {first}", flush=True)
    for line in rest:
        print(" " * 21 + line, flush=True)
    return is_well
