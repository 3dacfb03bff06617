"""What is asked of items: words, bounds of columns, or items by name. As JSON, as query parameters, in words, in SQL.

    {"words": "...", "keys": ["cast-1"], "columns": {"depth": {"from": "10", "to": "200"}, "instrument": {"is": ["CTD", "XBT"]}}}

Numbers and times take `from` and `to`, both included (a day as `to` is included whole); texts and choices take `is`, where a text that ends
with * means all that begin so. In an address a bound reads `where.depth.from=10`.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import Q
from django.http import QueryDict

from datasets.errors import InvalidError
from datasets.items.values import ValueReadError, read_value
from datasets.models import ColumnKind, ItemColumn, Version

MOST_KEYS = 1_000
MOST_VALUES = 100
LONGEST_WORDS = 300
RANGED = {ColumnKind.NUMBER, ColumnKind.TIME}
VALID = "i.dataset_id = %(dataset)s and i.first_version <= %(version)s and (i.last_version is null or i.last_version >= %(version)s)"
# What the words of an item are made of, for loading and for searching alike.
SEPARATORS = "_-/.:+,;#()"
_AS_BLANKS = str.maketrans(SEPARATORS, " " * len(SEPARATORS))
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

Bound = tuple[str, str, tuple[str, ...]]
"""(column, one of is, from, to, the values)"""


@dataclass(frozen=True)
class ItemFilter:
    """All of it has to hold; what is empty asks nothing."""

    words: str = ""
    keys: tuple[str, ...] = ()
    bounds: tuple[Bound, ...] = ()

    def __post_init__(self) -> None:
        if len(self.keys) > MOST_KEYS or any(len(values) > MOST_VALUES for _, _, values in self.bounds):
            raise InvalidError(fields={"items": [f"At most {MOST_KEYS:,} items by name and {MOST_VALUES} values of a column."]})
        object.__setattr__(self, "words", " ".join(self.words.split())[:LONGEST_WORDS].replace("\0", ""))
        object.__setattr__(self, "keys", tuple(sorted(set(self.keys))))
        object.__setattr__(self, "bounds", tuple(sorted((name, kind, tuple(sorted(set(values)))) for name, kind, values in self.bounds)))

    def __bool__(self) -> bool:
        return bool(self.words or self.keys or self.bounds)

    @classmethod
    def read(cls, stored: Any) -> Self:
        """From the JSON above, or that as text; nothing asks nothing. Raises InvalidError where the shape is another."""
        try:
            body = json.loads(stored) if isinstance(stored, str) and stored.strip() else stored or {}
            columns = body.get("columns") or {}
            bounds = [(str(name), str(kind), _texts(values)) for name, asked in columns.items() for kind, values in asked.items()]
            keys = _texts(body.get("keys") or ())
            words = "".join(_texts(body.get("words") or ""))
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise InvalidError(fields={"items": ["An object with words, keys and columns."]}) from error
        if not all(values for _, _, values in bounds):
            raise InvalidError(fields={"items": ["A bound names a value."]})
        if any(kind not in {"is", "from", "to"} for _, kind, _ in bounds):
            raise InvalidError(fields={"items": ["A column is asked for by is, from or to."]})
        return cls(words, keys, tuple(bounds))

    @classmethod
    def from_parameters(cls, asked: QueryDict) -> Self:
        """From `q`, `item` (repeats) and `where.<column>[.from|.to]` of an address or a form."""
        bounds = []
        for name in asked:
            values = tuple(value.strip() for value in asked.getlist(name) if value.strip())
            if name.startswith("where.") and values:
                column, _, kind = name.removeprefix("where.").partition(".")
                bounds.append((column, kind if kind in {"from", "to"} else "is", values if kind not in {"from", "to"} else values[:1]))
        return cls(asked.get("q", ""), tuple(filter(None, asked.getlist("item"))), tuple(bounds))

    def to_json(self) -> dict[str, Any]:
        """The shape above, without what is empty."""
        columns: dict[str, dict[str, Any]] = {}
        for name, kind, values in self.bounds:
            columns.setdefault(name, {})[kind] = list(values) if kind == "is" else values[0]
        stated = {"words": self.words, "keys": list(self.keys), "columns": columns}
        return {name: value for name, value in stated.items() if value}

    def to_text(self) -> str:
        """The same as one text, such as a hidden field holds."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)

    def parameters(self) -> list[tuple[str, str]]:
        """The same for an address."""
        named = [(f"where.{name}" + ("" if kind == "is" else f".{kind}"), value) for name, kind, values in self.bounds for value in values]
        return [*([("q", self.words)] if self.words else []), *(("item", key) for key in self.keys), *named]

    def parts(self) -> list[tuple[str, "ItemFilter"]]:
        """(words, the filter without it) of each part."""
        found = [(f"words “{self.words}”", ItemFilter("", self.keys, self.bounds))] if self.words else []
        if self.keys:
            named = self.keys[0] if len(self.keys) == 1 else f"{len(self.keys):,} items by name"
            found.append((named, ItemFilter(self.words, (), self.bounds)))
        signs = {"is": "is", "from": "from", "to": "to"}
        for bound in self.bounds:
            rest = tuple(other for other in self.bounds if other != bound)
            found.append((f"{bound[0]} {signs[bound[1]]} {' or '.join(bound[2])}", ItemFilter(self.words, self.keys, rest)))
        return found

    def describe(self) -> str:
        return "items: " + ", ".join(words for words, _ in self.parts())

    def conditions(self, version: Version) -> tuple[str, dict[str, Any]]:
        """SQL on a row `i` of datasets_item, with its parameters. Raises InvalidError naming every bound that the schema does not take."""
        wanted = [VALID]
        asked: dict[str, Any] = {"dataset": version.dataset_id, "version": version.number}
        if self.keys:
            wanted.append("i.key = any(%(item_keys)s)")
            asked["item_keys"] = list(self.keys)
        if query := word_query(self.words):
            wanted.append("i.words @@ to_tsquery('simple', %(item_words)s)")
            asked["item_words"] = query
        columns = {column.name: column for column in columns_of(version)} if self.bounds else {}
        wrong: dict[str, list[str]] = {}
        for number, (name, kind, values) in enumerate(self.bounds):
            try:
                test, value = _test(columns, name, kind, values)
            except ValueReadError as error:
                wrong.setdefault(f"where.{name}", []).append(str(error))
                continue
            wanted.append(test.format(place=f"%(bound_{number})s"))
            asked[f"bound_{number}"] = value
        if wrong:
            raise InvalidError(" ".join(words for texts in wrong.values() for words in texts), fields=wrong)
        return " and ".join(wanted), asked


