"""What a selection asks of files beside their names: size, date of modification, items, folders left out. As JSON, in words, in SQL.

`min_size` and `max_size` are bytes, or a number with a unit (10 MB, 1.5 GiB); `modified_from` and `modified_to` are days in UTC, such as
1999-12-31. All bounds are included; a file without a date is in no span of days. `without` are folders whose files are not meant.
"""

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self

from datasets.errors import InvalidError
from datasets.items.filters import ItemFilter
from datasets.models import Version

UNITS = {
    unit: factor**power
    for power, letter in enumerate("kmgtp", start=1)
    for unit, factor in ((f"{letter}ib", 1024), (f"{letter}b", 1000), (letter, 1000))
}
SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,6})?)\s*([a-z]{0,3})")
MOST_BYTES = 2**60
SIZE_WORDS = "A size such as 500, 10 MB or 1.5 GiB."
OF_ITEMS = """exists (
    select 1 from datasets_itemfile l join datasets_item i on i.id = l.item_id
    where l.folder_id = fi.folder_id and l.name = fi.name and {where})"""
DAY_WORDS = "A day such as 1999-12-31."
MOST_WITHOUT = 1_000
WITHOUT_WORDS = f"At most {MOST_WITHOUT:,} folders, each a path that starts and ends with /."
OUTSIDE = """not exists (
    select 1 from unnest(%(without_lows)s::text[], %(without_highs)s::text[]) as gone(low, high)
    where f.path >= gone.low and f.path < gone.high)"""


@dataclass(frozen=True)
class FileFilter:
    """Bounds that a file has to keep; None is no bound."""

    min_size: int | None = None
    max_size: int | None = None
    modified_from: dt.date | None = None
    modified_to: dt.date | None = None
    items: ItemFilter = field(default_factory=ItemFilter)
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong: dict[str, list[str]] = {}
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            wrong["max_size"] = ["The largest size is below the smallest."]
        if self.modified_from and self.modified_to and self.modified_from > self.modified_to:
            wrong["modified_to"] = ["The last day is before the first."]
        if self.modified_to == dt.date.max:  # files are modified before the day after it
            wrong["modified_to"] = [DAY_WORDS]
        if len(self.without) > MOST_WITHOUT or not all(path.startswith("/") and path.endswith("/") for path in self.without):
            wrong["without"] = [WITHOUT_WORDS]
        if wrong:
            raise InvalidError(_joined(wrong), fields=wrong)

    def __bool__(self) -> bool:
        return bool(self.to_json())

    @classmethod
    def read(cls, asked: Mapping[str, Any]) -> Self:
        """From query parameters, a form or JSON; what is blank is no bound. Raises InvalidError naming every field that cannot be read."""
        read: dict[str, Any] = {}
        wrong: dict[str, list[str]] = {}
        for name in BOUNDS:
            text = str(asked.get(name) if asked.get(name) is not None else "").strip()
            try:
                read[name] = (read_size(text) if name in {"min_size", "max_size"} else dt.date.fromisoformat(text)) if text else None
            except ValueError:
                wrong[name] = [SIZE_WORDS if name.endswith("size") else DAY_WORDS]
        try:
            read["without"] = _read_without(asked.get("without"))
        except (ValueError, RecursionError):
            wrong["without"] = [WITHOUT_WORDS]
        if wrong:
            raise InvalidError(_joined(wrong), fields=wrong)
        return cls(**read, items=ItemFilter.read(asked.get("items")))

    def bounds(self) -> dict[str, int | dt.date]:
        """Those of sizes and days that are set."""
        return {name: value for name in BOUNDS if (value := getattr(self, name)) is not None}

    def to_json(self) -> dict[str, Any]:
        """What is asked alone: sizes in bytes, days as ISO 8601, `items` as `datasets.items.filters` has it, `without` a list."""
        stated: dict[str, Any] = {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in self.bounds().items()}
        stated |= {"items": self.items.to_json()} if self.items else {}
        return stated | ({"without": list(self.without)} if self.without else {})

    def to_fields(self) -> dict[str, int | str]:
        """The same for an address or hidden fields of a form."""
        texts = {"items": self.items.to_text(), "without": json.dumps(self.without)}
        return {name: texts.get(name, value) for name, value in self.to_json().items()}

    def words(self) -> list[tuple[str, str]]:
        """(field, sentence) of each bound."""
        texts = {
            "min_size": f"at least {size_text(self.min_size or 0)}",
            "max_size": f"at most {size_text(self.max_size or 0)}",
            "modified_from": f"modified from {self.modified_from}",
            "modified_to": f"modified until {self.modified_to}",
            "items": self.items.describe() if self.items else "",
            "without": _without_words(self.without),
        }
        return [(name, texts[name]) for name in self.to_json()]

    def conditions(self, version: Version) -> tuple[list[str], dict[str, Any]]:
        """SQL conditions on a row `fi` of datasets_file, with their parameters. InvalidError for what the schema of items does not take."""
        tests = {
            "min_size": "fi.size_bytes >= %(min_size)s",
            "max_size": "fi.size_bytes <= %(max_size)s",
            "modified_from": "fi.modified_at >= %(modified_from)s",
            "modified_to": "fi.modified_at < %(modified_to)s",
        }
        stated: dict[str, Any] = self.bounds()
        if self.modified_from:
            stated["modified_from"] = _midnight(self.modified_from)
        if self.modified_to:
            stated["modified_to"] = _midnight(self.modified_to) + dt.timedelta(days=1)
        found = [tests[name] for name in stated]
        if self.without:
            found.append(OUTSIDE)
            stated |= {"without_lows": list(self.without), "without_highs": [f"{path[:-1]}0" for path in self.without]}  # 0 follows /
        if self.items:
            where, asked = self.items.conditions(version)
            found.append(OF_ITEMS.replace("{where}", where))
            stated |= asked
        return found, stated


