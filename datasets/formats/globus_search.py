"""Globus Search: the entry of a dataset in an index. Source: https://docs.globus.org/api/search/.

The content is the record in DataCite's JSON shape, and below `causeway` what facets, counts, and filters in time and space need. An index
takes the type of a field from the first value that it sees and refuses documents with another one, so here a field has one type always:
only dates look like dates, a period is two days, and no text is longer than the index keeps.
"""

import re
from typing import Any

from datasets.formats.datacite import attributes
from datasets.formats.dcat import corners, parts
from datasets.formats.markup import without_empty
from datasets.formats.record import Record

FIELD_MAPPING = {"causeway.place": "geo_shape"}
"""What an index cannot see by itself (https://docs.globus.org/api/search/guides/geo_search/)."""
SITE_FIELD, ID_FIELD = "causeway.site", "causeway.id"
FIELD_BYTES = 32_000  # of 32 KB, https://docs.globus.org/api/search/limits/
DATE = re.compile(r"\d{4}[-/]\d\d[-/]\d\d([T ].*)?")
MOST_DECADES = 60


def entry(record: Record) -> dict[str, Any]:
    """A GMetaEntry, visible to the public. Its subject is the landing page, its id that of the dataset: pushed again it replaces itself."""
    return {"subject": record.page_url, "id": record.id, "visible_to": ["public"], "content": content(record)}


def content(record: Record) -> dict[str, Any]:
    known = attributes(record)
    dates = [one for one in known.pop("dates", []) if DATE.fullmatch(one["date"])]  # not the coverage: a period is no date
    plain: dict[str, Any] = _plain(known)
    return plain | {"dates": dates, "causeway": _plain(_facets(record)) | _times(record)}


def _facets(record: Record) -> dict[str, Any]:
    """What is counted, chosen and measured by; lists of names, numbers, and the place."""
    return without_empty(
        {
            "site": record.site_url,
            "id": record.id,
            "slug": record.slug,
            "creators": [one.name for one in record.makers],
            "affiliations": list(dict.fromkeys(one.name for maker in record.makers for one in maker.affiliations)),
            "subjects": list(record.subjects),
            "keywords": [one.label for one in record.keywords],
            "variables": list(dict.fromkeys(one.standard_name or one.name for one in record.quantities)),
            "instruments": [one.name for one in record.instruments],
            "platforms": [one.name for one in record.platforms],
            "formats": list(record.formats),
            "licence": record.licence,
            "access": record.access_policy,
            "decades": _decades(record),
            "place": _place(record),
        }
    ) | {"n_files": record.n_files, "size_bytes": record.size_bytes}


def _times(record: Record) -> dict[str, str]:
    found = {"start": record.start, "end": record.end, "published": record.published_at.date(), "updated": record.updated_at.date()}
    return {name: day.isoformat() for name, day in found.items() if day}


def _decades(record: Record) -> list[int]:
    first, last = record.start or record.end, record.end or record.start
    if first is None or last is None:
        return []
    return list(range(first.year // 10 * 10, last.year + 1, 10))[:MOST_DECADES]


def _place(record: Record) -> dict[str, Any]:
    """GeoJSON; cut at the antimeridian, and never a polygon without an area, which an index refuses."""
    if record.box is None:
        return {}
    if record.point:
        return {"type": "Point", "coordinates": list(record.point)}
    areas = [part for part in parts(record.box) if part[0] < part[2] and part[1] < part[3]]
    if not areas:
        west, south, east, north = parts(record.box)[0]
        return {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    rings = [[[list(corner) for corner in corners(part)]] for part in areas]
    return {"type": "Polygon", "coordinates": rings[0]} if len(rings) == 1 else {"type": "MultiPolygon", "coordinates": rings}


def _plain(value: Any) -> Any:
    """Texts cut to what an index keeps of a field; one that reads as a date gets a blank at its end and stays a text."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, str):
        return value
    short = value.encode()[:FIELD_BYTES].decode(errors="ignore")
    return f"{short} " if DATE.fullmatch(short) else short
