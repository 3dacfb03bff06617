"""Entries for Globus Search, whose index gives each field one type for ever."""

import dataclasses
import datetime as dt

import pytest

from datasets.formats import globus_search


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((8.0, 53.0, 30.0, 66.0), ("Polygon", 1)),
        ((170.0, -10.0, -170.0, 10.0), ("MultiPolygon", 2)),
        ((180.0, -10.0, -170.0, 10.0), ("Polygon", 1)),
        ((8.0, 53.0, 8.0, 66.0), ("LineString", 2)),
    ],
)
def test_a_box_is_a_shape_with_an_area_or_a_line(rich, box, expected):
    place = globus_search.content(dataclasses.replace(rich, box=box))["causeway"]["place"]
    assert (place["type"], len(place["coordinates"])) == expected


def test_a_point_is_a_point(rich):
    record = dataclasses.replace(rich, box=(8.5, 53.0, 8.5, 53.0))
    assert globus_search.content(record)["causeway"]["place"] == {"type": "Point", "coordinates": [8.5, 53.0]}


def test_only_dates_look_like_dates_and_no_text_is_longer_than_a_field(rich):
    record = dataclasses.replace(
        rich, title="2020-01-01", abstract="ä" * 40_000, subjects=("1999/12/31 10:00:00",), start=dt.date(1961, 1, 1), end=None
    )
    content = globus_search.content(record)
    assert content["titles"] == [{"title": "2020-01-01 "}]
    assert "1999/12/31 10:00:00 " in content["causeway"]["subjects"]
    abstract = next(one["description"] for one in content["descriptions"] if one["descriptionType"] == "Abstract")
    assert len(abstract.encode()) <= 32_000
    assert all(globus_search.DATE.fullmatch(one["date"]) for one in content["dates"])
    assert content["causeway"]["start"] == "1961-01-01"
    assert content["causeway"]["decades"] == [1960]
    assert "end" not in content["causeway"]


def test_an_entry_is_public_and_named_by_its_page(rich):
    entry = globus_search.entry(rich)
    assert (entry["subject"], entry["id"], entry["visible_to"]) == (rich.page_url, rich.id, ["public"])
