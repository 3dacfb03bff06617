"""What holds for every path, rule, filter, order, page and scope string, drawn at random; no process is needed."""

import contextlib
import string

import pytest
from globus_sdk.scopes import Scope as SdkScope
from globus_sdk.scopes import ScopeParser
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from services.dtn import filters
from services.dtn.rights import Rule
from services.localglobus.auth import scopes
from services.localglobus.auth.policies import Policy
from services.localglobus.errors import ApiError
from services.localglobus.transfer import listing, paths
from services.localglobus.transfer.permissions import Grant, Rights

pytestmark = pytest.mark.long

names = st.text(st.characters(blacklist_characters="/\0\r\n", blacklist_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in {".", "..", "~"}
)
few = st.sampled_from(["a", "b", "a b", "é", "#?%", "ab"])  # few enough that they meet one another
plain = st.lists(few, max_size=4).map(lambda parts: "/" + "/".join(parts))
folders = plain.map(paths.folder)
wild = st.text(st.sampled_from("/.~ab é\n\0%*"), max_size=16)


def tried(act):
    """What it answers, and what it refuses."""
    try:
        return act(), None
    except ApiError as refused:
        return None, refused


@given(wild | st.text(max_size=30))
def test_a_normal_path_is_absolute_has_no_odd_segments_and_stays_so(text):
    found, refused = tried(lambda: paths.normalise(text, home="/home/ada/"))
    if refused is not None:
        assert (refused.http_status, refused.code) == (400, "InvalidPath")
        return
    assert found.startswith("/")
    assert not {"", ".", ".."} & set(found.strip("/").split("/")) or found == "/"
    assert "//" not in found
    assert paths.normalise(found, home="/home/ada/") == found or found.startswith("/~")


@given(st.lists(names, min_size=1, max_size=4), st.booleans())
def test_a_path_of_real_names_is_kept_as_it_is(parts, is_folder):
    path = "/" + "/".join(parts) + ("/" if is_folder else "")
    assert paths.normalise(path) == path
    assert paths.normalise(path.replace("/", "//").replace("//", "/./", 1)) == path
    assert paths.normalise(f"/~{path}", home="/home/ada/") == f"/home/ada{path}"
    with pytest.raises(ApiError):
        paths.normalise(f"/..{path}")


@given(folders, plain, plain)
def test_covering_is_a_partial_order_that_keeps_to_names(top, left, right):
    assert paths.covers("/", left)
    assert paths.covers(left, left)
    assert paths.covers(paths.parent(left), left)
    if paths.covers(top, left) and paths.covers(left, right):
        assert paths.covers(top, right)
    if paths.covers(left, right) and paths.covers(right, left):
        assert paths.folder(left) == paths.folder(right)
    assert paths.covers(top, left) == (paths.folder(left)[: len(top)] == top)
    assert not paths.covers(top, top.rstrip("/") + "x") or top == "/"


rules = st.lists(st.tuples(folders, st.sampled_from(["r", "rw"])), max_size=4)


@given(rules, rules, plain)
def test_rules_only_add(some, more, path):
    """There is no deny: what more rules give is never less, and what they give together is what one of them gives."""

    def rights(held):
        return Rights(grants=tuple(Grant(path=at, permissions=permissions) for at, permissions in held))

    both = rights([*some, *more])
    for act in ("may_read", "may_write"):
        assert getattr(both, act)(path) == (getattr(rights(some), act)(path) or getattr(rights(more), act)(path))
    assert not both.may_write(path) or both.may_read(path)
    assert not both.may_read(path) or both.may_see(path, is_folder=False)


@given(folders, plain, st.booleans())
def test_control_and_nodes_agree_on_what_a_rule_covers(top, path, is_folder):
    at = paths.folder(path) if is_folder else path
    assert Rule(top, "r").covers(at) == paths.covers(top, at)
    seen = Rights(grants=(Grant(path=top, permissions="r"),)).may_see(at, is_folder=True)
    assert seen == (Rule(top, "r").covers(at) or Rule(top, "r").lies_below(at))


fields = frozenset({"name", "size", "type"})
rows = st.lists(st.fixed_dictionaries({"name": few, "size": st.integers(0, 3), "type": st.sampled_from(["file", "dir"])}), max_size=12)


def query(*pairs):
    return listing.read_query(QueryParams([*pairs]), fields=fields, limit=100, most=1000)


@given(rows, st.integers(1, 5), st.lists(st.sampled_from(["name", "size DESC", "type ASC", "name desc"]), max_size=3))
def test_pages_put_together_are_the_list(found, limit, order):
    whole = listing.select(found, query(("orderby", ",".join(order))))
    assert whole.total == len(found)
    assert sorted(map(str, whole.rows)) == sorted(map(str, found))
    pages = [
        listing.select(found, query(("orderby", ",".join(order)), ("limit", str(limit)), ("offset", str(at))))
        for at in range(0, len(found) + limit, limit)
    ]
    assert [row for page in pages for row in page.rows] == whole.rows
    assert {page.total for page in pages} == {len(found)}
    assert pages[-1].rows == []  # the end is told by an empty page, not by the first one again


@given(rows, st.sampled_from(["name", "size", "type"]), st.booleans())
def test_orderby_orders(found, name, is_descending):
    ordered = listing.select(found, query(("orderby", f"{name} {'DESC' if is_descending else 'ASC'}"))).rows
    keys = [row[name] for row in ordered]
    assert keys == sorted(keys, reverse=is_descending)


clauses = st.sampled_from(
    ["name:a", "name:!a", "name:~a*", "name:!~a*", "name:a,b", "size:1", "size:>1", "size:<=2", "type:file", "type:!dir", "name:=ab"]
)


@given(rows, st.lists(clauses, min_size=1, max_size=3), st.lists(clauses, min_size=1, max_size=3))
def test_clauses_are_joined_by_and_filters_by_or(found, left, right):
    def chosen(*filters):
        return listing.select(found, query(*(("filter", text) for text in filters))).rows

    every = [{str(row) for row in chosen(clause)} for clause in left]
    assert {str(row) for row in chosen("/".join(left))} == set.intersection(*every)
    one, other = chosen("/".join(left)), chosen("/".join(right))
    assert chosen("/".join(left), "/".join(right)) == [row for row in found if row in one or row in other]


@given(rows, clauses)
def test_a_negated_filter_is_the_rest(found, clause):
    name, _, value = clause.partition(":")
    assume(name != "size" and not value.startswith("!"))
    kept = listing.select(found, query(("filter", clause))).rows
    rest = listing.select(found, query(("filter", f"{name}:!{value}"))).rows
    assert [row for row in found if row not in kept] == rest


@given(
    st.sampled_from(["filter", "orderby", "limit", "offset"]),
    st.text(max_size=12) | st.sampled_from(["9" * 5000, "size:" + "9" * 5000, "size:>٣", "²", "name:~" + "*a" * 40]),
)
def test_an_odd_query_is_read_or_refused(name, text):
    with contextlib.suppress(ApiError):
        listing.select([{"name": "a" * 30, "size": 3, "type": "file"}], query((name, text)))


@given(
    st.lists(st.tuples(st.sampled_from(["include", "exclude"]), st.sampled_from([None, "file", "dir"]), st.sampled_from(["a", "a*", "*"]))),
    few,
    st.sampled_from(["file", "dir"]),
)
def test_the_first_filter_rule_that_matches_decides(asked, name, kind):
    read = filters.filters_from([{"method": method, "type": of, "name": pattern} for method, of, pattern in asked])
    fitting = [rule.method for rule in read if rule.matches(name, kind)]
    assert filters.is_included(name, kind, read) == ((fitting or ["include"])[0] == "include")
    assert filters.is_included(name, kind, [])


scope_names = st.text(string.ascii_lowercase + string.digits + ":/._-", min_size=1, max_size=10)
trees = st.recursive(
    st.builds(scopes.Scope, scope_names, st.booleans()),
    lambda below: st.builds(scopes.Scope, scope_names, st.booleans(), st.lists(below, min_size=1, max_size=3).map(scopes.merge)),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(trees, min_size=1, max_size=3).map(scopes.merge))
def test_scopes_are_read_as_they_are_written_by_us_and_by_the_sdk(found):
    text = " ".join(map(str, found))
    assert scopes.parse(text) == found
    assert scopes.parse(f"  {text}  ".replace(" ", "  ")) == found
    assert scopes.parse(f"{text} {text}") == found

    def as_sdk(scope):
        return SdkScope(scope.name, optional=scope.is_optional, dependencies=[as_sdk(below) for below in scope.dependencies])

    assert scopes.parse(ScopeParser.serialize([as_sdk(scope) for scope in found])) == found


@given(st.text("ab[]* :", max_size=24) | st.text(max_size=24))
def test_what_is_read_as_scopes_can_be_written_and_read_again(text):
    found, refused = tried(lambda: scopes.parse(text))
    if refused is not None:
        assert (refused.code, refused.http_status) == ("invalid_scope", 400)
        return
    assert scopes.parse(" ".join(map(str, found))) == found
    written = text.replace("[", " ").replace("]", " ").replace("*", " ").split()
    assert set(written) == {scope.name for _, scope in scopes.walk(found)}


@given(
    st.none() | st.lists(st.sampled_from(["a.example", "*.a.example", "b.example"]), max_size=2),
    st.none() | st.lists(st.sampled_from(["a.example", "x.a.example"]), max_size=2),
    st.sampled_from(["a.example", "x.a.example", "b.example", "ba.example"]),
)
def test_a_policy_takes_a_domain_that_is_included_and_not_excluded(include, exclude, domain):
    policy = Policy(
        id="", owner_id="", project_id="", display_name="", description="", is_high_assurance=False, timeout_s=None, requires_mfa=False,
        domains_include=None if include is None else tuple(include), domains_exclude=None if exclude is None else tuple(exclude),
    )  # fmt: skip
    below = {"*.a.example"} if domain.endswith(".a.example") else set()
    is_wanted = include is None or bool(({domain} | below) & set(include))
    assert policy.allows(f"Ada@{domain.upper()}") == (is_wanted and domain not in (exclude or []))
