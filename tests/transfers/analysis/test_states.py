import itertools

import pytest

from transfers.analysis import states
from transfers.analysis.states import JOB_MOVES, LOOK_MOVES, JobStatus, LookStatus


@pytest.mark.parametrize(("title", "names", "moves"), [("Job", JobStatus, JOB_MOVES), ("Look", LookStatus, LOOK_MOVES)])
def test_drawing_and_moves_say_the_same(title, names, moves):
    text = (states.__doc__ or "").split(f"    {title}:\n")[1].split("\n\n")[0]
    arrows = {}
    for line in text.splitlines():
        parts = [[name.strip() for name in part.split(",")] for part in line.split("->")]
        for sources, targets in itertools.pairwise(parts):
            for source in sources:
                arrows.setdefault(names[source].value, set()).update(names[target].value for target in targets)
    assert arrows == {old: set(news) for old, news in moves.items() if news}
