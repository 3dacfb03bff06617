"""Query strings. A simple one is words, any of which is looked for; it cannot be wrong. The advanced syntax is that of Lucene:

    author: "Ada Lovelace" AND (year:[1840 TO 1850] OR -draft:true) title:poet*

with `field:value`, phrases, `AND OR NOT + -`, brackets, `*` and `?` in words, ranges and `_exists_:field`. Boosts (`^2`) are read and
fuzziness (`~`) is refused. What stands side by side is joined by "or", as in Lucene: `a AND b c` needs a and b, and c raises the score.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.localglobus.search import fields
from services.localglobus.search.filters import read_range, refuse

Test = Callable[[Any], bool]
TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<range>[\[{][^\]}]*[\]}])|(?P<mark>&&|\|\||[()+\-!:])|(?P<word>(?:[^\s()":\\]|\\.)+))"""
)
RANGE = re.compile(r"([\[{])\s*(\S+)\s+TO\s+(\S+)\s*([\]}])")
MOST_DEEP = 20
MOST_CLAUSES = 100


@dataclass(frozen=True)
class Query:
    """A query string that was read: whether an entry's content matches, and the words that make it score.

    `any_of` are words of which every match holds at least one, or None where the full-text index cannot help.
    """

    test: Test
    words: tuple[str, ...] = ()
    any_of: tuple[str, ...] | None = None


EVERYTHING = Query(test=lambda _content: True)


def read_simple(text: str) -> Query:
    """Reads words; `*` alone is everything."""
    found = tuple(dict.fromkeys(fields.words(text)))
    if not found:
        return EVERYTHING if text.strip() in ("", "*") else Query(test=lambda _content: False)
    wanted = frozenset(found)
    return Query(
        test=lambda content: any(wanted & set(fields.words(value)) for _, value in fields.scalars(content)), words=found, any_of=found
    )


def read_advanced(text: str) -> Query:
    """Reads the advanced syntax. Raises `ApiError` 400 for what is not in it."""
    if text.strip() in ("", "*"):
        return EVERYTHING
    reader = _Reader(_tokens(text))
    test = reader.clauses(None, 0)
    if reader.position < len(reader.tokens):
        raise refuse(f"bad query string: unexpected {reader.tokens[reader.position][1]!r}")
    return Query(test=test, words=tuple(dict.fromkeys(reader.words)))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise refuse(f"bad query string: {text[position:].strip()[:40]!r}")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    return found


