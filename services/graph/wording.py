"""The finding of a chart in one or two sentences: what a person who sees it would say. Pure functions of a `Summary`."""

import cftime
import numpy as np

from services.graph import times
from services.graph.summarising import Floats, Summary, by_month

TEMPERATURE_UNITS = {"K", "°C", "°F"}


def number(value: float, units: str = "", *, like: float | None = None) -> str:
    """A value with as many decimals as the size of `like` (a difference, a spread) makes meaningful: 284.3 K, 0.012."""
    size = abs(value if like is None else like)
    decimals = 1 if size == 0 else int(np.clip(2 - np.ceil(np.log10(size)) + (like is not None and 10 <= size < 1000), 0, 6))
    text = f"{value:,.{decimals}f}" if abs(value) < 1e6 else f"{value:.3g}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return f"{text} {units}".strip()


def describe_series(summary: Summary) -> str:
    """How the mean changed between the first and the last part of the series, and its extremes.

    Part-years would turn the seasons into a trend, so the change is that of the departures from each month's own mean.
    """
    present = np.isfinite(summary.mean)
    if not present.any():
        return f"{_subject(summary)} has no values."
    moments = [time for time, keep in zip(summary.times, present, strict=True) if keep]
    values = summary.mean[present]
    extremes = _extremes(summary, values)
    if len(values) < 4 or summary.span_years < 2.5:
        return f"{_subject(summary)} {extremes}."
    early, late, words = _ends(moments, _departures(moments, values))
    change = float(late.mean() - early.mean())
    spread = float(values.max() - values.min())
    if abs(change) < 0.02 * spread or round(change, 10) == 0:
        return f"{_subject(summary)} is about the same in {words[1]} as in {words[0]}. It {extremes}."
    by = f"{_verb(change, summary.units)} by {number(abs(change), summary.units)}"
    return f"{_subject(summary)} {by} from {words[0]} to {words[1]}. It {extremes}."


def _subject(summary: Summary) -> str:
    where = f" at {summary.level}" if summary.level else ""
    what = "the area mean of " if summary.weights is not None else "the mean of " if summary.members else ""
    subject = f"{what}{summary.label}{where}"
    return subject[0].upper() + subject[1:]


def _verb(change: float, units: str) -> str:
    if units in TEMPERATURE_UNITS:
        return "warms" if change > 0 else "cools"
    return "rises" if change > 0 else "falls"


def _departures(moments: list[cftime.datetime], values: Floats) -> Floats:
    """`values` less the mean of their own calendar month over all years."""
    months = np.array([time.month for time in moments])
    present, which = np.unique(months, return_inverse=True)
    departures: Floats = values - np.array([values[months == month].mean() for month in present])[which]
    return departures


def _ends(moments: list[cftime.datetime], values: Floats) -> tuple[Floats, Floats, tuple[str, str]]:
    """The values of the first and of the last 30 years (or the first and last third of a shorter series), and both in words."""
    first, last = moments[0].year, moments[-1].year
    length = min(30, max(1, (last - first + 1) // 3))
    years = np.array([time.year for time in moments])
    words = tuple(str(a) if a == b else f"{a}-{b}" for a, b in ((first, first + length - 1), (last - length + 1, last)))
    return values[years <= first + length - 1], values[years >= last - length + 1], (words[0], words[1])


def _extremes(summary: Summary, values: Floats) -> str:
    moments = [time for time, keep in zip(summary.times, np.isfinite(summary.mean), strict=True) if keep]
    step, spread = summary.step_days, float(values.max() - values.min())
    if len(values) == 1 or spread == 0:
        return f"is {number(float(values[0]), summary.units)} {times.to_words(moments[0], step_days=step)}"
    low, high = int(values.argmin()), int(values.argmax())
    return (
        f"is lowest {times.to_words(moments[low], step_days=step)} ({number(float(values[low]), summary.units, like=spread)})"
        f" and highest {times.to_words(moments[high], step_days=step)} ({number(float(values[high]), summary.units, like=spread)})"
    )


def describe_map(summary: Summary) -> str:
    """Where the time mean is highest and lowest, and its area mean."""
    field, weights = summary.field_mean, summary.weights
    if field is None or weights is None or summary.y is None or summary.x is None:
        return f"{_subject(summary)} has no map."
    present = np.isfinite(field)
    if np.nanmax(field) == np.nanmin(field):
        return f"{_subject(summary)} is {number(float(np.nanmax(field)), summary.units)} everywhere."
    spread = float(np.nanmax(field) - np.nanmin(field))
    mean = float(np.average(field[present], weights=weights[present] if weights[present].sum() else None))
    high, low = (_place(summary, np.unravel_index(int(pick(field)), field.shape)) for pick in (np.nanargmax, np.nanargmin))
    when = f" over {when_words(summary)}" if summary.times else ""
    return (
        f"{summary.label[:1].upper()}{summary.label[1:]}{f' at {summary.level}' if summary.level else ''}{when}: "
        f"{number(mean, summary.units, like=spread)} in the mean over the area, "
        f"highest {number(float(np.nanmax(field)), summary.units, like=spread)} near {high}, "
        f"lowest {number(float(np.nanmin(field)), summary.units, like=spread)} near {low}."
    )


def _place(summary: Summary, index: tuple[np.intp, ...]) -> str:
    if summary.y is None or summary.x is None:
        return "an unknown place"
    if summary.y.ndim == 1:
        latitude, longitude = float(summary.y.values[index[0]]), float(summary.x.values[index[1]])
    else:
        latitude, longitude = float(summary.y.values[index]), float(summary.x.values[index])
    if str(summary.y.attrs.get("standard_name", "")).startswith("grid_"):
        return f"grid latitude {latitude:.1f}°, grid longitude {longitude:.1f}°"
    longitude = (longitude + 180) % 360 - 180
    return f"{abs(latitude):.0f}°{'N' if latitude >= 0 else 'S'} {abs(longitude):.0f}°{'E' if longitude >= 0 else 'W'}"


def describe_box(summary: Summary) -> str:
    """Which months are highest and lowest by their median."""
    months = by_month(summary)
    medians = {month: float(np.median(values)) for month, values in months.items()}
    high, low = max(medians, key=lambda m: medians[m]), min(medians, key=lambda m: medians[m])
    spread = medians[high] - medians[low]
    words = ("warmest", "coldest") if summary.units in TEMPERATURE_UNITS else ("highest", "lowest")
    parts = [
        f"{word} in {times.MONTHS[month - 1]} (median {number(medians[month], summary.units, like=spread)})"
        for word, month in zip(words, (high, low), strict=True)
    ]
    return f"{_subject(summary)} by month over {when_words(summary)}: {', '.join(parts)}."


def when_words(summary: Summary) -> str:
    """The years the values cover."""
    first, last = summary.times[0], summary.times[-1]
    if first.year == last.year:
        return str(first.year) if first.month != last.month else times.to_words(first, step_days=30).removeprefix("in ")
    return f"{first.year} to {last.year}"
