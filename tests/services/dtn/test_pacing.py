"""A task's bandwidth cap: the bucket by its own clock, and a real copy that is never ahead of it."""

import time

import pytest

from services.dtn.pacing import BURST_S, Pace
from tests.services.dtn.conftest import new_collection

pytestmark = pytest.mark.long

MIB = 1 << 20


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_without_a_cap_nobody_waits():
    pace = Pace(None)
    assert pace.take(1 << 40) == 0.0


@pytest.mark.parametrize("n_takers", [1, 3])
def test_all_takers_together_keep_to_the_cap(n_takers):
    clock = Clock()
    pace, taken, free_at = Pace(1000, now=clock), 0, [clock.now] * n_takers
    for _ in range(500):
        taker = min(range(n_takers), key=free_at.__getitem__)
        clock.now = max(clock.now, free_at[taker])
        free_at[taker] = clock.now + pace.take(100)
        taken += 100
        assert taken <= 1000 * (clock.now - 1000.0 + BURST_S) + n_takers * 100 + 1
    assert taken >= 1000 * (clock.now - 1000.0) - 100, "and no slower than it"


def test_a_rest_is_not_saved_up():
    clock = Clock()
    pace = Pace(1000, now=clock)
    pace.take(100)
    clock.now += 3600
    assert pace.take(250) == 0.0
    assert pace.take(1000) == pytest.approx(1.0)


@pytest.mark.parametrize("names", [["large"], [f"small {number}" for number in range(12)]])
def test_a_copy_is_never_ahead_of_its_cap(control, archive, campus, request, names):
    source, there = new_collection(control, archive, request.node.name)
    destination, here = new_collection(control, campus, request.node.name)
    cap, total = 2 * MIB, 6 * MIB
    for name in names:
        (there / name).write_bytes(b"x" * (total // len(names)))
    began = time.monotonic()
    order = control.order((archive.url, source), destination, [("/", "/", True)], paths=["/"], most_bytes_per_s=cap)
    while order not in control.finished:
        n_bytes = sum(size_of(path) for path in list(here.iterdir()))
        assert n_bytes <= cap * (time.monotonic() - began + BURST_S) + MIB, "a block of each connection may be on its way"
        time.sleep(0.05)  # looked at again and again while it comes
        assert time.monotonic() - began < 90
    assert control.wait_for_end(order)["status"] == "SUCCEEDED"
    assert sum(path.stat().st_size for path in here.iterdir()) == total


def size_of(path):
    """A file under way may get its own name between being listed and being looked at."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
