"""In what order files of tests run, and which of them in the same process (pytest-xdist asks `pytest_xdist_make_scheduler`)."""

from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

JOURNEYS = "tests/journeys/"
WITH_A_PRODUCT_OF_ITS_OWN = "tests/journeys/test_fresh_clone.py"
MINUTES_FIRST = ("journey", "browser", "long")


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist is not typed
    """A file at a time; all journeys in one process: they wait more than they work, and the product that they share is started once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return JOURNEYS if file.startswith(JOURNEYS) and file != WITH_A_PRODUCT_OF_ITS_OWN else file


def put_longest_first(items: list[pytest.Item]) -> None:
    """Files with journeys, then those with other long tests, then the rest: none is left alone at the end. Else the order stays."""

    def first(item: pytest.Item) -> int:
        return next((at for at, name in enumerate(MINUTES_FIRST) if item.get_closest_marker(name)), len(MINUTES_FIRST))

    weights: dict[Any, int] = {}
    for item in items:
        weights[item.path] = min(first(item), weights.get(item.path, len(MINUTES_FIRST)))
    items.sort(key=lambda item: weights[item.path])