class _Reader:
    """Reads tokens from left to right; `words` collects what is looked for and not excluded."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens, self.position = tokens, 0
        self.words: list[str] = []
        self.n_clauses = 0

    def clauses(self, path: tuple[str, ...] | None, depth: int) -> Test:
        """Clauses up to a closing bracket or the end. `path` is the field before the bracket."""
        if depth > MOST_DEEP:
            raise refuse("bad query string: nested too deep")
        found: list[tuple[str, Test]] = []
        while self.position < len(self.tokens) and self._peek() != ")":
            is_and = self._joined_by_and(bool(found))
            occurs = self._occurs()
            before = len(self.words)
            test = self._clause(path, depth)
            if occurs == "not":
                del self.words[before:]
            if is_and:
                found[-1] = ("must" if found[-1][0] == "should" else found[-1][0], found[-1][1])
                occurs = "must" if occurs == "should" else occurs
            found.append((occurs, test))
        if not found:
            raise refuse("bad query string: something is missing")
        return _boolean(found)

    def _peek(self) -> str | None:
        if self.position >= len(self.tokens):
            return None
        kind, text = self.tokens[self.position]
        return text if kind in ("mark", "word") else kind

    def _take(self) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise refuse("bad query string: something is missing at its end")
        self.position += 1
        return self.tokens[self.position - 1]

    def _joined_by_and(self, has_former: bool) -> bool:
        if self._peek() not in ("AND", "&&", "OR", "||"):
            return False
        if not has_former:
            raise refuse("bad query string: AND and OR stand between two things")
        return self._take()[1] in ("AND", "&&")

    def _occurs(self) -> str:
        marks = {"+": "must", "-": "not", "!": "not", "NOT": "not"}
        peeked = self._peek()
        if peeked not in marks:
            return "should"
        self._take()
        return marks[peeked]

    def _clause(self, path: tuple[str, ...] | None, depth: int) -> Test:
        self.n_clauses += 1
        if self.n_clauses > MOST_CLAUSES:
            raise refuse(f"bad query string: more than {MOST_CLAUSES} things are looked for")
        kind, text = self._take()
        if kind == "word" and self._peek() == ":":
            self._take()
            if text == "_exists_":
                sought = fields.split(self._take()[1])
                return lambda content: next(fields.values(content, sought), None) is not None
            return self._value(fields.split(text), depth, *self._take())
        return self._value(path, depth, kind, text)

    def _value(self, path: tuple[str, ...] | None, depth: int, kind: str, text: str) -> Test:
        if text == "(" and kind == "mark":
            test = self.clauses(path, depth + 1)
            if self._take()[1] != ")":
                raise refuse("bad query string: a bracket is not closed")
            return test
        if kind == "mark" and text in "+-" and self.position < len(self.tokens) and self.tokens[self.position][0] == "word":
            kind, text = "word", text + self._take()[1]  # a negative number
        if kind == "range":
            test_range = _range(text)
            return _at(path, test_range)
        if kind == "quoted":
            return self._phrase(path, re.sub(r"\\(.)", r"\1", text[1:-1]))
        if kind != "word":
            raise refuse(f"bad query string: unexpected {text!r}")
        return self._word(path, re.sub(r"\^[\d.]+$", "", text))

    def _phrase(self, path: tuple[str, ...] | None, text: str) -> Test:
        wanted = fields.words(text)
        self.words += wanted
        return _at(path, lambda value: _holds(fields.words(value), wanted))

    def _word(self, path: tuple[str, ...] | None, text: str) -> Test:
        if "~" in text:
            raise refuse("bad query string: fuzzy search is not supported")
        if match := re.fullmatch(r"([<>]=?)(.+)", text):
            name = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}[match[1]]
            return _at(path, read_range({name: match[2]}))
        if set(text) & set("*?"):
            pattern = text.casefold().replace("[", "[[]")
            return _at(path, lambda value: any(fnmatch.fnmatchcase(word, pattern) for word in fields.words(value)))
        return self._phrase(path, re.sub(r"\\(.)", r"\1", text))


def _boolean(found: list[tuple[str, Test]]) -> Test:
    must = [test for occurs, test in found if occurs == "must"]
    never = [test for occurs, test in found if occurs == "not"]
    should = [test for occurs, test in found if occurs == "should"]

    def test(content: Any) -> bool:
        if any(each(content) for each in never) or not all(each(content) for each in must):
            return False
        return bool(must) or not should or any(each(content) for each in should)

    return test


def _at(path: tuple[str, ...] | None, test: Test) -> Test:
    """The test of one value, applied to a field or, without a path, to every scalar."""
    if path is None:
        return lambda content: any(test(value) for _, value in fields.scalars(content))
    return lambda content: any(test(value) for found in fields.values(content, path) for _, value in fields.scalars(found))


def _holds(words: list[str], wanted: list[str]) -> bool:
    size = len(wanted)
    if size == 1:
        return wanted[0] in words
    return bool(size) and any(words[start : start + size] == wanted for start in range(len(words) - size + 1))


def _range(text: str) -> Test:
    match = RANGE.fullmatch(text)
    if match is None:
        raise refuse("bad query string: a range is [a TO b] or {a TO b}")
    low, high = "gte" if match[1] == "[" else "gt", "lte" if match[4] == "]" else "lt"
    bounds = {low: match[2].strip('"'), high: match[3].strip('"')}
    return read_range(bounds)
