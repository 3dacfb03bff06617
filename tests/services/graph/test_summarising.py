"""The numbers behind the charts against the same numbers found the slow way: explicit loops over what netCDF4 reads."""

import math

import iris_sample_data
import netCDF4
import numpy as np
import pytest
import xarray as xr

from services.graph import grids, reading, summarising
from services.graph.errors import SourceError
from services.graph.summarising import Period, summarise


@pytest.fixture
def open_sample(samples):
    opened = []

    def open_one(name):
        coder = xr.coders.CFDatetimeCoder(use_cftime=True)
        engine = "scipy" if (samples / name).read_bytes()[:3] == b"CDF" else "h5netcdf"
        dataset = xr.open_dataset(samples / name, engine=engine, decode_times=coder, decode_timedelta=False, cache=False)
        opened.append(dataset)
        return dataset

    yield open_one
    for dataset in opened:
        dataset.close()


def weighted_means_by_loops(path, variable):
    """Area-weighted mean of each step: every cell counts as its part of the sphere, from mid-points between latitudes."""
    with netCDF4.Dataset(path) as file:
        field = file[variable][:]
        latitudes = [float(value) for value in file["latitude"][:]]
    half = (latitudes[1] - latitudes[0]) / 2
    means = []
    for step in field:
        total = weight_total = 0.0
        for row, latitude in zip(step, latitudes, strict=True):
            weight = math.sin(math.radians(latitude + half)) - math.sin(math.radians(latitude - half))
            for value in row:
                if not np.ma.is_masked(value):
                    total += weight * float(value)
                    weight_total += weight
        means.append(total / weight_total)
    return means


@pytest.mark.parametrize(("name", "variable"), [("A1B_north_america.nc", "air_temperature"), ("ostia_monthly.nc", "surface_temperature")])
def test_the_mean_is_weighted_by_area_and_skips_missing_cells(open_sample, samples, name, variable):
    summary = summarise([open_sample(name)], variable)
    expected = weighted_means_by_loops(samples / name, variable)
    assert len(summary.mean) == len(expected)
    for found, right in zip(summary.mean, expected, strict=True):
        assert found == pytest.approx(right, rel=1e-7)


def test_the_scenario_warms_by_what_the_file_says(open_sample, samples):
    summary = summarise([open_sample("A1B_north_america.nc")], "air_temperature")
    right = weighted_means_by_loops(samples / "A1B_north_america.nc", "air_temperature")
    years = [time.year for time in summary.times]
    assert years == list(range(1860, 2100))
    change = np.mean(right[-30:]) - np.mean(right[:30])
    assert np.mean(summary.mean[-30:]) - np.mean(summary.mean[:30]) == pytest.approx(change, rel=1e-6)
    assert 4 < change < 5


def test_the_band_and_the_map_are_extremes_and_time_means_of_the_cells(open_sample, samples):
    summary = summarise([open_sample("A1B_north_america.nc")], "air_temperature")
    with netCDF4.Dataset(samples / "A1B_north_america.nc") as file:
        field = file["air_temperature"][:].astype(float)
    assert summary.low.tolist() == [step.min() for step in field]
    assert summary.high.tolist() == [step.max() for step in field]
    for y, x in [(0, 0), (18, 24), (36, 48)]:
        assert summary.field_mean[y, x] == pytest.approx(sum(float(step[y, x]) for step in field) / 240, rel=1e-9)


def test_small_slabs_give_the_same_numbers(open_sample, monkeypatch):
    dataset = open_sample("ostia_monthly.nc")
    whole = summarise([dataset], "surface_temperature")
    monkeypatch.setattr(summarising, "SLAB_BYTES", 8 * 18 * 432 * 7)  # no file of these tests has more than one otherwise
    steps = []
    pieces = summarise([dataset], "surface_temperature", report=lambda done, total: steps.append((done, total)))
    np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(pieces.field_mean, whole.field_mean, rtol=1e-12)
    assert steps[-1] == (54, 54)
    assert len(steps) == 8


def test_a_period_keeps_only_its_years(open_sample):
    summary = summarise([open_sample("A1B_north_america.nc")], "air_temperature", period=Period(1990, 1999))
    assert [time.year for time in summary.times] == list(range(1990, 2000))


def test_a_period_outside_the_data_says_what_there_is(open_sample):
    with pytest.raises(SourceError, match="covers 1860 to 2099"):
        summarise([open_sample("A1B_north_america.nc")], "air_temperature", period=Period(2150, 2160))


def test_monthly_files_are_joined_in_time_order(open_sample):
    names = ["20150301-20150401", "20150101-20150201", "20150201-20150301"]
    summary = summarise([open_sample(f"NEMO/nemo_1m_{name}_grid-T.nc") for name in names], "tos")
    assert [(time.month, time.calendar) for time in summary.times] == [(1, "360_day"), (2, "360_day"), (3, "360_day")]
    assert summary.mean[0] == pytest.approx(nemo_mean_by_loops(names[1]), rel=1e-3)