def columns_of(version: Version) -> list[ItemColumn]:
    """The schema of the items of a version, in order."""
    valid = Q(last_version=None) | Q(last_version__gte=version.number)
    return list(ItemColumn.objects.filter(valid, dataset_id=version.dataset_id, first_version__lte=version.number))


def split_words(text: str) -> str:
    """Names fall into their parts: cast_12/CTD-3 is four words."""
    return text.translate(_AS_BLANKS)


def word_query(text: str) -> str:
    """All of the words, the last one as a beginning; empty when there is none."""
    words = [re.sub(r"\W", "", word) for word in split_words(text).split()]
    words = [word for word in words if word]
    return " & ".join([*(f"'{word}'" for word in words[:-1]), f"'{words[-1]}':*"]) if words else ""


def _test(columns: Mapping[str, ItemColumn], name: str, kind: str, values: Sequence[str]) -> tuple[str, Any]:
    """The condition of one bound with `{place}` for its value."""
    if name not in columns:
        raise ValueReadError(f"There is no column {name[:40]!r}. Columns: {', '.join(columns) or 'none'}.")
    column = columns[name]
    if kind == "is":
        if column.kind == ColumnKind.TEXT and any(value.endswith("*") for value in values):
            # one pattern is an index scan
            return (
                (f"i.{column.slot} like {{place}}", _pattern(values[0]))
                if len(values) == 1
                else (f"i.{column.slot} like any({{place}})", [_pattern(value) for value in values])
            )
        return f"i.{column.slot} = any({{place}})", [read_value(column, value) for value in values]
    if column.kind not in RANGED:
        raise ValueReadError(f"{column.title} is asked for by its value, not from or to.")
    value = read_value(column, values[0])
    if kind == "to" and isinstance(value, dt.datetime) and DAY.fullmatch(values[0]):
        try:
            return f"i.{column.slot} < {{place}}", value + dt.timedelta(days=1)
        except OverflowError as error:
            raise ValueReadError("Name an earlier day.") from error
    return f"i.{column.slot} {'>=' if kind == 'from' else '<='} {{place}}", value


def _pattern(value: str) -> str:
    """A text, or its beginning before *, for LIKE."""
    beginning = value.removesuffix("*")
    return re.sub(r"([\\%_])", r"\\\1", beginning) + ("%" if beginning != value else "")


def _texts(values: Any) -> tuple[str, ...]:
    if isinstance(values, (str, int, float)) and not isinstance(values, bool):
        values = [values]
    if not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise TypeError
    texts = tuple(str(value) for value in values)
    if any("\0" in text for text in texts):  # written as an escape of JSON; PostgreSQL has no such character
        raise ValueError
    "".join(texts).encode()  # raises UnicodeEncodeError, a ValueError, for half a character, written so too
    return texts
