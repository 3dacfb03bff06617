"""What callers may ask, checked field by field: every fault of a request is told at once."""

import re
import uuid
from typing import Any

from services.graph.drawing import KINDS
from services.graph.errors import InvalidRequestError

MOST_SOURCES = 4
MOST_FILES = 400
MOST_INSPECTED = 10_000
MOST_TEXT = 300
DEFAULT_KINDS = ("series", "map")


class _Faults(dict[str, list[str]]):
    def add(self, field: str, words: str) -> None:
        self.setdefault(field, []).append(words)

    def refuse(self) -> None:
        if self:
            raise InvalidRequestError(fields=dict(self))


def read_graph_request(body: Any) -> dict[str, Any]:
    """`{sources: [{dataset, title, version, collection_id, path | paths, variable?, label?, units?}], kinds?, period?}` in a fixed shape.

    `label` and `units` are used where the file has none. Addresses of servers in the body are not used: they come from Globus.
    Raises InvalidRequestError with `fields`.
    """
    faults = _Faults()
    body = body if isinstance(body, dict) else {}
    sources = body.get("sources")
    if not isinstance(sources, list) or not 1 <= len(sources) <= MOST_SOURCES:
        faults.add("sources", f"Name one to {MOST_SOURCES} datasets.")
        sources = []
    asked = {
        "sources": [_read_source(source, f"sources.{i}", faults) for i, source in enumerate(sources)],
        "kinds": _read_kinds(body.get("kinds"), faults),
        "period": _read_period(body.get("period"), faults),
    }
    faults.refuse()
    return asked


def read_inspection_request(body: Any) -> dict[str, Any]:
    """`{collection_id, paths, reread, preview}`: `reread` (false) reads the bytes for digests alone, `preview` (false) what people see.

    Raises InvalidRequestError with `fields`.
    """
    faults = _Faults()
    body = body if isinstance(body, dict) else {}
    asked = {
        "collection_id": _read_uuid(body.get("collection_id"), "collection_id", faults),
        "paths": _read_paths(body.get("paths"), "paths", faults, most=MOST_INSPECTED),
        "reread": body.get("reread", False),
        "preview": body.get("preview", False),
    }
    for name in ("reread", "preview"):
        if not isinstance(asked[name], bool):
            faults.add(name, "True or false.")
    faults.refuse()
    return asked


def _read_source(source: Any, field: str, faults: _Faults) -> dict[str, Any]:
    source = source if isinstance(source, dict) else {}
    paths = source.get("paths", [source["path"]] if "path" in source else None)
    dataset = _read_text(source.get("dataset"), f"{field}.dataset", faults)
    return {
        "dataset": dataset,
        "title": _read_text(source.get("title", dataset), f"{field}.title", faults),
        "version": _read_text(source.get("version"), f"{field}.version", faults),
        "collection_id": _read_uuid(source.get("collection_id"), f"{field}.collection_id", faults),
        "paths": _read_paths(paths, f"{field}.paths", faults, most=MOST_FILES),
        "variable": _read_text(source["variable"], f"{field}.variable", faults) if source.get("variable") else None,
        "label": _read_text(source["label"], f"{field}.label", faults) if source.get("label") else None,
        "units": _read_text(source["units"], f"{field}.units", faults) if source.get("units") else None,
    }


def _read_text(value: Any, field: str, faults: _Faults) -> str:
    text = str(value).strip() if isinstance(value, (str, int)) else ""
    if not text or len(text) > MOST_TEXT or not text.isprintable():
        faults.add(field, f"Give a text of up to {MOST_TEXT} characters.")
    return text


def _read_uuid(value: Any, field: str, faults: _Faults) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        faults.add(field, "Give the UUID of a collection.")
        return ""


def _read_paths(value: Any, field: str, faults: _Faults, *, most: int) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        faults.add(field, f"Name one to {most} files.")
        return []
    for path in value:
        is_plain = isinstance(path, str) and path.startswith("/") and not path.endswith("/") and not re.search(r"[\x00-\x1f]", path)
        if not is_plain or any(part in {"", ".", ".."} for part in path[1:].split("/")):
            faults.add(field, "A path starts with / and names a file.")
            return []
    return list(value)


def _read_kinds(value: Any, faults: _Faults) -> list[str]:
    kinds = list(DEFAULT_KINDS) if value is None else value
    if not isinstance(kinds, list) or not kinds or any(kind not in KINDS for kind in kinds):
        faults.add("kinds", f"Choose from {', '.join(KINDS)}.")
        return []
    return [kind for kind in KINDS if kind in kinds]


def _read_period(value: Any, faults: _Faults) -> dict[str, int] | None:
    if value is None:
        return None
    start, end = (value.get("start_year"), value.get("end_year")) if isinstance(value, dict) else (None, None)
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end <= 9999:
        faults.add("period", "Give start_year and end_year, the first not after the last.")
        return None
    return {"start_year": start, "end_year": end}
