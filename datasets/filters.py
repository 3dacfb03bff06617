"""What a selection asks of files beside their names: size and date of modification. As JSON, as query parameters, in words, in SQL.

`min_size` and `max_size` are bytes, or a number with a unit (10 MB, 1.5 GiB); `modified_from` and `modified_to` are days in UTC, such as
1999-12-31. All bounds are included; a file without a date is in no span of days.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any, Self

from datasets.errors import InvalidError

UNITS = {
    unit: factor**power
    for power, letter in enumerate("kmgtp", start=1)
    for unit, factor in ((f"{letter}ib", 1024), (f"{letter}b", 1000), (letter, 1000))
}
SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,6})?)\s*([a-z]{0,3})")
MOST_BYTES = 2**60
SIZE_WORDS = "A size such as 500, 10 MB or 1.5 GiB."
DAY_WORDS = "A day such as 1999-12-31."


@dataclass(frozen=True)
class FileFilter:
    """Bounds that a file has to keep; None is no bound."""

    min_size: int | None = None
    max_size: int | None = None
    modified_from: dt.date | None = None
    modified_to: dt.date | None = None

    def __post_init__(self) -> None:
        wrong: dict[str, list[str]] = {}
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            wrong["max_size"] = ["The largest size is below the smallest."]
        if self.modified_from and self.modified_to and self.modified_from > self.modified_to:
            wrong["modified_to"] = ["The last day is before the first."]
        if wrong:
            raise InvalidError(_joined(wrong), fields=wrong)

    def __bool__(self) -> bool:
        return any(value is not None for value in asdict(self).values())

    @classmethod
    def read(cls, asked: Mapping[str, Any]) -> Self:
        """From query parameters, a form or JSON; what is blank is no bound. Raises InvalidError naming every field that cannot be read."""
        read: dict[str, Any] = {}
        wrong: dict[str, list[str]] = {}
        for name in NAMES:
            text = str(asked.get(name) if asked.get(name) is not None else "").strip()
            try:
                read[name] = (read_size(text) if name in {"min_size", "max_size"} else dt.date.fromisoformat(text)) if text else None
            except ValueError:
                wrong[name] = [SIZE_WORDS if name.endswith("size") else DAY_WORDS]
        if wrong:
            raise InvalidError(_joined(wrong), fields=wrong)
        return cls(**read)

    def to_json(self) -> dict[str, int | str]:
        """The bounds alone: sizes in bytes, days as ISO 8601."""
        stated = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in stated.items()}

    def words(self) -> list[tuple[str, str]]:
        """(field, sentence) of each bound."""
        texts = {
            "min_size": f"at least {size_text(self.min_size or 0)}",
            "max_size": f"at most {size_text(self.max_size or 0)}",
            "modified_from": f"modified from {self.modified_from}",
            "modified_to": f"modified until {self.modified_to}",
        }
        return [(name, texts[name]) for name in self.to_json()]

    def without(self, name: str) -> dict[str, int | str]:
        """The other bounds."""
        return {key: value for key, value in self.to_json().items() if key != name}

    def conditions(self) -> tuple[list[str], dict[str, Any]]:
        """SQL conditions on a row `fi` of datasets_file, with their parameters."""
        tests = {
            "min_size": "fi.size_bytes >= %(min_size)s",
            "max_size": "fi.size_bytes <= %(max_size)s",
            "modified_from": "fi.modified_at >= %(modified_from)s",
            "modified_to": "fi.modified_at < %(modified_to)s",
        }
        stated = {name: value for name, value in asdict(self).items() if value is not None}
        if self.modified_from:
            stated["modified_from"] = _midnight(self.modified_from)
        if self.modified_to:
            stated["modified_to"] = _midnight(self.modified_to) + dt.timedelta(days=1)
        return [tests[name] for name in stated], stated


NAMES = tuple(field.name for field in fields(FileFilter))


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


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _joined(wrong: Mapping[str, list[str]]) -> str:
    return " ".join(words for texts in wrong.values() for words in texts)
