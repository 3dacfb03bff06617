import itertools

import pytest
from globus_sdk.scopes import Scope as SdkScope
from globus_sdk.scopes import ScopeParser
from hypothesis import given
from hypothesis import strategies as st

from services.localglobus.auth import scopes
from services.localglobus.auth.scopes import Scope, parse
from services.localglobus.errors import OAuthError


def test_nested_and_optional_dependencies_are_read():
    (found,) = parse("a[b *c[d e]]")
    assert found == Scope("a", dependencies=(Scope("b"), Scope("c", is_optional=True, dependencies=(Scope("d"), Scope("e")))))
    assert str(found) == "a[b *c[d e]]"


def test_duplicates_are_merged_and_required_wins_over_optional():
    assert parse("a a[*b] a[b[c]] d") == (Scope("a", dependencies=(Scope("b", dependencies=(Scope("c"),)),)), Scope("d"))


@pytest.mark.parametrize("text", ["a[", "a]", "a[]", "a[b", "*", "a *", "[a]", "a[b]]", "a" + "[b" * 50 + "]" * 50, "a " * 40_000])
def test_what_is_not_the_grammar_is_refused(text):
    with pytest.raises(OAuthError) as refused:
        parse(text)
    assert refused.value.code == "invalid_scope"


shapes = st.recursive(st.just([]), lambda below: st.lists(below, min_size=1, max_size=3), max_leaves=8)


def name_all(shape, counter, depth=0):
    found = []
    for below in shape:
        dependencies = name_all(below, counter, depth + 1)
        name, is_optional = f"scope:{next(counter)}", depth > 0 and next(counter) % 2 == 0
        found.append(SdkScope(name, optional=is_optional, dependencies=dependencies))
    return found


@given(shapes.filter(bool))
def test_what_the_sdk_writes_is_read_as_the_sdk_reads_it(shape):
    text = ScopeParser.serialize(name_all(shape, itertools.count()))

    def walk(found, above=()):
        for one in found:
            yield (*above, one.scope_string), one.optional
            yield from walk(one.dependencies, (*above, one.scope_string))

    ours = {(path, scope.is_optional) for path, scope in scopes.walk(parse(f"{text} {text}"))}
    assert ours == set(walk(ScopeParser.parse(text)))
