"""Charts of a `Summary`: time series with its band, map of the time mean, box plot by month.

Pure functions, nothing read or sent. Each gives an SVG, a PNG, the numbers as CSV and the finding in words. Text stays text in the
SVG (small files, found by search), identifiers are the same at every drawing, and everything is readable in grey: one dark line on a
light band, a colour scale whose lightness only rises, boxes in outline.
"""

import csv
import io
import textwrap
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from scipy.spatial import cKDTree

from services.graph import grids, times, wording
from services.graph.errors import SourceError
from services.graph.summarising import Floats, Summary, by_month

INK, QUIET, LINE, BAND = "#1c2b2d", "#5b6b6e", "#0b5c63", "#b9d4d3"
CIVIL = {"standard", "gregorian", "proleptic_gregorian"}
MOST_STEPS = 1500
MOST_CSV_CELLS = 500_000
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "causeway",
    "text.parse_math": False,  # titles are text of strangers
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": "#dfe6e6",
    "grid.linewidth": 0.7,
}
_DRAWING = threading.Lock()  # matplotlib's settings are global


@dataclass(frozen=True)
class Caption:
    """What stands under a chart: whose data, which version."""

    title: str
    version: str


@dataclass(frozen=True)
class Drawing:
    """One chart in all its forms."""

    kind: str
    svg: str
    png: bytes
    csv: str
    text_alternative: str


def draw(kind: str, summary: Summary, caption: Caption) -> Drawing:
    """Draw one kind of chart (`series`, `map`, `box`). Raises SourceError when the summary has not what it needs."""
    build, describe, write = _KINDS[kind]
    with _DRAWING, mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.8), dpi=110)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.1, right=0.95, top=0.9, bottom=0.22, hspace=0.12)
        note = build(figure, summary)
        _write_caption(figure, caption, note)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", metadata={"Software": None})
    return Drawing(kind, _trim_svg(svg.getvalue()), png.getvalue(), _to_csv(write(summary)), describe(summary))


def _trim_svg(svg: str) -> str:
    """The SVG without its XML declaration, document type and metadata, so that it can stand in any page."""
    body = svg[svg.index("<svg") :]
    start, end = body.find("<metadata>"), body.find("</metadata>")
    return body if start < 0 else body[:start] + body[end + len("</metadata>") :]


def _write_caption(figure: Figure, caption: Caption, note: str) -> None:
    source = f"Source: {caption.title}, version {caption.version}. {note}"
    lines = textwrap.wrap(source, 135)[:3]
    figure.text(0.02, 0.02, "\n".join(lines), fontsize=7.5, color=QUIET, va="bottom", linespacing=1.4)


def _write_title(figure: Figure, text: str) -> None:
    shown = text[:1].upper() + text[1:]
    figure.text(0.02, 0.955, textwrap.shorten(shown, 70, placeholder=" ..."), fontsize=12, fontweight="bold", va="center")


def _with_units(label: str, units: str) -> str:
    shown = label[:1].upper() + label[1:]
    return f"{shown} ({units})" if units else shown


def _at_level(summary: Summary) -> str:
    return f" at {summary.level}" if summary.level else ""


# Time series


