"""What a person is shown of a file before she takes it: the header of NetCDF, HDF5 and Zarr, the first rows of a table, the first lines of
a text, a small picture of an image.

Files are untrusted: they are parsed here, in a worker near the data, in ranges, and what leaves is plain text, numbers and a picture that
this module drew itself. No checksum is made, so a preview costs little of the file.
"""

import base64
import csv
import io
import json
from typing import Any

import h5py
import httpx
import xarray as xr
from PIL import Image, UnidentifiedImageError

from services.graph import reading
from services.graph.errors import SourceError, SourceUnavailableError
from services.graph.inspecting import MOST_ATTRIBUTES, describe, plain
from services.graph.reading import RemoteFile, detect_format, file_url, is_hdf5_netcdf, open_source

HEAD_BYTES = 64 * 2**10
MOST_LINES, MOST_TEXT = 200, 20_000
MOST_ROWS, MOST_COLUMNS, MOST_CELL = 20, 50, 200
MOST_ENTRIES = 300
MOST_IMAGE_BYTES, MOST_PIXELS, THUMBNAIL = 32 * 2**20, 60_000_000, (640, 640)
MOST_ZARR_BYTES = 8 * 2**20
IMAGES = {"PNG", "JPEG", "TIFF"}
ZARR_NAMES = {"zarr.json", ".zmetadata", ".zarray", ".zgroup", ".zattrs"}


def preview(client: httpx.Client, https_server: str, path: str) -> dict[str, Any]:
    """Look at one file: `{path, size, format, kind, reason, ...}`; `kind` is header, entries, table, text, image, unsupported or failed.

    header: `dimensions`, `variables`, `coordinates`, `attributes`; entries (groups and arrays): `entries`, `attributes`; table: `columns`,
    `rows`; text: `text`, `is_cut`; image: `png` (base64, at most 640 x 640), `width`, `height`. Raises only SourceUnavailableError.
    """
    found: dict[str, Any] = {"path": path, "size": None, "format": None, "kind": "failed", "reason": ""}
    try:
        with RemoteFile(client, file_url(https_server, path)) as file:
            found |= {"size": file.size, "format": detect_format(file, path)}
            try:
                found |= _look(file, path, str(found["format"]))
            except reading.UNSOUND as error:
                raise file.reason(error) from error
    except SourceUnavailableError:
        raise
    except SourceError as error:
        found |= {"kind": "failed", "reason": error.detail}
    return found


def _look(file: RemoteFile, path: str, kind: str) -> dict[str, Any]:
    if path.rpartition("/")[2] in ZARR_NAMES:
        return _zarr(file, path)
    if kind in {"NetCDF-4", "HDF5"} and not is_hdf5_netcdf(file):
        return {"format": "HDF5", **_hdf5(file)}
    if kind.startswith(("NetCDF", "HDF5")):
        with open_source(file, path) as dataset:
            return {"format": "NetCDF", **_netcdf(dataset)}
    if kind in IMAGES:
        return _image(file)
    if kind == "CSV":
        return _table(_head(file), is_cut=file.size > HEAD_BYTES)
    if kind == "Text":
        return _text(_head(file), is_cut=file.size > HEAD_BYTES)
    words = "The file is empty." if kind == "empty" else f"There is no preview for this format ({kind})."
    return {"kind": "unsupported", "reason": words}


def _netcdf(dataset: xr.Dataset) -> dict[str, Any]:
    told = describe(dataset)
    shown = {name: told[name] for name in ("variables", "coordinates", "attributes", "time_start", "time_end", "calendar", "bbox")}
    shown["variables"], shown["coordinates"] = told["variables"][:MOST_ENTRIES], told["coordinates"][:MOST_ENTRIES]
    return {"kind": "header", "dimensions": {str(name): int(size) for name, size in dataset.sizes.items()}, **shown}


def _hdf5(file: RemoteFile) -> dict[str, Any]:
    """Groups and arrays with shapes and types. Values are not read, and links to other files are not followed."""
    entries: list[dict[str, Any]] = []

    def note(name: str, item: Any) -> bool | None:
        is_array = isinstance(item, h5py.Dataset)
        shape, dtype = (list(item.shape or ()), str(item.dtype)) if is_array else ([], "")
        entries.append({"name": f"/{name}", "is_array": is_array, "shape": shape, "dtype": dtype})
        return True if len(entries) >= MOST_ENTRIES else None

    file.seek(0)
    with h5py.File(file, "r") as opened:
        opened.visititems(note)
        attributes = {str(key): plain(opened.attrs[key]) for key in list(opened.attrs)[:MOST_ATTRIBUTES]}
    return {"kind": "entries", "entries": entries, "is_cut": len(entries) >= MOST_ENTRIES, "attributes": attributes}


