import itertools
import re

import pytest

from transfers import states
from transfers.states import MOVES, Kind, Status


def read_drawing(title: str) -> dict[str, set[str]]:
    """The arrows below a title in the module's docstring."""
    text = (states.__doc__ or "").split(f"    {title}:\n")[1].split("\n\n")[0]
    arrows: dict[str, set[str]] = {}
    for line in text.splitlines():
        steps = [[name.strip() for name in part.split(",")] for part in line.split("->")]
        for sources, targets in itertools.pairwise(steps):
            for source in sources:
                arrows.setdefault(Status[source].value, set()).update(Status[target].value for target in targets)
    return arrows


@pytest.mark.parametrize(("title", "kind"), [("Share", Kind.SHARE), ("Transfer", Kind.TRANSFER)])
def test_drawing_and_moves_say_the_same(title, kind):
    assert read_drawing(title) == {old: set(news) for old, news in MOVES[kind].items() if news}


@pytest.mark.parametrize("kind", Kind.values)
def test_every_state_leads_to_an_end(kind):
    def reachable(status: str, seen: frozenset[str] = frozenset()) -> set[str]:
        return {status} | {end for new in MOVES[kind][status] if new not in seen for end in reachable(new, seen | {status})}

    for status in MOVES[kind]:
        assert reachable(status) & states.FINISHED


def test_only_finished_states_have_no_way_on():
    for moves in MOVES.values():
        assert {status for status, news in moves.items() if not news} == {status for status in moves if status in states.FINISHED}


def test_drawing_names_no_state_twice_in_a_row():
    assert not re.search(r"\b(\w+) -> \1\b", states.__doc__ or "")
