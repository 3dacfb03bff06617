"""What one file is: its SHA-256, its format, and what its header tells about variables, time and place.

Files are untrusted: they are parsed here, in a worker near the data, and never in the portal. What cannot be read says why, and a
file that cannot be read still has a size, a digest and a format.
"""

import hashlib
from typing import Any

import httpx
import numpy as np
import xarray as xr

from services.graph import grids, summarising, times
from services.graph.errors import SourceError, SourceUnavailableError
from services.graph.reading import MAY_PASS, RemoteFile, detect_format, file_url, is_hdf5_netcdf, offered_digest, open_source

MOST_TEXT = 2000
MOST_ATTRIBUTES = 100


def inspect(client: httpx.Client, https_server: str, path: str) -> dict[str, Any]:
    """Inspect one file: `{path, size, sha256, format, variables, coordinates, attributes, calendar, time_start, time_end, bbox, error}`.

    Times are ISO 8601 in the civil calendar (a 30 February of a 360-day year becomes the month's last day; `calendar` says which it is).
    `bbox` is [west, south, east, north]. Raises only SourceUnavailableError, which may pass.
    """
    nothing = dict.fromkeys(("size", "sha256", "format", "calendar", "time_start", "time_end", "bbox", "error"))
    found: dict[str, Any] = {"path": path, "variables": [], "coordinates": [], "attributes": {}, **nothing}
    try:
        with RemoteFile(client, file_url(https_server, path)) as file:
            found["size"] = file.size
            found["sha256"] = offered_digest(file.headers) or _read_digest(client, file_url(https_server, path))
            kind = detect_format(file, path)
            found["format"] = "NetCDF" if kind.startswith("NetCDF") else kind
            with open_source(file, path) as dataset:
                found |= describe(dataset)
            if kind in {"NetCDF-4", "HDF5"}:
                found["format"] = "NetCDF" if is_hdf5_netcdf(file) else "HDF5"
    except SourceError as error:
        if error.http_status == 503:
            raise
        found["error"] = error.detail
    return found


def reread(client: httpx.Client, https_server: str, path: str) -> dict[str, Any]:
    """`{path, size, sha256, error}` of a file whose bytes are read again, all of them: a digest that the node remembers proves nothing.

    Raises only SourceUnavailableError, which may pass.
    """
    found: dict[str, Any] = {"path": path, "size": None, "sha256": None, "error": None}
    try:
        with RemoteFile(client, file_url(https_server, path)) as file:
            found |= {"size": file.size, "sha256": _read_digest(client, file_url(https_server, path))}
    except SourceError as error:
        if error.http_status == 503:
            raise
        found["error"] = error.detail
    return found


def _read_digest(client: httpx.Client, url: str) -> str:
    """The SHA-256 of a file, read once, in pieces."""
    digest = hashlib.sha256()
    try:
        with client.stream("GET", url) as answer:
            if answer.status_code in MAY_PASS:
                raise SourceUnavailableError(f"The data transfer node answered {answer.status_code}.")
            if not answer.is_success:
                raise SourceError("The file cannot be read.")
            for piece in answer.iter_bytes(2**20):
                digest.update(piece)
    except httpx.TransportError as error:
        raise SourceUnavailableError("The data transfer node that holds the file does not answer.") from error
    return digest.hexdigest()


def describe(dataset: xr.Dataset) -> dict[str, Any]:
    """What the header of an opened file tells."""
    names = summarising.data_variables(dataset)
    first, last = _time_range(dataset)
    boxes = [box for box in (grids.bounding_box(dataset, dataset[name]) for name in names) if box]
    return {
        "variables": [_describe_variable(dataset[name]) for name in names],
        "coordinates": [_describe_variable(dataset.coords[name]) for name in dataset.coords],
        "attributes": {str(key): plain(value) for key, value in list(dataset.attrs.items())[:MOST_ATTRIBUTES]},
        "calendar": first.calendar if first else None,
        "time_start": times.to_civil_iso(first) if first else None,
        "time_end": times.to_civil_iso(last) if last else None,
        "bbox": list(boxes[0]) if boxes else None,
    }


def _describe_variable(variable: xr.DataArray) -> dict[str, Any]:
    attributes = {**variable.encoding, **variable.attrs}
    return {
        "name": str(variable.name),
        "standard_name": str(attributes.get("standard_name", "")),
        "long_name": str(attributes.get("long_name", ""))[:MOST_TEXT],
        "units": str(attributes.get("units", "")),
        "dims": [str(name) for name in variable.dims],
        "shape": [int(size) for size in variable.shape],
        "dtype": str(variable.encoding.get("dtype", variable.dtype)),
    }


def _time_range(dataset: xr.Dataset) -> tuple[Any, Any]:
    """The earliest and latest time of any time coordinate (scalar ones too; forecast reference times are not times)."""
    values: list[Any] = []
    for name in dataset.coords:
        coordinate = dataset.coords[name]
        if times.is_time(coordinate):
            flat = coordinate.values.ravel()
            values += [flat.min(), flat.max()]
    return (min(values), max(values)) if values else (None, None)


def plain(value: Any) -> Any:
    """An attribute as JSON: numbers stay numbers, long text is cut."""
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.ravel()[:20].tolist()]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:MOST_TEXT]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, (int, float, bool)) else str(value)[:MOST_TEXT]
