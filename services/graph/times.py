"""Times of data, whatever their calendar.

Every time is a `cftime.datetime` (climate models count 360-day or leap-free years, which `datetime` cannot hold).
Here: finding the time coordinate, years as numbers for an axis, text, and the choice of a step to average over.
"""

import calendar as gregorian
import datetime as dt
from collections.abc import Sequence
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import xarray as xr

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def find_time(array: xr.DataArray) -> str | None:
    """The name of the one-dimensional time coordinate of `array`, the dimension's own first; None when it has none."""
    names = [str(name) for name in array.dims if name in array.coords]
    names += [str(name) for name in array.coords if str(name) not in names]
    for name in names:
        coordinate = array.coords[name]
        if coordinate.ndim == 1 and coordinate.size and is_time(coordinate):
            return name
    return None


def is_time(coordinate: xr.DataArray) -> bool:
    """Whether the values of a decoded coordinate are times (a forecast's reference time is not its time)."""
    if coordinate.attrs.get("standard_name", "time") != "time" or coordinate.dtype != object or not coordinate.size:
        return False
    return isinstance(coordinate.values.flat[0], cftime.datetime)


def decimal_year(time: cftime.datetime) -> float:
    """1860-07-01 in a 360-day year is 1860.5; the fraction is of that calendar's own year."""
    seconds = time.hour * 3600 + time.minute * 60 + time.second
    return float(time.year + (time.dayofyr - 1 + seconds / 86400) / days_in_year(time))


def days_in_year(time: cftime.datetime) -> int:
    """Days in the year of `time` by its own calendar."""
    if time.calendar == "360_day":
        return 360
    return 366 if cftime.is_leap_year(time.year, time.calendar) else 365


def to_iso(time: cftime.datetime) -> str:
    """ISO 8601 in the calendar of the data: `2098-02-30T00:00:00` is a day of a 360-day year."""
    return f"{time.year:04d}-{time.month:02d}-{time.day:02d}T{time.hour:02d}:{time.minute:02d}:{time.second:02d}"


def to_civil_iso(time: cftime.datetime) -> str:
    """ISO 8601 with Z that every reader understands: days that the civil calendar lacks become the month's last."""
    year = min(max(time.year, dt.MINYEAR), dt.MAXYEAR)
    day = min(time.day, gregorian.monthrange(year, time.month)[1])
    return f"{year:04d}-{time.month:02d}-{day:02d}T{time.hour:02d}:{time.minute:02d}:{time.second:02d}Z"


def to_words(time: cftime.datetime, *, step_days: float) -> str:
    """A time as precise as steps of so many days: `in 1860`, `in June 1860`, `on 4 June 1860`, `at 05:00 on 4 June 1860`."""
    month = MONTHS[time.month - 1]
    if step_days > 300:
        return f"in {time.year}"
    if step_days > 20:
        return f"in {month} {time.year}"
    if step_days > 0.9:
        return f"on {time.day} {month} {time.year}"
    return f"at {time.hour:02d}:{time.minute:02d} on {time.day} {month} {time.year}"


def choose_step(times: Sequence[cftime.datetime], *, most: int) -> str | None:
    """The finest of day, month, year that leaves at most `most` steps to draw; None when every time can be drawn."""
    if len(times) <= most:
        return None
    for step in ("day", "month"):
        if len({step_key(time, step) for time in times}) <= most:
            return step
    return "year"


def step_key(time: cftime.datetime, step: str) -> tuple[int, ...]:
    """What times of the same day, month or year have in common."""
    return {"day": (time.year, time.month, time.day), "month": (time.year, time.month), "year": (time.year,)}[step]


def from_numpy(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n,) datetime64 -> (n,) cftime objects in the civil calendar."""
    moments = values.astype("datetime64[s]").astype(object)
    return np.array(
        [cftime.DatetimeGregorian(m.year, m.month, m.day, m.hour, m.minute, m.second) for m in moments],
        dtype=object,
    )