def _build_series(figure: Figure, summary: Summary) -> str:
    if len(summary.times) < 2:
        raise SourceError("A time series needs a time axis with at least two steps; this dataset has none or one.")
    step = times.choose_step(summary.times, most=MOST_STEPS)
    years, mean, low, high = _binned(summary, step)
    name = "area-weighted mean" if summary.weights is not None else "mean" if summary.members else "value"
    has_band = bool(np.nanmax(high - low) > 0)
    is_flat = has_band and np.nanmax(mean) - np.nanmin(mean) < 0.25 * (np.nanmax(high) - np.nanmin(low))
    panels = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2]) if is_flat else [figure.add_subplot()]
    panels[-1].plot(years, mean, color=LINE, linewidth=1.4 if len(panels) == 1 else 1, label=name, marker=_marker(years), markersize=3)
    if has_band:
        panels[-1].fill_between(years, low, high, color=BAND, linewidth=0, label="least to greatest value")
        handles, labels = panels[-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper right", ncols=2, frameon=False, fontsize=8, bbox_to_anchor=(0.98, 0.985))
    if is_flat:
        panels[0].plot(years, mean, color=LINE, linewidth=1.4, marker=_marker(years), markersize=3)
        panels[0].set_ylabel(_with_units("mean", summary.units))
    panels[-1].set_ylabel(_with_units("range" if is_flat else summary.label, summary.units))
    panels[-1].set_xlim(years[0], years[-1])
    for axes in panels:
        axes.grid(visible=True)
    figure.align_ylabels(panels)
    _mark_years(panels[-1], summary, years)
    _write_title(figure, f"{summary.label}{_at_level(summary)}, {wording.when_words(summary)}")
    averaged = f" Each point is one {step}." if step else ""
    kept = f" Mean {summary.weighting}." if summary.weights is not None else ""
    calendar = "" if summary.times[0].calendar in CIVIL else f" Calendar of the data: {summary.times[0].calendar}."
    return f"{kept}{averaged}{calendar}".strip()


def _marker(years: Floats) -> str | None:
    return "o" if len(years) <= 60 else None


def _binned(summary: Summary, step: str | None) -> tuple[Floats, Floats, Floats, Floats]:
    """Years, mean, low, high; averaged over days, months or years where there would be more points than a page has pixels."""
    years = np.array([times.decimal_year(time) for time in summary.times])
    if step is None:
        return years, summary.mean, summary.low, summary.high
    keys = [times.step_key(time, step) for time in summary.times]
    starts = np.array([i for i, key in enumerate(keys) if i == 0 or key != keys[i - 1]])
    counts = np.add.reduceat(np.isfinite(summary.mean).astype(float), starts)
    with np.errstate(invalid="ignore"):
        mean = np.add.reduceat(np.nan_to_num(summary.mean), starts) / np.where(counts > 0, counts, np.nan)
    return years[starts], mean, np.fmin.reduceat(summary.low, starts), np.fmax.reduceat(summary.high, starts)


def _mark_years(axes: Any, summary: Summary, years: Floats) -> None:
    """Ticks at round years, or at months of a short span."""
    span = float(years[-1] - years[0])
    if span > 4:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
        axes.set_xlabel("Year")
        return
    months = [times.step_key(time, "month") for time in summary.times]
    firsts = [i for i, month in enumerate(months) if i == 0 or month != months[i - 1]]
    if len(firsts) < 3:
        every = max(1, len(summary.times) // 6)
        marked = summary.times[::every]
        words = [f"{time.day} {times.MONTHS[time.month - 1][:3]}" for time in marked]
    else:
        marked = [summary.times[i] for i in firsts[:: max(1, len(firsts) // 8)]]
        words = [f"{times.MONTHS[time.month - 1][:3]} {time.year}" for time in marked]
    axes.xaxis.set_major_locator(FixedLocator([times.decimal_year(time) for time in marked]))
    axes.set_xticklabels(words)
    axes.set_xlabel("Time (UTC)")


def _series_rows(summary: Summary) -> Iterable[list[Any]]:
    unit = f" ({summary.units})" if summary.units else ""
    yield ["time", f"mean{unit}", f"min{unit}", f"max{unit}"]
    for time, mean, low, high in zip(summary.times, summary.mean, summary.low, summary.high, strict=True):
        yield [times.to_iso(time), _cell(mean), _cell(low), _cell(high)]


# Map


def _build_map(figure: Figure, summary: Summary) -> str:
    if summary.field_mean is None or summary.y is None or summary.x is None:
        raise SourceError("A map needs a latitude and a longitude axis; this dataset has none.")
    if min(summary.field_mean.shape) < 2:
        raise SourceError("A map needs more than one row and column of cells; this dataset has one.")
    axes = figure.add_subplot()
    longitudes, latitudes, field = _unwrapped(summary)
    mesh = axes.pcolormesh(longitudes, latitudes, np.ma.masked_invalid(field), shading="nearest", cmap="cividis", rasterized=True)
    axes.set_facecolor("#e9eded")
    axes.set_xlabel(_axis_title(summary.x, "Longitude", "°E"))
    axes.set_ylabel(_axis_title(summary.y, "Latitude", "°N"))
    axes.grid(visible=True, color="#ffffff", alpha=0.35)
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, fraction=0.05)
    figure.subplots_adjust(right=0.91)
    bar.set_label(_with_units(summary.label, summary.units))
    when = f", {'mean of ' if len(summary.times) > 1 else ''}{wording.when_words(summary)}" if summary.times else ""
    _write_title(figure, f"{summary.label}{_at_level(summary)}{when}")
    return "Grey: no value." if not np.isfinite(field).all() else ""


def _unwrapped(summary: Summary) -> tuple[Floats, Floats, Floats]:
    """Longitudes, latitudes and values in an order that can be drawn: -180..180 where that does not cut the area in two."""
    if summary.y is None or summary.x is None or summary.field_mean is None:
        raise SourceError("A map needs a latitude and a longitude axis.")
    latitudes, longitudes, field = summary.y.values.astype(float), summary.x.values.astype(float), summary.field_mean
    if longitudes.ndim == 1:
        turned = (longitudes + 180) % 360 - 180
        if not np.all(np.diff(longitudes) > 0) or (turned.max() - turned.min()) <= (longitudes.max() - longitudes.min()):
            order = np.argsort(turned, kind="stable")
            return turned[order], latitudes, field[:, order]
        return longitudes, latitudes, field
    return _regridded(latitudes, longitudes, field)


def _regridded(latitudes: Floats, longitudes: Floats, field: Floats) -> tuple[Floats, Floats, Floats]:
    """Values of a curvilinear grid on a regular one: the nearest cell's, if within that cell's reach (such grids fold over themselves)."""
    good = np.isfinite(latitudes) & np.isfinite(longitudes) & (np.abs(latitudes) <= 90) & (np.abs(longitudes) <= 1000)
    if not good.any():
        raise SourceError("The positions of the cells are missing.")
    reach = np.maximum.reduce([_distance_to_next(latitudes, longitudes, axis) for axis in (0, 1)])[good]
    turned, spacing = (longitudes[good] + 180) % 360 - 180, max(float(np.degrees(np.median(reach))), 1e-3)
    extents = [(float(values.min()), float(values.max())) for values in (turned, latitudes[good])]
    x, y = (np.linspace(low, high, int(np.clip(round((high - low) / spacing), 2, 480))) for low, high in extents)
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    distance, nearest = cKDTree(grids.on_sphere(latitudes[good], turned)).query(grids.on_sphere(grid_y, grid_x))
    return x, y, np.where(distance <= reach[nearest], field[good][nearest], np.nan)


def _distance_to_next(latitudes: Floats, longitudes: Floats, axis: int) -> Floats:
    """How far each cell is from its next along `axis`, on the unit sphere; the last one as far as the one before it."""
    if latitudes.shape[axis] < 2:
        return np.zeros(latitudes.shape)
    steps = np.linalg.norm(np.diff(grids.on_sphere(latitudes, longitudes), axis=axis), axis=-1)
    extended: Floats = np.concatenate([steps, np.take(steps, [-1], axis=axis)], axis=axis)
    return np.nan_to_num(extended)


def _axis_title(coordinate: Any, word: str, unit: str) -> str:
    is_rotated = str(coordinate.attrs.get("standard_name", "")).startswith("grid_")
    return f"Grid {word.lower()} of the rotated pole (°)" if is_rotated else f"{word} ({unit})"


def _map_rows(summary: Summary) -> Iterable[list[Any]]:
    if summary.y is None or summary.x is None or summary.field_mean is None:
        return
    latitudes, longitudes, field = summary.y.values, summary.x.values, summary.field_mean
    if latitudes.ndim == 1:
        latitudes, longitudes = np.meshgrid(latitudes, longitudes, indexing="ij")
    every = max(1, int(np.ceil(np.sqrt(field.size / MOST_CSV_CELLS))))
    prefix = "grid_" if str(summary.y.attrs.get("standard_name", "")).startswith("grid_") else ""
    yield [f"{prefix}latitude", f"{prefix}longitude", f"mean ({summary.units})" if summary.units else "mean"]
    for row in zip(latitudes[::every, ::every].flat, longitudes[::every, ::every].flat, field[::every, ::every].flat, strict=True):
        yield [_cell(value) for value in row]


# Box plot by month


def _build_box(figure: Figure, summary: Summary) -> str:
    months = by_month(summary)
    if len(months) < 2:
        raise SourceError("A box plot by month needs values of several months; this dataset has one value a year, or no time axis.")
    if max(len(values) for values in months.values()) < 2:
        raise SourceError("A box plot by month needs at least two values of a month; this dataset has one of each.")
    axes = figure.add_subplot()
    axes.boxplot(
        list(months.values()),
        positions=list(months),
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": BAND, "edgecolor": INK, "linewidth": 0.9},
        medianprops={"color": INK, "linewidth": 2},
        whiskerprops={"color": INK, "linewidth": 0.9},
        capprops={"color": INK, "linewidth": 0.9},
        flierprops={"marker": "o", "markersize": 2.5, "markerfacecolor": "none", "markeredgecolor": QUIET, "rasterized": True},
    )
    axes.set_xticks(range(1, 13), [month[:3] for month in times.MONTHS])
    axes.set_xlim(0.4, 12.6)
    axes.set_xlabel("Month")
    axes.set_ylabel(_with_units(summary.label, summary.units))
    axes.grid(visible=True, axis="y")
    _write_title(figure, f"{summary.label}{_at_level(summary)} by month, {wording.when_words(summary)}")
    kept = f"Values are area means, {summary.weighting}. " if summary.weights is not None else ""
    return f"{kept}Box: middle half; line: median; whiskers: up to 1.5 box lengths; circles: beyond."


def _box_rows(summary: Summary) -> Iterable[list[Any]]:
    unit = f" ({summary.units})" if summary.units else ""
    yield ["month", "n", *(f"{name}{unit}" for name in ("min", "lower quartile", "median", "upper quartile", "max"))]
    for month, values in by_month(summary).items():
        yield [month, len(values), *(_cell(value) for value in np.percentile(values, [0, 25, 50, 75, 100]))]


def _cell(value: float) -> str:
    return f"{value:.7g}" if np.isfinite(value) else ""


def _to_csv(rows: Iterable[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


_KINDS: dict[str, tuple[Callable[[Figure, Summary], str], Callable[[Summary], str], Callable[[Summary], Iterable[list[Any]]]]] = {
    "series": (_build_series, wording.describe_series, _series_rows),
    "map": (_build_map, wording.describe_map, _map_rows),
    "box": (_build_box, wording.describe_box, _box_rows),
}
KINDS = tuple(_KINDS)
