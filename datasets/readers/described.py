"""What a reader makes of one record: a description in the words of `datasets.description.stating`, and what it found no place for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from datasets.formats.markup import clean
from datasets.identifiers import LICENCE_BY_KEY

MOST_UNMAPPED = 200
LONGEST_QUOTED = 160


@dataclass(frozen=True)
class Unmapped:
    """Something of the record that the draft does not hold: where it stands there, and why or what it says."""

    path: str
    words: str


@dataclass
class Described:
    """One record. `identifier` is the source's own: `doi:10.5072/x` in small letters, an address, or what it has; empty where it has none.

    `stated` is what `registering.describe` takes, not yet checked. A keyword is {value, scheme_name, scheme_url, identifier}: whether a
    vocabulary of that name is loaded is not known here.
    """

    identifier: str = ""
    stated: dict[str, Any] = field(default_factory=dict)
    unmapped: list[Unmapped] = field(default_factory=list)

    def state(self, name: str, value: Any) -> None:
        """Keep what says anything; the first word of a field stands."""
        if value not in ("", None, [], {}) and name not in self.stated:
            self.stated[name] = value

    def leave(self, path: str, words: object) -> None:
        """Report what has no place."""
        if len(self.unmapped) < MOST_UNMAPPED:
            self.unmapped.append(Unmapped(clean(path)[:200], quoted(words)))
        elif len(self.unmapped) == MOST_UNMAPPED:
            self.unmapped.append(Unmapped("", f"And more: only the first {MOST_UNMAPPED} are listed."))

    def state_licence(self, path: str, *told: object) -> None:
        """The first of several ways to tell a licence that names one of SPDX's list; else it is reported."""
        words = [text(one) for one in told if text(one)]
        found = next(filter(None, map(licence_of, words)), "")
        if found and self.stated.get("licence", found) == found:
            self.state("licence", found)
        elif words:
            why = "A second licence" if found else "No licence of SPDX's list is known by this"
            self.leave(path, f"{why}: {'; '.join(words)}")


def quoted(words: object) -> str:
    said = " ".join(text(words).split())
    return said if len(said) <= LONGEST_QUOTED else f"{said[: LONGEST_QUOTED - 1]}…"


def text(value: object) -> str:
    """Words without what no database holds. Of a list the first; of a value with its language or type the value."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("@value", "value", "name", "@id") if name in value), "")
    if isinstance(value, list):
        return text(value[0]) if value else ""
    return "" if value is None or isinstance(value, bool) else clean(value).strip()


def many(value: Any) -> list[Any]:
    """The members of a list, or the value alone; nothing for nothing. An ordered list of JSON-LD is a list."""
    if isinstance(value, dict) and "@list" in value:
        value = value["@list"]
    if value in (None, "", [], {}):
        return []
    return list(value) if isinstance(value, list) else [value]


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is an object, else nothing."""
    return value if isinstance(value, dict) else {}


def number(value: object) -> float | None:
    try:
        found = float(text(value))
    except ValueError:
        return None
    return found if abs(found) <= 360 else None


DAY = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
LAST_OF_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def day(words: str, *, is_end: bool = False) -> str:
    """1999-12-31 of a date, a moment, a month or a year (the first day of it, or its last); empty for anything else."""
    found = DAY.match(words.strip())
    if not found or ((rest := words.strip()[found.end() :]) and rest[0] not in "TZ+ "):
        return ""
    parts = [int(part) for part in found[0].split("-")]
    if len(parts) == 1:
        parts.append(12 if is_end else 1)
    if len(parts) == 2 and 1 <= parts[1] <= 12:
        is_leap = parts[0] % 4 == 0 and (parts[0] % 100 != 0 or parts[0] % 400 == 0)
        parts.append(LAST_OF_MONTH[parts[1] - 1] + (parts[1] == 2 and is_leap) if is_end else 1)
    return "-".join((f"{parts[0]:04d}", *(f"{part:02d}" for part in parts[1:])))


