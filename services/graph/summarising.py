"""The numbers behind the charts, in one pass over a variable and in flat memory.

`summarise` reads slab after slab along time and keeps only: per time step the area-weighted mean, least and greatest value, and
per cell the mean over time. `drawing.py` draws what is found here; nothing here knows about charts.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import xarray as xr

from services.graph import grids, times
from services.graph.errors import SourceError

Floats = npt.NDArray[np.float64]

SLAB_BYTES = 32 * 2**20
MOST_STEP_BYTES = 512 * 2**20
MOST_VARIABLE_BYTES = 8 * 2**30
PRINTED_UNITS = {
    **dict.fromkeys(("1", ""), ""),
    **dict.fromkeys(("degC", "degree_C", "degrees_C", "celsius", "Celsius", "degree_Celsius"), "°C"),
    **dict.fromkeys(("degF", "degree_F", "degrees_F", "fahrenheit"), "°F"),
    **dict.fromkeys(("degree", "degrees"), "°"),
    **dict.fromkeys(("K", "kelvin"), "K"),
    "degrees_north": "°N",
    "degrees_east": "°E",
}


@dataclass(frozen=True)
class Period:
    """Whole calendar years, both included."""

    start_year: int
    end_year: int

    def __str__(self) -> str:
        return str(self.start_year) if self.start_year == self.end_year else f"{self.start_year} to {self.end_year}"


@dataclass
class Summary:
    """What one variable of one dataset says. Shapes: `mean`, `low`, `high` (time,); `field_mean`, `weights` (y, x); NaN: no value."""

    variable: str
    label: str
    units: str
    weighting: str
    times: list[cftime.datetime] = field(default_factory=list)
    mean: Floats = field(default_factory=lambda: np.empty(0))
    low: Floats = field(default_factory=lambda: np.empty(0))
    high: Floats = field(default_factory=lambda: np.empty(0))
    field_mean: Floats | None = None
    weights: Floats | None = None
    y: xr.DataArray | None = None
    x: xr.DataArray | None = None
    level: str = ""
    members: str = ""

    @property
    def span_years(self) -> float:
        return times.decimal_year(self.times[-1]) - times.decimal_year(self.times[0]) if self.times else 0.0

    @property
    def step_days(self) -> float:
        """The usual distance between two time steps; a month where there is but one."""
        if len(self.times) < 2:
            return 30.0
        return float(np.median([(after - before).total_seconds() / 86400 for before, after in pairwise(self.times)]))


def choose_variable(dataset: xr.Dataset, asked: str | None) -> str:
    """The variable asked for, else the numeric one with most dimensions, the first of those.

    Raises SourceError naming what there is.
    """
    names = data_variables(dataset)
    if asked and asked in names:
        return asked
    listed = ", ".join(names[:20]) or "none"
    if asked:
        raise SourceError(f"The file has no variable {asked!r}; it has {listed}.")
    if not names:
        raise SourceError("The file has no variable that can be drawn.")
    return max(names, key=lambda name: (times.find_time(dataset[name]) is not None, dataset[name].ndim, -names.index(name)))


def data_variables(dataset: xr.Dataset) -> list[str]:
    """Names of the variables that hold data: numeric, with dimensions, no bounds, grid mappings or mesh topology."""
    bounds = {str(v.attrs[key]) for v in dataset.variables.values() for key in ("bounds", "climatology") if key in v.attrs}
    bounds |= {str(v.encoding[key]) for v in dataset.variables.values() for key in ("bounds", "climatology") if key in v.encoding}
    found = []
    for name, variable in dataset.data_vars.items():
        is_helper = str(name) in bounds or "cf_role" in variable.attrs or "grid_mapping_name" in variable.attrs or _is_topology(variable)
        if variable.ndim and not is_helper and np.issubdtype(variable.dtype, np.number):
            found.append(str(name))
    return found


def _is_topology(variable: xr.DataArray) -> bool:
    return "start_index" in variable.attrs or str(variable.attrs.get("standard_name", "")) in grids.LATITUDES | grids.LONGITUDES


def summarise(
    datasets: Sequence[xr.Dataset],
    variable: str,
    *,
    period: Period | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Summarise `variable` over datasets that continue each other in time (one file is the common case).

    `report(done, total)` is called with time steps. Raises SourceError in words for a reader.
    """
    arrays = [_at_one_level(dataset[variable]) for dataset in datasets]
    first, level = arrays[0]
    axes = grids.find_axes(first)
    _refuse_too_large([array for array, _ in arrays])
    weights, weighting = grids.cell_areas(datasets[0], first, axes)
    summary = Summary(variable, label_of(first), pretty_units(str(first.attrs.get("units", ""))), weighting, level=level)
    summary.members = ", ".join(axes.members)
    total = sum(array.sizes[axes.time] if axes.time else 1 for array, _ in arrays)
    keeper = _Keeper(weights)
    for array, _ in arrays:
        if grids.find_axes(array) != axes or any(array.sizes[name] != first.sizes[name] for name in first.dims if name != axes.time):
            raise SourceError("The files of this dataset do not share one grid.")
        for slab, moments in _iterate_slabs(array, axes, period):
            keeper.add(slab, moments)
            report(keeper.n_steps, total)
    if axes.time and not keeper.times:
        raise SourceError(f"The dataset has no values in {period}; it covers {_coverage(arrays[0][0], arrays[-1][0], axes)}.")
    keeper.write(summary)
    if axes.y and axes.x and axes.latitude and axes.longitude:
        summary.weights = weights
        summary.y, summary.x = first.coords[axes.latitude].load(), first.coords[axes.longitude].load()
    else:
        summary.field_mean = None
    return summary