def _zarr(file: RemoteFile, path: str) -> dict[str, Any]:
    """The arrays that the metadata of a Zarr store name (versions 2 and 3; consolidated metadata name all of them).

    Source: the Zarr specifications, https://zarr-specs.readthedocs.io/.
    """
    if file.size > MOST_ZARR_BYTES:
        return {"kind": "unsupported", "format": "Zarr", "reason": "The metadata of this store are too large to be shown."}
    file.seek(0)
    try:
        document = json.loads(file.readall())
    except ValueError as error:
        raise SourceError("The metadata of this store are not JSON.") from error
    document = document if isinstance(document, dict) else {}
    consolidated = document.get("consolidated_metadata")
    inner = consolidated.get("metadata") if isinstance(consolidated, dict) else document.get("metadata")
    nodes = inner if isinstance(inner, dict) else {}
    own = "/" if path.endswith(("zarr.json", ".zarray")) else ""
    listed = [
        (f"/{name.removesuffix('/.zarray').removesuffix('.zarray')}", node)
        for name, node in nodes.items()
        if not name.endswith(".zattrs") and _is_array(node)
    ]
    listed += [(own, document)] if _is_array(document) else []
    entries = [_zarr_entry(name, node) for name, node in listed[:MOST_ENTRIES]]
    attributes = document.get("attributes") or nodes.get(".zattrs") or (document if path.endswith(".zattrs") else {})
    shown = {str(key): plain(value) for key, value in list(attributes.items())[:MOST_ATTRIBUTES]} if isinstance(attributes, dict) else {}
    return {"kind": "entries", "format": "Zarr", "entries": entries, "is_cut": len(listed) > MOST_ENTRIES, "attributes": shown}


def _is_array(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("shape"), list)


def _zarr_entry(name: str, node: dict[str, Any]) -> dict[str, Any]:
    dtype = node.get("data_type") or node.get("dtype") or ""
    shape = [size for size in node["shape"] if isinstance(size, int)]
    return {"name": name, "is_array": True, "shape": shape, "dtype": str(dtype)[:MOST_CELL]}


def _head(file: RemoteFile) -> str:
    file.seek(0)
    return (file.read(HEAD_BYTES) or b"").decode("utf-8", "replace")


def _table(head: str, *, is_cut: bool) -> dict[str, Any]:
    """The first rows; the last one of a part is left out, as it may be cut."""
    lines = head.splitlines()
    rows = list(csv.reader(lines[:-1] if is_cut and len(lines) > 1 else lines))[: MOST_ROWS + 1]
    shown = [[_printable(cell)[:MOST_CELL] for cell in row[:MOST_COLUMNS]] for row in rows]
    return {"kind": "table", "columns": shown[0] if shown else [], "rows": shown[1:], "is_cut": is_cut or len(lines) > MOST_ROWS + 1}


def _text(head: str, *, is_cut: bool) -> dict[str, Any]:
    lines = head.splitlines()
    text = _printable("\n".join(lines[:MOST_LINES]))[:MOST_TEXT]
    return {"kind": "text", "text": text, "is_cut": is_cut or len(lines) > MOST_LINES or len(text) == MOST_TEXT}


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() or character in "\n\t" else "\N{REPLACEMENT CHARACTER}" for character in text)


def _image(file: RemoteFile) -> dict[str, Any]:
    """A small PNG that is drawn anew: nothing of the file's own bytes is passed on."""
    if file.size > MOST_IMAGE_BYTES:
        return {"kind": "unsupported", "reason": f"Images are shown up to {MOST_IMAGE_BYTES // 2**20} MiB."}
    file.seek(0)
    try:
        with Image.open(io.BytesIO(file.readall()), formats=["PNG", "JPEG", "TIFF"]) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                return {"kind": "unsupported", "reason": f"Images are shown up to {MOST_PIXELS // 10**6} million pixels."}
            image.thumbnail(THUMBNAIL)
            small = io.BytesIO()
            image.convert("RGBA").save(small, format="PNG")
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, MemoryError) as error:
        raise SourceError("The file is not a sound image.") from error
    return {"kind": "image", "png": base64.b64encode(small.getvalue()).decode(), "width": width, "height": height}
