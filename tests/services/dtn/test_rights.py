"""How long control's answers are kept."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dtn.rights import FRESH_S, REFUSED_S, Access, AccessBook, Rule, Rules


@pytest.mark.parametrize(
    ("age_s", "wanted", "n_asked"),
    [
        (REFUSED_S * 2, "/mine/a", 1),  # allowed: the kept answer is taken
        (REFUSED_S * 2, "/new/a", 2),  # refused: a rule may have been added a moment ago
        (0.0, "/new/a", 1),  # a storm of refusals is answered from what is kept
        (FRESH_S * 2, "/mine/a", 2),  # too old for anybody
    ],
)
def test_an_answer_that_refuses_is_soon_asked_anew(age_s, wanted, n_asked):
    asked = []

    async def ask(collection, bearer):
        asked.append(collection)
        return Access(True, None, None, (Rule("/mine/", "r"),), time.monotonic() - age_s)

    async def ask_twice():
        book = AccessBook(ask)
        await book.get("c", "token")
        await asyncio.sleep(0)  # the answer is put away by a callback
        return await book.get("c", "token", wanted=wanted)

    asyncio.run(ask_twice())
    assert len(asked) == n_asked


names = st.lists(st.sampled_from(["a", "b", "ab", "a b"]), max_size=4)
paths = st.builds(lambda parts, end: "/" + "/".join(parts) + (end if parts else ""), names, st.sampled_from(["", "/"]))


@given(st.lists(paths, max_size=5), paths)
def test_many_rules_cover_what_one_of_them_covers(rule_paths, path):
    rules = Rules(Rule(one, "r") for one in rule_paths)
    assert rules.cover(path) == any(rule.covers(path) for rule in rules)
