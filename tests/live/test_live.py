"""The same calls to the local Globus and to the real one: status, code, keys and types must agree, but for what is recorded.

What is recorded is in services/localglobus/DIFFERENCES.md, in backticks in the last column: `call: where`.
"""

import re
from pathlib import Path

import pytest

from tests.live.calls import CALLS, GRANTS, Call
from tests.live.sides import Outcome, Side, differences

RECORD = Path(__file__).parents[2] / "services/localglobus/DIFFERENCES.md"


def recorded(text: str | None = None) -> list[tuple[str, str]]:
    """`(call, where)` of every difference that the record says would be seen; a call may end with `*`."""
    return re.findall(r"`([\w.]+\*?): (status|code|\$[^`]*)`", RECORD.read_text() if text is None else text)


def is_recorded(call: str, difference: str, text: str | None = None) -> bool:
    return any(
        (name == call or (name.endswith("*") and call.startswith(name[:-1]))) and difference.startswith(f"{where}:")
        for name, where in recorded(text)
    )


def compare(name: str, ask: Call, here: Side, there: Side, tell: pytest.FixtureRequest) -> None:
    found = differences(Outcome.of(ask, there), Outcome.of(ask, here))
    for each in found:
        is_known = is_recorded(name, each)
        tell.node.user_properties.append(("difference", f"{name}: {each}{' (recorded)' if is_known else ''}"))
    assert [each for each in found if not is_recorded(name, each)] == []


@pytest.mark.live
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", CALLS)
def test_both_answer_alike(here: Side, there: Side, name: str, request: pytest.FixtureRequest):
    compare(name, CALLS[name], here, there, request)


@pytest.mark.live
@pytest.mark.parametrize("name", GRANTS)
def test_both_answer_alike_about_rules(here: Side, there: Side, name: str, request: pytest.FixtureRequest):
    if not there.may_grant:
        pytest.skip(f"{there.client_id} may not set rules at {there.destination.collection}")
    compare(name, GRANTS[name], here, there, request)