def _at_one_level(array: xr.DataArray) -> tuple[xr.DataArray, str]:
    """`array` at its first vertical level, and that level in words."""
    axes = grids.find_axes(array)
    if not axes.vertical:
        return array, ""
    level = array.isel({axes.vertical: 0})
    if axes.vertical in array.coords:
        coordinate = array.coords[axes.vertical]
        value, units = coordinate.values[0], pretty_units(str(coordinate.attrs.get("units", "")))
        return level, f"{axes.vertical.replace('_', ' ')} {float(value):g} {units}".strip()
    return level, f"the first level of {axes.vertical}"


def _refuse_too_large(arrays: Sequence[xr.DataArray]) -> None:
    n_bytes = sum(array.nbytes for array in arrays)
    if n_bytes > MOST_VARIABLE_BYTES:
        raise SourceError(f"The variable holds {n_bytes / 2**30:.1f} GiB; graphs are drawn of up to {MOST_VARIABLE_BYTES / 2**30:.0f} GiB.")


def _iterate_slabs(array: xr.DataArray, axes: grids.Axes, period: Period | None) -> Iterator[tuple[Floats, list[cftime.datetime]]]:
    """Slabs of shape (time, members, y, x) in float64 with the times they stand for; no times when there is no time axis."""
    order = [name for name in (axes.time, *axes.members, axes.y, axes.x) if name]
    array = array.transpose(*order)
    steps = array.sizes[axes.time] if axes.time else 1
    step_bytes = 8 * int(np.prod([array.sizes[name] for name in order if name != axes.time], dtype=np.int64))
    if step_bytes > MOST_STEP_BYTES:
        raise SourceError(f"One time step holds {step_bytes / 2**20:.0f} MiB; graphs are drawn of up to {MOST_STEP_BYTES // 2**20} MiB.")
    if not axes.time:
        yield _as_slab(array.values[np.newaxis], axes), []
        return
    moments = array.coords[axes.time_coordinate].values
    wanted = np.flatnonzero([period is None or period.start_year <= time.year <= period.end_year for time in moments])
    if not wanted.size:
        return
    chunk = (array.encoding.get("chunksizes") or (1,))[0] or 1
    length = max(1, SLAB_BYTES // step_bytes)
    length = max(chunk, length // chunk * chunk) if chunk * step_bytes <= MOST_STEP_BYTES else length
    for start in range(int(wanted[0]), int(wanted[-1]) + 1, length):
        stop = min(start + length, int(wanted[-1]) + 1, steps)
        inside = wanted[(wanted >= start) & (wanted < stop)]
        if inside.size:
            values = array.isel({axes.time: slice(start, stop)}).values
            yield _as_slab(values[inside - start], axes), list(moments[inside])


def _as_slab(values: npt.NDArray[Any], axes: grids.Axes) -> Floats:
    """(time, member..., [y, x]) -> (time, members, y, x); values that are no numbers become NaN."""
    last = values.shape[-2:] if axes.y and axes.x else (1, 1)
    floats = values.astype(np.float64).reshape(values.shape[0], -1, *last)
    return np.where(np.isfinite(floats), floats, np.nan)


class _Keeper:
    """What stays in memory while slabs pass: three numbers a time step, two a cell."""

    def __init__(self, weights: Floats) -> None:
        self.weights = weights
        self.times: list[cftime.datetime] = []
        self.n_steps = 0
        self._series: list[tuple[Floats, Floats, Floats]] = []
        self._sum = np.zeros(weights.shape)
        self._count = np.zeros(weights.shape)

    def add(self, slab: Floats, moments: list[cftime.datetime]) -> None:
        weights = np.broadcast_to(self.weights, slab.shape[-2:])
        present = np.isfinite(slab)
        filled = np.where(present, slab, 0.0)
        weight_sum = (present * weights).sum(axis=(1, 2, 3))
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a step without any value is NaN, which is the answer
            mean = (filled * weights).sum(axis=(1, 2, 3)) / weight_sum
            self._series.append((mean, np.nanmin(slab, axis=(1, 2, 3)), np.nanmax(slab, axis=(1, 2, 3))))
        self._sum = self._sum + filled.sum(axis=(0, 1))
        self._count = self._count + present.sum(axis=(0, 1))
        self.times += moments
        self.n_steps += slab.shape[0]

    def write(self, summary: Summary) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            summary.field_mean = np.where(self._count > 0, self._sum / self._count, np.nan)
        if not np.isfinite(summary.field_mean).any():
            raise SourceError("The variable has no values there: everything is missing.")
        if not self.times:
            return
        order = sorted(range(len(self.times)), key=lambda i: self.times[i])
        summary.times = [self.times[i] for i in order]
        summary.mean, summary.low, summary.high = (np.concatenate(column)[order] for column in zip(*self._series, strict=True))


def _coverage(first: xr.DataArray, last: xr.DataArray, axes: grids.Axes) -> str:
    starts, ends = first.coords[axes.time_coordinate].values, last.coords[axes.time_coordinate].values
    return f"{starts[0].year} to {ends[-1].year}"


def by_month(summary: Summary) -> dict[int, Floats]:
    """The area means of each calendar month, 1 to 12, over all years; months without values are left out."""
    months: dict[int, list[float]] = {}
    for time, value in zip(summary.times, summary.mean, strict=True):
        if np.isfinite(value):
            months.setdefault(time.month, []).append(float(value))
    return {month: np.array(months[month]) for month in sorted(months)}


def label_of(array: xr.DataArray) -> str:
    """The variable in words: its standard name, else its long name, else its own name."""
    words = array.attrs.get("standard_name") or array.attrs.get("long_name") or array.name
    return str(words).replace("_", " ").strip()


def pretty_units(units: str) -> str:
    """Units as they are printed: `m s-1` -> `m s⁻¹`, `degC` -> `°C`; `1` and nothing -> ''."""
    plain = units.strip()
    if plain in PRINTED_UNITS:
        return PRINTED_UNITS[plain]
    words = []
    for word in plain.split():
        stem = word.rstrip("0123456789-+")
        power = word[len(stem) :]
        if stem.isalpha() and power:
            word = stem + power.translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")).replace("+", "")  # noqa: PLW2901
        words.append(word)
    return " ".join(words)
