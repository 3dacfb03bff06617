"""Charts carry their finding in words, their units on the axes, their source in the caption, and are the same at every drawing."""

import csv
import io
import struct
import zlib
from xml.etree import ElementTree as ET

import cftime
import matplotlib as mpl
import numpy as np
import pytest

from services.graph import drawing, times, wording
from services.graph.drawing import Caption, draw
from services.graph.errors import SourceError
from services.graph.summarising import Summary, summarise
from tests.services.graph.test_summarising import open_sample  # noqa: F401

CAPTION = Caption("Air temperature over North America, scenario A1B", "3")


@pytest.fixture
def warming(open_sample):  # noqa: F811
    return summarise([open_sample("A1B_north_america.nc")], "air_temperature")


@pytest.fixture
def seasons(open_sample):  # noqa: F811
    return summarise([open_sample("ostia_monthly.nc")], "surface_temperature")


def words_of(svg):
    return [" ".join("".join(element.itertext()).split()) for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_finding_of_the_scenario_is_said_with_its_numbers(warming):
    text = draw("series", warming, CAPTION).text_alternative
    change = warming.mean[-30:].mean() - warming.mean[:30].mean()
    assert f"warms by {change:.1f} K from 1860-1889 to 2070-2099" in text


def test_times_are_as_precise_as_the_steps_of_the_data(warming, seasons, open_sample):  # noqa: F811
    assert "lowest in 1860" in draw("series", warming, CAPTION).text_alternative
    assert "highest in April 2010" in draw("series", seasons, CAPTION).text_alternative
    months = summarise([open_sample("SOI_Darwin.nc")], "SOI_Darwin")
    lowest = months.times[int(np.nanargmin(months.mean))]
    assert f"lowest in {times.MONTHS[lowest.month - 1]} {lowest.year} (" in draw("series", months, CAPTION).text_alternative


def test_axes_carry_units_and_the_caption_names_source_and_version(warming):
    words = words_of(draw("series", warming, CAPTION).svg)
    assert "Mean (K)" in words
    assert "Year" in words
    caption = next(word for word in words if word.startswith("Source:"))
    assert "scenario A1B, version 3" in caption


def test_the_map_says_where_it_is_highest_and_lowest(warming):
    drawn = draw("map", warming, CAPTION)
    high = np.unravel_index(np.nanargmax(warming.field_mean), warming.field_mean.shape)
    latitude, longitude = warming.y.values[high[0]], warming.x.values[high[1]] - 360
    assert f"highest {warming.field_mean[high]:.1f} K near {latitude:.0f}°N {-longitude:.0f}°W" in drawn.text_alternative
    assert {"Longitude (°E)", "Latitude (°N)", "Air temperature (K)"} <= set(words_of(drawn.svg))


def test_the_box_plot_names_the_warmest_and_the_coldest_month(seasons):
    months = {month: np.median([v for t, v in zip(seasons.times, seasons.mean, strict=True) if t.month == month]) for month in range(1, 13)}
    warmest, coldest = (times.MONTHS[pick(months, key=months.get) - 1] for pick in (max, min))
    text = draw("box", seasons, CAPTION).text_alternative
    assert f"warmest in {warmest} (median {months[times.MONTHS.index(warmest) + 1]:.1f} K)" in text
    assert f"coldest in {coldest}" in text


def test_part_years_do_not_turn_seasons_into_a_trend():
    """A pure yearly wave from April of one year to September of another does not warm."""
    moments = [cftime.DatetimeNoLeap(2000 + i // 12, i % 12 + 1, 15) for i in range(3, 93)]
    wave = np.array([10 * np.cos(2 * np.pi * time.month / 12) for time in moments])
    summary = Summary("t", "air temperature", "K", "", times=moments, mean=280 + wave, low=270 + wave, high=290 + wave)
    assert "is about the same in" in wording.describe_series(summary)


@pytest.mark.parametrize("kind", drawing.KINDS)
def test_a_second_drawing_is_the_same_byte_for_byte(seasons, kind):
    assert draw(kind, seasons, CAPTION) == draw(kind, seasons, CAPTION)


@pytest.mark.parametrize("kind", drawing.KINDS)
def test_the_svg_is_small_sound_and_carries_no_script_and_no_outside_address(seasons, kind):
    svg = draw(kind, seasons, CAPTION).svg
    assert svg.startswith("<svg")
    assert len(svg) < 150_000
    for element in ET.fromstring(svg).iter():
        assert element.tag.rsplit("}")[-1] not in {"script", "foreignObject", "a"}
        for name, value in element.attrib.items():
            assert not name.rsplit("}")[-1].startswith("on")
            if name.endswith("href"):
                assert value.startswith(("#", "data:image/png;base64,"))


def test_the_map_is_readable_in_grey():
    """The lightness of the colour scale rises all the way."""
    colours = mpl.colormaps["cividis"](np.linspace(0, 1, 64))[:, :3]
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()


def test_the_png_is_the_same_chart(warming):
    png = draw("series", warming, CAPTION).png
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (880, 528)
    at, pixels = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        pixels += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    assert len(set(zlib.decompress(pixels))) > 20


def test_the_csv_holds_every_step_with_its_time_in_the_calendar_of_the_data(warming):
    rows = list(csv.reader(io.StringIO(draw("series", warming, CAPTION).csv)))
    assert rows[0] == ["time", "mean (K)", "min (K)", "max (K)"]
    assert len(rows) == 241
    assert rows[1][0] == "1860-06-01T00:00:00"
    assert float(rows[1][1]) == pytest.approx(warming.mean[0], rel=1e-6)


def test_what_cannot_be_drawn_says_why(warming, open_sample):  # noqa: F811
    with pytest.raises(SourceError, match="one value a year"):
        draw("box", warming, CAPTION)
    still = summarise([open_sample("orca2_votemper.nc")], "votemper")
    with pytest.raises(SourceError, match="time axis with at least two steps"):
        draw("series", still, CAPTION)
    index = summarise([open_sample("SOI_Darwin.nc")], "SOI_Darwin")
    with pytest.raises(SourceError, match="latitude and a longitude"):
        draw("map", index, CAPTION)


def test_a_title_with_markup_stays_text(warming):
    svg = draw("series", warming, Caption('<script>alert("x")</script> & $x^2$', "1")).svg
    assert "<script" not in svg
    assert any('<script>alert("x")</script> &' in word for word in words_of(svg))


@pytest.mark.parametrize(
    ("calendar", "text", "civil"),
    [("360_day", "2098-02-30T00:00:00", "2098-02-28T00:00:00Z"), ("noleap", "2096-02-28T00:00:00", "2096-02-28T00:00:00Z")],
)
def test_times_are_written_in_their_calendar_and_in_the_civil_one(calendar, text, civil):
    year, month, day = (int(part) for part in text[:10].split("-"))
    time = cftime.datetime(year, month, day, calendar=calendar)
    assert times.to_iso(time) == text
    assert times.to_civil_iso(time) == civil
    assert times.decimal_year(cftime.datetime(2000, 7, 1, calendar="360_day")) == 2000.5