def state_period(found: Described, path: str, words: str) -> None:
    """`2006-04-01/2010-09-30`, an open side empty or `..`; one date alone is both sides."""
    start, slash, end = words.partition("/")
    first, last = day(start), day(end if slash else start, is_end=True)
    if not (first or last) or "temporal_start" in found.stated or "temporal_end" in found.stated:
        found.leave(path, f"{'A second period' if first or last else 'No period of days'}: {words}")
        return
    found.state("temporal_start", first)
    found.state("temporal_end", last)


def state_box(found: Described, path: str, sides: Iterable[object]) -> None:
    """(west, south, east, north) in degrees. A second box is reported, and one that lies nowhere."""
    degrees = [number(side) for side in sides]
    if None in degrees or len(degrees) != 4:
        found.leave(path, "The sides of this box are no degrees.")
    elif "west" in found.stated:
        found.leave(path, f"A second place, of which a dataset has one: {degrees}")
    else:
        found.stated |= dict(zip(("west", "south", "east", "north"), degrees, strict=True))


def state_outline(found: Described, path: str, points: list[tuple[float | None, float | None]]) -> None:
    """A polygon of (longitude, latitude) as the box around it, which is said."""
    known = [(x, y) for x, y in points if x is not None and y is not None]
    if not known:
        found.leave(path, "This outline has no points.")
        return
    across, up = [x for x, _ in known], [y for _, y in known]
    state_box(found, path, (min(across), min(up), max(across), max(up)))
    found.leave(path, "Of the outline the box around it is kept.")


CREATIVE_COMMONS = re.compile(r"creativecommons\.org/(?:licenses/([a-z-]+)/(\d\.\d)|publicdomain/(zero|mark)/1\.0)", re.IGNORECASE)
SPDX_PAGE = re.compile(r"spdx\.org/licenses/([A-Za-z0-9.+-]+?)(?:\.html|\.json|/)?$")
BY_ADDRESS = {
    "nationalarchives.gov.uk/doc/open-government-licence/version/3": "OGL-UK-3.0",
    "opendatacommons.org/licenses/odbl": "ODbL-1.0",
    "opendatacommons.org/licenses/by": "ODC-By-1.0",
    "opendatacommons.org/licenses/pddl": "PDDL-1.0",
    "opensource.org/licenses/mit": "MIT",
    "apache.org/licenses/license-2.0": "Apache-2.0",
}
LONGEST_LICENCE = 500
IN_WORDS = re.compile(r"creative commons attribution[ -]?(?P<rest>[a-z -]*?) ?(?P<version>\d\.\d)", re.IGNORECASE)


def licence_of(told: str) -> str:
    """The SPDX identifier of a licence that is told by itself, by its address or by its usual words; empty where it is none of them."""
    told = " ".join(told.split())[:LONGEST_LICENCE]
    if known := LICENCE_BY_KEY.get(told.lower()):
        return known
    if told.startswith("LicenseRef-"):
        return told
    if page := SPDX_PAGE.search(told):
        return LICENCE_BY_KEY.get(page[1].lower(), "")
    if found := CREATIVE_COMMONS.search(told):
        key = f"cc-{found[1]}-{found[2]}" if found[1] else "cc0-1.0" if found[3].lower() == "zero" else "cc-pdm-1.0"
        return LICENCE_BY_KEY.get(key.lower(), "")
    if found := IN_WORDS.search(told):
        capitals = "".join(re.findall("[A-Z]", found["rest"])).lower()  # NonCommercial-ShareAlike
        terms = [capitals[at : at + 2] for at in range(0, len(capitals), 2)]
        return LICENCE_BY_KEY.get("-".join(("cc-by", *terms, found["version"])), "")
    return next((licence for part, licence in BY_ADDRESS.items() if part in told.lower()), "")


DOI = re.compile(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/\S+)$", re.IGNORECASE)


def identifier_of(told: str) -> str:
    """The form in which an identifier of the source is kept: `doi:` in small letters for a DOI however it is written, else itself."""
    found = DOI.match(told.strip())
    return f"doi:{found[1].lower()}" if found else told.strip()
