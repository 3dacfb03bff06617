"""Units as CF and UDUNITS write them: one that a quantity is not measured in is told, and what is not understood never is."""

import pytest
from django.utils import timezone

from datasets.curation import checking
from datasets.description.units import cannot_be, dimensions_of
from datasets.models import Term, Vocabulary

FITTING = """
    degC: K | degrees_C: K | deg C: K | degree_Celsius: K | °C: K | Celsius: K | hPa: Pa | millibar: Pa | W/m2: W m-2 | W m^-2: W m-2
    W.m-2: W m-2 | mm/day: m s-1 | mm day-1: m s-1 | kg m-2 s-1: kg m-2 s-1 | g/m2/s: kg m-2 s-1 | kg per m2: kg m-2 | 1e-3: 1 | 0.001: 1
    %: 1 | g kg-1: 1 | m3 m-3: 1 | degrees_north: degree | degree_east: degrees | radian: degree
    hours since 1900-01-01: s | days since 1970-01-01 00:00: s
    knots: m s-1 | dbar: Pa | umol m-2 s-1: mol m-2 s-1 | 10^-3 kg: g | m2 s-2: J kg-1
"""
WRONG = """
    m: K | hPa: K | K: Pa | kg m-2: kg m-2 s-1 | m s-1: m | days since 1970-01-01: K | %: K | degrees_north: m | W m-2: W | m/s2: m s-1
    mg m-3: mol m-3
"""
UNKNOWN = """
    psu | PSU | dBZ | gpm | level | model_level_number | C | mb | mm water | # cm-3 | (m s-1)2 | lg(re 1 mm6 m-3) | ? | m^ | -
    ppmv | sverdrup_ | see the documentation
"""


def listed(text: str) -> list[str]:
    return [one.strip() for one in text.replace("\n", "|").split("|") if one.strip()]


def pairs(text: str) -> list[tuple[str, ...]]:
    return [tuple(part.strip() for part in one.rsplit(": ", 1)) for one in listed(text)]


@pytest.mark.parametrize(("units", "canonical"), pairs(FITTING))
def test_what_can_be_converted_is_no_alarm(units, canonical):
    assert dimensions_of(units) is not None
    assert not cannot_be(units, canonical)


@pytest.mark.parametrize(("units", "canonical"), pairs(WRONG))
def test_what_cannot_be_converted_is_told(units, canonical):
    assert cannot_be(units, canonical)


@pytest.mark.parametrize("units", [*listed(UNKNOWN), "", "x" * 200])
def test_what_is_not_understood_is_no_alarm(units):
    assert dimensions_of(units) is None
    assert not cannot_be(units, "K")


@pytest.fixture
def table(db) -> Vocabulary:
    made = Vocabulary.objects.create(slug="cf", use="standard-names", name="CF", loaded_at=timezone.now(), is_whole=False)
    Term.objects.create(vocabulary=made, path="sea_surface_temperature", label="sea_surface_temperature", units="K")
    return made


def test_a_unit_of_another_quantity_warns_beside_the_field_and_among_the_checks(table, draft, ben, browser):
    row = {"name": "t", "standard_name": "sea_surface_temperature", "units": "m s-1"}
    version = draft(variables=[row, {"name": "u", "standard_name": "sea_surface_temperature", "units": "degC"},
                               {"name": "e", "standard_name": "sea_surface_temperature standard_error", "units": "1"}])  # fmt: skip
    (found,) = [one for one in checking.check(version) if "cannot be converted" in one.words]
    assert (found.field, found.must) == ("variables", False)
    assert found.words == "Unit of t: m s-1 cannot be converted to K, in which CF measures sea_surface_temperature."
    form = {f"variables.0.{name}": value for name, value in row.items()} | {"variables.0.order": "1"}
    told = browser(ben).post("/steward/datasets/sea/describe/check/", form, headers={"HX-Trigger-Name": "variables.0.units"})
    assert "cannot be converted to K" in told.content.decode()
    right = form | {"variables.0.units": "degC"}
    told = browser(ben).post("/steward/datasets/sea/describe/check/", right, headers={"HX-Trigger-Name": "variables.0.units"})
    assert "converted" not in told.content.decode()


@pytest.mark.parametrize("part", ["units", "standard_name"])
def test_a_field_with_a_number_beyond_all_rows_is_no_failure(draft, ben, browser, part):
    draft(variables=[{"name": "t"}])
    name = f"variables.{'1' * 5_000}.{part}"
    assert browser(ben).post("/steward/datasets/sea/describe/check/", {}, headers={"HX-Trigger-Name": name}).status_code < 500
