import itertools
import re

import pytest

from transfers import states
from transfers.access import states as access_states
from transfers.access.states import ACCESS_MOVES, AccessStatus
from transfers.analysis import states as analysis_states
from transfers.analysis.states import JOB_MOVES, LOOK_MOVES, PREVIEW_MOVES, JobStatus, LookStatus, PreviewStatus
from transfers.states import MOVES, Kind, Status


def read_drawing(module, title, names):
    """The arrows below a title in a module's docstring."""
    text = (module.__doc__ or "").split(f"    {title}:\n")[1].split("\n\n")[0]
    arrows = {}
    for line in text.splitlines():
        steps = [[name.strip() for name in part.split(",")] for part in line.split("->")]
        for sources, targets in itertools.pairwise(steps):
            for source in sources:
                arrows.setdefault(names[source].value, set()).update(names[target].value for target in targets)
    return arrows


@pytest.mark.parametrize(
    ("module", "title", "names", "moves"),
    [
        (states, "Share", Status, MOVES[Kind.SHARE]),
        (states, "Transfer", Status, MOVES[Kind.TRANSFER]),
        (analysis_states, "Job", JobStatus, JOB_MOVES),
        (analysis_states, "Look", LookStatus, LOOK_MOVES),
        (analysis_states, "Preview", PreviewStatus, PREVIEW_MOVES),
        (access_states, "Access", AccessStatus, ACCESS_MOVES),
    ],
)
def test_drawing_and_moves_say_the_same(module, title, names, moves):
    assert read_drawing(module, title, names) == {old: set(news) for old, news in moves.items() if news}


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