def nemo_mean_by_loops(name):
    """Cells weighted by cos(latitude) times the spacing in degrees that their corners give."""
    with netCDF4.Dataset(f"{iris_sample_data.path}/NEMO/nemo_1m_{name}_grid-T.nc") as file:
        field, latitudes, longitudes = file["tos"][0], file["bounds_lat"][:], file["bounds_lon"][:]
    total = weight_total = 0.0
    for y, x in np.ndindex(field.shape):
        if np.ma.is_masked(field[y, x]):
            continue
        # shoelace formula on the cell in (longitude * cos(latitude), latitude)
        middle = float(latitudes[y, x].mean())
        east = [((float(v) - float(longitudes[y, x, 0]) + 180) % 360 - 180) * math.cos(math.radians(middle)) for v in longitudes[y, x]]
        north = [float(v) for v in latitudes[y, x]]
        weight = abs(sum(east[i] * north[(i + 1) % 4] - east[(i + 1) % 4] * north[i] for i in range(4))) / 2
        total += weight * float(field[y, x])
        weight_total += weight
    return total / weight_total


def test_a_column_of_levels_is_drawn_at_its_first_and_says_so(open_sample):
    summary = summarise([open_sample("atlantic_profiles.nc")], "salinity")
    assert summary.level == "depth 5 m"
    assert summary.times == []


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("A1B_north_america.nc", "air_temperature"),
        ("ostia_monthly.nc", "surface_temperature"),
        ("SOI_Darwin.nc", "SOI_Darwin"),
        ("space_weather.nc", "Ne"),
    ],
)
def test_the_variable_is_chosen_past_bounds_and_grid_mappings(open_sample, name, chosen):
    assert summarising.choose_variable(open_sample(name), None) == chosen


def test_a_variable_that_is_not_there_is_named_with_those_that_are(open_sample):
    with pytest.raises(SourceError, match="no variable 'rain'; it has air_temperature"):
        summarising.choose_variable(open_sample("A1B_north_america.nc"), "rain")


def test_a_rotated_grid_lies_where_its_true_coordinates_say(open_sample):
    dataset = open_sample("space_weather.nc")
    true = dataset["latitude"].values, dataset["longitude"].values
    pole = dataset["rotated_pole"].attrs
    grid = np.meshgrid(dataset["rLat"].values, dataset["rLon"].values, indexing="ij")
    latitudes, _ = grids._unrotate(*grid, pole["grid_north_pole_latitude"], pole["grid_north_pole_longitude"])
    given = np.abs(true[0]) <= 90
    assert given.sum() > 700
    np.testing.assert_allclose(latitudes.reshape(given.shape)[given], true[0][given], atol=0.01)


@pytest.mark.parametrize(
    ("place", "true"), [((0, 0), (52.5, -2.5)), ((90, 0), (37.5, 177.5)), ((-37.5, 180), (-90, None)), ((0, 90), (0, 87.5))]
)
def test_a_rotated_grid_is_turned_back_by_its_pole(place, true):
    latitude, longitude = grids._unrotate(np.array([place[0]]), np.array([place[1]]), 37.5, 177.5)
    assert latitude[0] == pytest.approx(true[0], abs=1e-6)
    if true[1] is not None:
        assert (longitude[0] - true[1] + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("longitudes", "box"),
    [([170, 175, 180, 185, 190], (170, -170)), (list(range(0, 360, 5)), (-180, 180)), ([225, 270, 315], (-135, -45)), ([10], (10, 10))],
)
def test_the_box_is_the_smallest_arc_that_holds_all_longitudes(longitudes, box):
    assert grids._longitude_range(np.array(longitudes, dtype=float)) == box


def test_a_table_becomes_series_by_time_and_station():
    rows = ["EWR,2013,1,1,1,40,2013-01-01T06:00:00Z", "JFK,2013,1,1,1,42,2013-01-01T06:00:00Z"]
    rows += ["EWR,2013,1,1,2,NA,2013-01-01T07:00:00Z", "JFK,2013,1,1,2,50,2013-01-01T07:00:00Z"]
    table = "\n".join(["origin,year,month,day,hour,temp,time_hour", *rows]).encode()
    summary = summarise([reading.table_to_dataset(table)], "temp")
    assert [str(time) for time in summary.times] == ["2013-01-01 06:00:00", "2013-01-01 07:00:00"]
    assert (summary.mean.tolist(), summary.low.tolist(), summary.high.tolist()) == ([41, 50], [40, 50], [42, 50])
    assert summary.members == "origin"


@pytest.mark.parametrize(
    ("units", "shown"), [("K", "K"), ("degC", "°C"), ("m s-1", "m s⁻¹"), ("1", ""), ("kg m-2 s-1", "kg m⁻² s⁻¹"), ("", "")]
)
def test_units_are_printed_as_people_write_them(units, shown):
    assert summarising.pretty_units(units) == shown