NAMES = tuple(one.name for one in fields(FileFilter))
BOUNDS = tuple(name for name in NAMES if name not in {"items", "without"})


def read_size(text: str) -> int:
    """Bytes from a number with or without a unit: MB is 10^6, MiB is 2^20. Raises ValueError."""
    found = SIZE.fullmatch(text.strip().lower().removesuffix("bytes").removesuffix("byte").strip())
    if found is None or found[2] not in {"", "b", *UNITS}:
        raise ValueError(text)
    size = int(Decimal(found[1]) * UNITS.get(found[2], 1))
    if size > MOST_BYTES:
        raise ValueError(text)
    return size


def size_text(size: int) -> str:
    """The largest unit that tells the size exactly, such that reading it gives the size again: 10 MB, 1.5 KiB, 1234567 bytes."""
    for unit in ("PiB", "PB", "TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"):
        tenths, rest = divmod(size * 10, UNITS[unit.lower()])
        if tenths >= 10 and not rest:
            return f"{tenths // 10}.{tenths % 10}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"


def _read_without(asked: Any) -> tuple[str, ...]:
    """Folders from a list, or from its JSON text in an address or a form. Raises ValueError."""
    told = json.loads(asked) if isinstance(asked, str) and asked.strip() else asked or ()
    if not isinstance(told, list | tuple) or not all(isinstance(path, str) and "\0" not in path for path in told):
        raise ValueError(asked)
    "".join(told).encode()  # raises UnicodeEncodeError, a ValueError, for half a character, written as an escape of JSON
    return tuple(sorted(set(told)))


def _without_words(folders: tuple[str, ...]) -> str:
    more = f" and {len(folders) - 2:,} more" if len(folders) > 2 else ""
    return f"without {' and '.join(folders[:2]) if not more else ', '.join(folders[:2])}{more}"


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _joined(wrong: Mapping[str, list[str]]) -> str:
    return " ".join(f"{name}: {words}" for name, texts in wrong.items() for words in texts)
