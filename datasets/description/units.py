"""Whether a unit can be what a quantity is measured in: its dimensions, as the CF conventions and UDUNITS write units.

pint knows the units; how they are put together is read here, as UDUNITS writes `kg m-2 s-1`, `1e-3`, `degrees_north` and `days since
1970-01-01`, which pint does not (https://cfconventions.org/cf-conventions/cf-conventions.html#units). What is not understood is no alarm.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import pint

Dimensions = dict[str, float]

TOKEN = re.compile(
    r"(?P<number>[+-]?\d+(\.\d+)?([eE][+-]?\d+)?(\^[+-]?\d+)?(?![A-Za-z_]))"
    r"|(?P<unit>[A-Za-z_%µμ°]+)((\^|\*\*)?(?P<power>[+-]?\d+))?"
    r"|(?P<per>\s*/\s*|\s+per\s+)|(?P<times>[\s.*·]+)"
)
SINCE = re.compile(r"\s+(since|after|from|ref)\s.*", re.IGNORECASE | re.DOTALL)
ANGLE = re.compile(r"deg(ree)?s?_?(north|south|east|west|true|[NSEW])")
CELSIUS = re.compile(r"\b(deg(ree)?s?[ _]?(Celsius|celsius|C)|Celsius|celsius|°\s?C)\b|°C")
# Words that mean something else to UDUNITS or to people than to pint, or several things: nothing is said of units that hold them.
AMBIGUOUS = frozenset({"C", "mb", "water", "a", "u", "G", "count", "counts", "t", "D", "P"})
LONGEST = 100


def dimensions_of(units: str) -> Dimensions | None:
    """The powers of the base dimensions of a unit, empty for a pure number; None for what is not understood."""
    if len(units) > LONGEST:  # before anything is looked for in it
        return None
    left, found, sign = CELSIUS.sub("kelvin", SINCE.sub("", units.strip())), Counter[str](), 1
    if not left:
        return None
    while left:
        token = TOKEN.match(left)
        if token is None or not token.group():
            return None
        left = left[token.end() :]
        if token["per"]:
            sign = -1
            continue
        if token["unit"]:
            known = _dimensions_of_word(token["unit"])
            if known is None:
                return None
            for name, power in known.items():
                found[name] += sign * int(token["power"] or 1) * power  # type: ignore[assignment]  # a power may be a half
        if not token["times"]:
            sign = 1
    return {name: power for name, power in found.items() if power}


def _dimensions_of_word(word: str) -> Mapping[str, float] | None:
    if word in AMBIGUOUS:
        return None
    return {} if ANGLE.fullmatch(word) else _dimensions(word)


@cache
def _registry() -> "pint.UnitRegistry[Any]":
    """Built when a unit is first asked about: it takes some 0.3 s."""
    return pint.UnitRegistry()


@cache
def _dimensions(word: str) -> Mapping[str, float] | None:
    try:
        return {str(name): float(str(power)) for name, power in _registry().parse_units(word).dimensionality.items()}
    except (pint.errors.PintError, ValueError, TypeError, AttributeError):
        return None


def cannot_be(units: str, canonical: str) -> bool:
    """Whether a unit certainly cannot be converted to another; False where either is not understood."""
    one, other = dimensions_of(units), dimensions_of(canonical)
    return one is not None and other is not None and one != other
