"""What holds for every range, condition, filter, name and listing that anybody can ask for."""

import hashlib
import re
from fnmatch import fnmatchcase
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from services.dtn import posix
from services.dtn.conditions import MOST_RANGES, RangeError, check_conditions, wanted_ranges
from services.dtn.digests import Stamp, as_field, from_field
from services.dtn.entries import everything, walk
from services.dtn.errors import BadRequestError, ChangedError, InvalidPathError
from services.dtn.filters import FilterRule, filters_from, is_included
from services.dtn.pages import page_of
from services.dtn.paths import MAX_NAME_BYTES, is_part_name, is_plain_name, normalise, part_name
from services.dtn.resuming import span_of
from services.dtn.s3 import LEAST_PART_BYTES, MOST_PARTS, piece_bytes
from services.dtn.s3_objects import MOST_KEY_BYTES, key_of

sizes = st.integers(0, 5000)
numbers = st.one_of(st.integers(0, 6000).map(str), st.just(""), st.just("99999999999999999999"))
specs = st.one_of(st.tuples(numbers, numbers).map("-".join), st.sampled_from(["x", "-", " 5-9 ", "5 - 9", "--5", "1-2-3", "²-3"]))
fields = st.one_of(
    st.lists(specs, max_size=5).map(lambda listed: "bytes=" + ",".join(listed)), st.text(max_size=30), st.just("items=0-5")
)  # fmt: skip


def stamp(size):
    return Stamp(1, 2, size, 1_700_000_000_123_456_789)


# --- ranges and conditions ------------------------------------------------------------------------------------------------------------


@given(fields, sizes)
def test_ranges_lie_in_the_file_and_never_ask_for_more_than_it_has(field, size):
    try:
        ranges = wanted_ranges(Headers({"range": field.encode("latin-1", "ignore").decode("latin-1")}), stamp(size))
    except RangeError:
        return
    if ranges is None:
        return
    assert 0 < len(ranges) <= MOST_RANGES
    assert all(offset >= 0 and length > 0 and offset + length <= size for offset, length in ranges)
    assert len(ranges) == 1 or sum(length for _, length in ranges) <= size


@given(st.integers(1, 5000), st.data())
def test_a_range_is_answered_with_the_bytes_that_it_names(size, data):
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, 2 * size))
    content = bytes(number % 251 for number in range(size))
    ((offset, length),) = wanted_ranges(Headers({"range": f"bytes={first}-{last}"}), stamp(size))
    assert content[offset : offset + length] == content[first : last + 1]
    ((offset, length),) = wanted_ranges(Headers({"range": f"bytes=-{last + 1}"}), stamp(size))
    assert content[offset : offset + length] == content[-(last + 1) :]
    assert wanted_ranges(Headers({"range": f"bytes={first}-"}), stamp(size)) == [(first, size - first)]


@given(st.lists(st.integers(0, 99), min_size=2, max_size=8))
def test_several_ranges_come_in_the_order_asked(starts):
    asked = ",".join(f"{start}-{start}" for start in starts)
    assert wanted_ranges(Headers({"range": f"bytes={asked}"}), stamp(100)) == [(start, 1) for start in starts]


@given(fields, st.text(st.characters(codec="ascii"), max_size=40))
def test_a_range_of_another_file_is_not_answered(field, other):
    """`If-Range` with a tag that is not this file's: the whole file."""
    headers = Headers({"range": "bytes=0-1", "if-range": f'"{other}"'})
    assert wanted_ranges(headers, stamp(100)) is None


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters='",*'), max_size=12), max_size=4))
def test_a_tag_that_is_not_named_never_matches(others):
    named = ", ".join(f'"{one}"' for one in others) or '"x"'
    with pytest.raises(ChangedError):
        check_conditions(Headers({"if-match": named}), stamp(5), is_read=False)
    assert check_conditions(Headers({"if-none-match": named}), stamp(5), is_read=True) is False
    both = f"{named}, {stamp(5).etag}"
    assert check_conditions(Headers({"if-none-match": both}), stamp(5), is_read=True) is True
    check_conditions(Headers({"if-match": both}), stamp(5), is_read=False)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"bytes \d{1,22}-\d{1,22}/\d{1,22}", fullmatch=True)))
def test_a_content_range_is_read_or_refused(field):
    try:
        span = span_of(field)
    except BadRequestError:
        return
    assert span.total > 0
    assert span.length is None or (span.length > 0 and span.offset + span.length <= span.total)


@given(st.binary(max_size=40))
def test_a_digest_field_gives_the_digest_back(content):
    digest = hashlib.sha256(content).hexdigest()
    assert from_field(f"md5=:AA==:, {as_field(digest)}") == digest


@given(st.text(max_size=80))
def test_any_digest_field_is_read_or_ignored(field):
    found = from_field(field)
    assert found is None or re.fullmatch(r"[0-9a-f]{64}", found)


# --- filters --------------------------------------------------------------------------------------------------------------------------

