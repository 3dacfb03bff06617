"""Where the cells of a grid are and how large: the axes of a variable, cell areas, and the box on the globe.

Classifies by the CF conventions (https://cfconventions.org, sections 4 and 5): standard names and units first, then common names.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from services.graph import times

Floats = npt.NDArray[np.float64]

LATITUDES = {"latitude", "grid_latitude"}
LONGITUDES = {"longitude", "grid_longitude"}
VERTICAL_NAMES = {"depth", "height", "altitude", "air_pressure", "model_level_number", "atmosphere_hybrid_height_coordinate"}
VERTICAL_WORDS = re.compile(r"^(depth\w*|height|lev(el)?s?|plev|altitude|z|model_level_number|pressure)$", re.IGNORECASE)


@dataclass(frozen=True)
class Axes:
    """What each dimension of a variable stands for; `latitude` and `longitude` name coordinates of one or two dimensions."""

    time: str | None
    time_coordinate: str | None
    y: str | None
    x: str | None
    latitude: str | None
    longitude: str | None
    vertical: str | None
    members: tuple[str, ...]


def find_axes(array: xr.DataArray) -> Axes:
    """Tell the dimensions of `array` apart. Never fails: what is not understood counts as members (stations, realisations)."""
    time_coordinate = times.find_time(array)
    time = str(array.coords[time_coordinate].dims[0]) if time_coordinate else None
    latitude, longitude = _find_horizontal(array)
    y = x = None
    if latitude and longitude:
        if array.coords[latitude].ndim == 2:
            y, x = (str(name) for name in array.coords[latitude].dims)
        elif array.coords[latitude].dims != array.coords[longitude].dims:
            y, x = str(array.coords[latitude].dims[0]), str(array.coords[longitude].dims[0])
    rest = [str(name) for name in array.dims if str(name) not in {time, y, x}]
    vertical = next((name for name in rest if _is_vertical(array, name)), None)
    members = tuple(name for name in rest if name != vertical)
    return Axes(time, time_coordinate, y, x, latitude if y else None, longitude if x else None, vertical, members)


def _find_horizontal(array: xr.DataArray) -> tuple[str | None, str | None]:
    """The latitude and longitude coordinates; those that are dimensions (grid or true) before auxiliary ones."""
    found: dict[str, str] = {}
    ordered = sorted(array.coords, key=lambda name: (name not in array.dims, array.coords[name].ndim != 1))
    for name in ordered:
        coordinate = array.coords[name]
        kind = _horizontal_kind(str(name), coordinate)
        if kind and coordinate.ndim in {1, 2} and kind not in found:
            found[kind] = str(name)
    latitude, longitude = found.get("latitude"), found.get("longitude")
    if latitude and longitude and array.coords[latitude].ndim != array.coords[longitude].ndim:
        return None, None
    return latitude, longitude


def _horizontal_kind(name: str, coordinate: xr.DataArray) -> str | None:
    standard, units = coordinate.attrs.get("standard_name", ""), str(coordinate.attrs.get("units", ""))
    plain_name = "" if standard else name.lower()
    if standard in LATITUDES or units in {"degrees_north", "degree_north", "degrees_N"} or plain_name in {"lat", "latitude"}:
        return "latitude"
    if standard in LONGITUDES or units in {"degrees_east", "degree_east", "degrees_E"} or plain_name in {"lon", "longitude"}:
        return "longitude"
    return None


def _is_vertical(array: xr.DataArray, dimension: str) -> bool:
    on_it = [array.coords[name].attrs for name in array.coords if array.coords[name].dims == (dimension,)]
    if any(attrs.get("positive") or attrs.get("axis") == "Z" or attrs.get("standard_name") in VERTICAL_NAMES for attrs in on_it):
        return True
    return bool(VERTICAL_WORDS.match(dimension))


def cell_areas(dataset: xr.Dataset, array: xr.DataArray, axes: Axes) -> tuple[Floats, str]:
    """Weights of the cells, shape (y, x), and in words how they were found.

    From the file's own cell measures, else exact areas on a sphere from cell bounds (or mid-points) of latitude and longitude,
    else from the four corners of each cell; else every cell counts alike, and the words say so. Only ratios matter.
    """
    if not axes.y or not axes.x or not axes.latitude or not axes.longitude:
        return np.ones((1, 1)), "no horizontal grid: every value counts alike"
    shape = (array.sizes[axes.y], array.sizes[axes.x])
    measure = re.search(r"area:\s*(\S+)", str(array.attrs.get("cell_measures", "")))
    if measure and measure[1] in dataset and dataset[measure[1]].shape == shape:
        return _finite(dataset[measure[1]].values), f"weighted by the file's cell areas ({measure[1]})"
    latitude, longitude = array.coords[axes.latitude], array.coords[axes.longitude]
    if latitude.ndim == 1:
        height = np.abs(np.diff(np.sin(np.radians(np.clip(_edges(dataset, latitude), -90, 90))), axis=-1))[:, 0]
        width = np.abs(np.diff(_edges(dataset, longitude), axis=-1))[:, 0]
        return np.outer(height, width), "weighted by cell area on the sphere"
    corners = _corners(dataset, latitude), _corners(dataset, longitude)
    if corners[0] is not None and corners[1] is not None:
        return _quadrilaterals(corners[0], corners[1]), "weighted by cell area on the sphere, from the cells' corners"
    return np.ones(shape), "not weighted: the file gives no cell areas"


def _edges(dataset: xr.Dataset, coordinate: xr.DataArray) -> Floats:
    """(n, 2) lower and upper edges in degrees: the file's bounds, else half way to the neighbours."""
    bounds = coordinate.attrs.get("bounds") or coordinate.encoding.get("bounds")
    if bounds in dataset and dataset[bounds].shape == (coordinate.size, 2):
        return dataset[bounds].values.astype(float)
    points = coordinate.values.astype(float)
    if points.size == 1:
        return np.array([[points[0] - 0.5, points[0] + 0.5]])
    middle = (points[1:] + points[:-1]) / 2
    first, last = points[0] - (middle[0] - points[0]), points[-1] + (points[-1] - middle[-1])
    edges = np.concatenate([[first], middle, [last]])
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _corners(dataset: xr.Dataset, coordinate: xr.DataArray) -> Floats | None:
    bounds = coordinate.attrs.get("bounds") or coordinate.encoding.get("bounds")
    if bounds in dataset and dataset[bounds].shape == (*coordinate.shape, 4):
        return dataset[bounds].values.astype(float)
    return None


