"""STAC 1.1: the dataset as a collection, a version as its item; only where the place and the time are known. Source: https://stacspec.org.

A version is the item because a file's own place and time are not catalogued; its files are the item's assets.
"""

import datetime as dt
from typing import Any

from datasets.formats.dcat import corners, parts
from datasets.formats.markup import json_text, without_empty
from datasets.formats.record import Record, RecordFile

STAC_VERSION = "1.1.0"
FILE_EXTENSION = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
SHA256_MULTIHASH = "1220"  # https://multiformats.io/multihash/: SHA-256, 32 bytes


def has_collection(record: Record) -> bool:
    return record.box is not None and bool(record.start or record.end)


def has_item(record: Record) -> bool:
    return record.box is not None and record.start is not None and record.end is not None


def as_collection(record: Record) -> str:
    return json_text(collection(record))


def as_item(record: Record) -> str:
    return json_text(item(record))


def collection(record: Record) -> dict[str, Any]:
    here = record.format_url("stac")
    versions = [(record.version, record.url), *((one.number, one.url) for one in record.others)] if has_item(record) else []
    box = list(record.box or ())
    return without_empty(
        {
            "type": "Collection",
            "stac_version": STAC_VERSION,
            "id": record.slug,
            "title": record.title,
            "description": record.abstract,
            "keywords": list(record.words),
            "license": licence(record),
            "providers": _providers(record),
            "summaries": without_empty({"platform": [one.name for one in record.platforms], "instruments": _instruments(record)}),
            "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [[_moment(record.start), _moment(record.end, is_end=True)]]}},
            "links": [
                _link("self", here, "application/json"),
                _link("root", here, "application/json"),
                *(_link("item", f"{url}&format=stac-item", "application/geo+json") for _, url in sorted(versions)),
                *_more_links(record),
            ],
        }
    )


def item(record: Record) -> dict[str, Any]:
    parent = record.format_url("stac")
    files = record.files or ()
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [FILE_EXTENSION] if files else [],
        "id": f"{record.slug}-v{record.version}",
        "collection": record.slug,
        "bbox": list(record.box or ()),
        "geometry": geometry(record),
        "properties": without_empty(
            {
                "title": f"{record.title}, version {record.version}",
                "description": record.abstract,
                "license": licence(record),
                "created": record.published_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "updated": record.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "start_datetime": _moment(record.start),
                "end_datetime": _moment(record.end, is_end=True),
                "platform": record.platforms[0].name if len(record.platforms) == 1 else "",
                "instruments": _instruments(record),
            }
        )
        | {"datetime": None},
        "links": [
            _link("self", record.format_url("stac-item"), "application/geo+json"),
            _link("root", parent, "application/json"),
            _link("parent", parent, "application/json"),
            _link("collection", parent, "application/json"),
            *_more_links(record),
        ],
        "assets": {file.path.removeprefix("/"): _asset(file) for file in files},
    }


def licence(record: Record) -> str:
    """The SPDX identifier, or the word that the specification keeps for everything else."""
    return record.licence if record.licence_url else "other"


def geometry(record: Record) -> dict[str, Any] | None:
    """GeoJSON: a point, a polygon, or two where the box crosses the antimeridian (RFC 7946, section 3.1.9)."""
    if record.box is None:
        return None
    if record.point:
        return {"type": "Point", "coordinates": list(record.point)}
    rings = [[[list(corner) for corner in corners(part)]] for part in parts(record.box)]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _instruments(record: Record) -> list[str]:
    return list(dict.fromkeys(one.name for one in record.instruments))


def _asset(file: RecordFile) -> dict[str, Any]:
    return without_empty(
        {
            "href": file.url,
            "title": file.path,
            "type": file.media_type,
            "roles": ["data"],
            "file:size": file.size_bytes,
            "file:checksum": f"{SHA256_MULTIHASH}{file.sha256}" if file.sha256 else "",
        }
    )


def _providers(record: Record) -> list[dict[str, Any]]:
    makers = [without_empty({"name": maker.name, "roles": ["producer"], "url": maker.url}) for maker in record.makers]
    return [*makers, {"name": record.publisher, "roles": ["host"], "url": f"{record.site_url}/"}]


def _more_links(record: Record) -> list[dict[str, str]]:
    found = [_link("about", record.url, "text/html"), _link("cite-as", record.identifier, "")]
    if record.licence_url:
        found.append(_link("license", record.licence_url, "text/html"))
    derived = {one.url for one in record.related if one.relation == "IsDerivedFrom"} | {record.source_url}
    found += [_link("derived_from", url, "") for url in sorted(derived - {""})]
    found += [_link("related", url, "") for url in dict.fromkeys(one.url for one in record.related) if url not in derived | {""}]
    return found


def _link(rel: str, href: str, media_type: str) -> dict[str, str]:
    return {"rel": rel, "href": href} | ({"type": media_type} if media_type else {})


def _moment(day: dt.date | None, *, is_end: bool = False) -> str | None:
    """The first or last second of a day, since a day is all that is known."""
    return f"{day.isoformat()}T{'23:59:59' if is_end else '00:00:00'}Z" if day else None