names = st.text(st.characters(codec="utf-8", exclude_characters="/\0\r\n"), min_size=1, max_size=12).filter(
    lambda one: one not in {".", ".."}
)
patterns = st.one_of(names, st.sampled_from(["*", "*.nc", "?", "[a-c]*", "[!x]", "a*b", "[", "**"]))
rules = st.lists(
    st.builds(FilterRule, st.sampled_from(["include", "exclude"]), st.sampled_from([None, "file", "dir"]), patterns), max_size=5
)  # fmt: skip


@given(names, st.sampled_from(["file", "dir"]), rules)
def test_the_first_rule_that_matches_decides(name, kind, listed):
    first = next((one for one in listed if one.type in {None, kind} and fnmatchcase(name, one.pattern)), None)
    assert is_included(name, kind, listed) == (first is None or first.method == "include")


@given(st.dictionaries(st.sampled_from(["method", "type", "name", "x"]), st.one_of(st.none(), st.text(max_size=8), st.just("include"))))
def test_any_document_is_a_rule_or_refused(document):
    try:
        (rule,) = filters_from([document])
    except BadRequestError:
        return
    assert rule.method in {"include", "exclude"}
    assert rule.type in {None, "file", "dir"}


class Tree:
    """A storage of nested dicts; a file is None."""

    def __init__(self, tree):
        self.tree = tree

    def stat(self, path):
        return path.rstrip("/") or "/", entry("", "dir")

    def list_folder(self, path, *, show_hidden=True, may_see=everything, is_brief=False):
        at = self.tree
        for name in [one for one in path.split("/") if one]:
            at = at[name]
        return path, [entry(name, "file" if below is None else "dir") for name, below in at.items()]


def entry(name, kind):
    return {"name": name, "type": kind, "link_target": None}


trees = st.recursive(st.none(), lambda below: st.dictionaries(st.sampled_from("abcd"), below, max_size=3), max_leaves=12).map(
    lambda tree: tree or {}
)


@given(trees, rules)
def test_a_walk_tells_folders_before_what_they_hold_and_nothing_below_what_is_excluded(tree, listed):
    told = [found["path"] for found in walk(Tree(tree), "/", listed)]
    assert told[0] == "/"
    assert len(told) == len(set(told))
    for number, path in enumerate(told[1:], 1):
        parent, _, name = path.rstrip("/").rpartition("/")
        assert f"{parent}/" in told[:number]
        assert is_included(name, "dir" if path.endswith("/") else "file", listed)
    assert set(told) == {"/", *included_below(tree, "/", listed)}


def included_below(tree, folder, listed):
    for name, below in tree.items():
        kind = "file" if below is None else "dir"
        if is_included(name, kind, listed):
            yield f"{folder}{name}" + ("" if below is None else "/")
            yield from () if below is None else included_below(below, f"{folder}{name}/", listed)


# --- names, keys, pages ---------------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_the_normal_form_is_its_own_and_never_climbs(text):
    try:
        path = normalise("/" + text)
    except InvalidPathError:
        return
    assert normalise(path) == path
    assert path.startswith("/")
    segments = path.strip("/").split("/")
    assert all(is_plain_name(one) and len(one.encode()) <= MAX_NAME_BYTES for one in segments if one)
    assert path == "/" or "" not in segments


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=255),
    st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
)
def test_an_unfinished_name_fits_the_disk_and_is_known_as_one(name, identifier):
    part = part_name(name, identifier)
    assert is_part_name(part)
    assert len(part.encode()) <= MAX_NAME_BYTES
    assert part != part_name(name, "0" * 12 if identifier != "0" * 12 else "1" * 12)


@given(st.sampled_from(["", "data/", "a b/c/"]), st.text(st.characters(codec="utf-8"), max_size=300))
def test_a_key_stays_below_its_prefix(prefix, text):
    try:
        key = key_of(prefix, "/" + text)
    except InvalidPathError:
        return
    assert key.startswith(prefix)
    assert len(key.encode()) <= MOST_KEY_BYTES
    assert ".." not in key.split("/")


@given(st.integers(0, 5 << 40))
def test_parts_are_long_enough_and_not_too_many(size):
    length = piece_bytes(size)
    assert length >= LEAST_PART_BYTES
    assert -(-size // length) <= MOST_PARTS


@given(st.integers(0, 5 << 40))
def test_pieces_are_many_enough_for_several_streams_and_not_too_short(size):
    length = posix.piece_bytes(size)
    assert length.bit_count() == 1
    assert 4 << 20 <= length <= 16 << 20
    assert length == 16 << 20 or (length < size and (length == 4 << 20 or size // length >= 64))


@given(st.dictionaries(names, st.sampled_from(["file", "dir"]), max_size=20), st.integers(1, 7))
def test_pages_tell_each_entry_once_folders_first(kinds, limit):
    entries = [{"name": name, "type": kind} for name, kind in kinds.items()]
    told, after = [], ""
    for _ in range(len(entries) + 1):
        page = page_of(entries, after=after, limit=limit, url="/x/")
        told += page.entries
        assert len(page.entries) <= limit
        if page.next_url is None:
            break
        after = parse_qs(urlsplit(page.next_url).query)["after"][0]
    assert [one["name"] for one in told] == [
        *sorted(name for name, kind in kinds.items() if kind == "dir"),
        *sorted(name for name, kind in kinds.items() if kind == "file"),
    ]