def on_sphere(latitudes: Floats, longitudes: Floats) -> Floats:
    """Degrees of any shape -> points (..., 3) on the unit sphere."""
    phi, lam = np.radians(latitudes), np.radians(longitudes)
    points: Floats = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)
    return points


def _quadrilaterals(latitudes: Floats, longitudes: Floats) -> Floats:
    """(y, x, 4) corners in degrees -> (y, x) areas on the unit sphere: half the cross product of the diagonals."""
    points = on_sphere(latitudes, longitudes)
    cross = np.cross(points[..., 2, :] - points[..., 0, :], points[..., 3, :] - points[..., 1, :])
    return _finite(np.linalg.norm(cross, axis=-1) / 2)


def _finite(values: npt.NDArray[Any]) -> Floats:
    finite: Floats = np.nan_to_num(values.astype(float), nan=0.0, posinf=0.0, neginf=0.0)
    return finite


def bounding_box(dataset: xr.Dataset, array: xr.DataArray) -> tuple[float, float, float, float] | None:
    """(west, south, east, north) in degrees, longitudes in -180..180, west > east across the date line; None without a grid."""
    place = _true_positions(dataset, array)
    if place is None:
        return None
    latitudes, longitudes = (values[np.abs(values) < 1000] for values in place)  # missing positions are NaN or a huge fill value
    west, east = _longitude_range(longitudes)
    return round(west, 4), round(float(latitudes.min()), 4), round(east, 4), round(float(latitudes.max()), 4)


def _true_positions(dataset: xr.Dataset, array: xr.DataArray) -> tuple[Floats, Floats] | None:
    """True latitudes and longitudes: from true coordinates, else by turning a rotated grid back."""
    found: dict[str, xr.DataArray] = {}
    for name in array.coords:
        coordinate = array.coords[name]
        kind = _horizontal_kind(str(name), coordinate)
        is_rotated = str(coordinate.attrs.get("standard_name", "")).startswith("grid_")
        if kind and not is_rotated and (np.abs(coordinate.values.astype(float)) < 1000).any():
            found.setdefault(kind, coordinate)
    if len(found) == 2:
        return found["latitude"].values.astype(float).ravel(), found["longitude"].values.astype(float).ravel()
    axes = find_axes(array)
    mapping = dataset.get(array.attrs.get("grid_mapping") or array.encoding.get("grid_mapping") or "")
    if not axes.latitude or not axes.longitude or mapping is None or "grid_north_pole_latitude" not in mapping.attrs:
        return None
    grid = np.meshgrid(array.coords[axes.latitude].values, array.coords[axes.longitude].values, indexing="ij")
    return _unrotate(grid[0], grid[1], mapping.attrs["grid_north_pole_latitude"], mapping.attrs["grid_north_pole_longitude"])


def _unrotate(latitudes: Floats, longitudes: Floats, pole_latitude: float, pole_longitude: float) -> tuple[Floats, Floats]:
    """Rotated-pole to true coordinates (CF conventions, appendix F, rotated_latitude_longitude)."""
    phi, lam = np.radians(latitudes.astype(float)), np.radians(longitudes.astype(float))
    pole = np.radians(float(pole_latitude))
    sine = np.cos(pole) * np.cos(phi) * np.cos(lam) + np.sin(pole) * np.sin(phi)
    eastward = -np.cos(phi) * np.sin(lam)
    northward = np.cos(pole) * np.sin(phi) - np.sin(pole) * np.cos(phi) * np.cos(lam)
    true_longitudes = float(pole_longitude) + np.degrees(np.arctan2(eastward, northward))
    return np.degrees(np.arcsin(np.clip(sine, -1, 1))).ravel(), true_longitudes.ravel()


def _longitude_range(longitudes: Floats) -> tuple[float, float]:
    """The smallest arc that holds all longitudes, found as what is left beside the largest gap."""
    turned = np.unique(np.round((longitudes + 180) % 360 - 180, 6))
    if turned.size == 1:
        return float(turned[0]), float(turned[0])
    gaps = np.diff(np.concatenate([turned, [turned[0] + 360]]))
    widest = int(gaps.argmax())
    typical = float(np.median(gaps))
    if gaps[widest] <= max(2 * typical, 10) and turned.size > 8:
        return -180.0, 180.0
    west = turned[(widest + 1) % turned.size]
    return float(west), float(turned[widest])
