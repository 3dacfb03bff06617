"""What a search asks for: words, facets, time, box, sort, page. The address of a results page holds all of it, and nothing else does."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self
from urllib.parse import urlencode

from django.core import signing

from datasets.errors import InvalidError
from datasets.finding import whole_number

FACETS = ("subject", "variable", "format", "licence", "access", "decade", "year", "series", "availability")
AVAILABILITY = {"online": "On line", "cold": "Cold"}
SIDES = ("west", "south", "east", "north")
SORTS = {"relevance": "Best match", "newest": "Newest", "title": "Title", "size": "Largest"}
UNSTATED = "not-stated"
LONGEST_WORDS = 300
PAGE = 20
MOST = 100
SALT = "datasets.search"
DECADE = re.compile(r"-?[0-9]{1,6}")
YEAR = re.compile(r"[0-9]{1,4}")
SERIES = re.compile(r"[a-z0-9-]{1,80}")


class Parameters(Protocol):
    """A QueryDict, or anything that reads like one."""

    def get(self, key: str, default: str, /) -> Any: ...
    def getlist(self, key: str, /) -> Any: ...


@dataclass(frozen=True)
class SearchQuery:
    """`facets` maps a facet to the chosen values, any of which may hold; `box` is (west, south, east, north), degrees.

    A series is named by its slug and means all that is below it; beside one below it, the one above is there to lead to it alone.
    """

    words: str = ""
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: dt.date | None = None
    end: dt.date | None = None
    box: tuple[float, float, float, float] | None = None
    sort: str = ""
    cursor: str = ""
    limit: int = PAGE

    @classmethod
    def from_parameters(cls, asked: Parameters) -> Self:
        """Read `q`, the facets (repeat), `from` and `to` (a year or a date), `bbox` or its four `SIDES`, `sort`, `cursor`, `limit`.

        Raises InvalidError naming each parameter that makes no sense; empty ones are as good as absent.
        """
        wrong: dict[str, list[str]] = {}
        facets = {name: tuple(dict.fromkeys(value for value in asked.getlist(name) if value)) for name in FACETS}
        if not all(DECADE.fullmatch(value) for value in facets["decade"]):
            wrong["decade"] = ["The first year of a decade, such as 1990."]
        if not all(YEAR.fullmatch(value) for value in facets["year"]):
            wrong["year"] = ["A year, such as 1995."]
        if not all(SERIES.fullmatch(value) for value in facets["series"]):
            wrong["series"] = ["The short name of a series, as in its address."]
        if not AVAILABILITY.keys() >= set(facets["availability"]):
            wrong["availability"] = [f"One of {', '.join(AVAILABILITY)}."]
        sort = asked.get("sort", "")
        if sort and sort not in SORTS:
            wrong["sort"] = [f"One of {', '.join(SORTS)}."]
        limit = whole_number(str(asked.get("limit", "") or PAGE)) or 0
        if not 1 <= limit <= MOST:
            wrong["limit"] = [f"A number from 1 to {MOST}."]
        start = _read_day(asked.get("from", ""), "from", wrong, is_end=False)
        end = _read_day(asked.get("to", ""), "to", wrong, is_end=True)
        box = _read_box(asked.get("bbox", "") or _sides(asked), wrong)
        if wrong:
            raise InvalidError(fields=wrong)
        words = asked.get("q", "").replace("\0", "").strip()[:LONGEST_WORDS]
        chosen = {name: values for name, values in facets.items() if values}
        cursor = asked.get("cursor", "")
        return cls(words, chosen, start=start, end=end, box=box, sort=sort, cursor=cursor, limit=limit)

    @property
    def order(self) -> str:
        """The sort that applies: best match where there are words, else newest."""
        if self.sort and (self.sort != "relevance" or self.words):
            return self.sort
        return "relevance" if self.words else "newest"

    @property
    def is_filtered(self) -> bool:
        return bool(self.facets or self.start or self.end or self.box)

    def url(self, *, with_cursor: str = "") -> str:
        """The query string of this search, from its first page or from a cursor; empty when nothing is asked."""
        pairs: list[tuple[str, str]] = [("q", self.words)] if self.words else []
        pairs += [(name, value) for name in FACETS for value in self.facets.get(name, ())]
        if self.start:
            pairs.append(("from", self.start.isoformat()))
        if self.end:
            pairs.append(("to", self.end.isoformat()))
        if self.box:
            pairs.append(("bbox", ",".join(f"{side:g}" for side in self.box)))
        if self.sort:
            pairs.append(("sort", self.sort))
        if self.limit != PAGE:
            pairs.append(("limit", str(self.limit)))
        if with_cursor:
            pairs.append(("cursor", with_cursor))
        return f"?{urlencode(pairs)}" if pairs else "?"

    def without(self, name: str, value: str = "") -> Self:
        """The same search from its first page, without a filter, or without one value of a facet."""
        if name == "filters":
            return replace(self, cursor="", facets={}, start=None, end=None, box=None)
        if name == "time":
            return replace(self, cursor="", start=None, end=None)
        if name == "box":
            return replace(self, cursor="", box=None)
        kept = tuple(one for one in self.facets.get(name, ()) if value and one != value)
        facets = {key: values for key, values in self.facets.items() if key != name} | ({name: kept} if kept else {})
        return replace(self, facets=facets, cursor="")

    def sorted_by(self, sort: str) -> Self:
        """The same search from its first page in another order."""
        return replace(self, sort=sort, cursor="")

    def position(self) -> tuple[Any, str] | None:
        """The (sort key, id) after which this page starts. Raises InvalidError for a cursor of another sort or not of our making."""
        if not self.cursor:
            return None
        try:
            order, key, dataset_id = signing.loads(self.cursor, salt=SALT)
        except (signing.BadSignature, ValueError) as error:
            raise InvalidError(fields={"cursor": ["Not a cursor of this site. Start from the first page."]}) from error
        if order != self.order:
            raise InvalidError(fields={"cursor": ["This cursor belongs to another sort. Start from the first page."]})
        return key, dataset_id

    def cursor_after(self, key: Any, dataset_id: Any) -> str:
        return signing.dumps([self.order, key.isoformat() if isinstance(key, dt.datetime) else key, str(dataset_id)], salt=SALT)


def _read_day(text: str, name: str, wrong: dict[str, list[str]], *, is_end: bool) -> dt.date | None:
    """A year means its first day, or its last one at the end of a range."""
    if not text:
        return None
    try:
        if text.isdecimal() and len(text) <= 4:
            return dt.date(int(text), 12, 31) if is_end else dt.date(int(text), 1, 1)
        return dt.date.fromisoformat(text)
    except ValueError:
        wrong[name] = ["A year such as 1990 or a date such as 1990-06-30."]
        return None


def _sides(asked: Parameters) -> str:
    """The box of a form with a field for each side."""
    sides = [str(asked.get(name, "")).strip() for name in SIDES]
    return ",".join(sides) if any(sides) else ""


def _read_box(text: str, wrong: dict[str, list[str]]) -> tuple[float, float, float, float] | None:
    if not text:
        return None
    try:
        west, south, east, north = (float(side) for side in text.split(","))
    except ValueError:
        west, south, east, north = 0.0, 1.0, 0.0, 0.0
    if not (-90 <= south <= north <= 90 and -180 <= west <= 180 and -180 <= east <= 180):
        wrong["bbox"] = ["Four numbers: west,south,east,north in degrees, longitudes from -180 to 180, south below north."]
        return None
    return west, south, east, north
