"""What a header tells, against netCDF4; read through ranges from a real HTTPS server, with less than the file on the wire."""

import base64
import hashlib
import shutil

import h5py
import httpx
import netCDF4
import numpy as np
import pytest
import xarray as xr

from services.graph import reading
from services.graph.errors import SessionError, SourceError, SourceUnavailableError
from services.graph.inspecting import inspect
from services.graph.reading import RemoteFile, open_client, open_source
from services.graph.summarising import summarise


@pytest.fixture
def place(file_server, samples):
    def put(name, content=None):
        target = file_server.root / name.rsplit("/")[-1]
        target.write_bytes(content) if content is not None else shutil.copy(samples / name, target)
        return f"/{target.name}"

    return put


@pytest.fixture
def client(file_server):
    with open_client(None) as opened:
        yield opened


@pytest.fixture
def look(file_server, place):
    def inspect_one(name, content=None):
        with open_client(None) as opened:
            return inspect(opened, file_server.url, place(name, content))

    return inspect_one


@pytest.mark.parametrize(
    "name", ["A1B_north_america.nc", "ostia_monthly.nc", "SOI_Darwin.nc", "NEMO/nemo_1m_20150101-20150201_grid-T.nc", "space_weather.nc"]
)
def test_variables_are_those_of_netcdf4(look, samples, name):
    found = look(name)
    assert found["error"] is None
    assert found["sha256"] == hashlib.sha256((samples / name).read_bytes()).hexdigest()
    assert found["size"] == (samples / name).stat().st_size
    with netCDF4.Dataset(samples / name) as file:
        for variable in found["variables"] + found["coordinates"]:
            right = file[variable["name"]]
            assert variable["dims"] == list(right.dimensions)
            assert variable["shape"] == list(right.shape)
            for key in ("standard_name", "long_name", "units"):
                assert variable[key] == getattr(right, key, "")
        for key, value in found["attributes"].items():
            assert str(value) == str(file.getncattr(key))
        assert set(found["attributes"]) == set(file.ncattrs())


def store_outside(file, secret):
    file.create_dataset("leak", shape=(6,), dtype="u1", external=[(str(secret), 0, 6)])


def link_outside(file, secret):
    file["inner/leak"] = h5py.ExternalLink(str(secret), "/x")


def gather_outside(file, secret):
    layout = h5py.VirtualLayout(shape=(6,), dtype="u1")
    layout[:] = h5py.VirtualSource(str(secret), "x", shape=(6,))
    file.create_virtual_dataset("inner/leak", layout)


@pytest.mark.parametrize("reach", [store_outside, link_outside, gather_outside])
@pytest.mark.parametrize("name", ["evil.nc", "evil.h5"])
def test_a_file_cannot_have_the_files_of_this_host_read(client, file_server, look, tmp_path, reach, name):
    secret = tmp_path / "tokens.key"
    secret.write_bytes(b"secret")
    with h5py.File(tmp_path / name, "w") as file:
        reach(file, secret)
    assert "takes its values from other files" in look(name, (tmp_path / name).read_bytes())["error"]
    with RemoteFile(client, f"{file_server.url}/{name}") as file, pytest.raises(SourceError, match="other files"), open_source(file, name):
        pass


def test_helpers_of_a_file_are_no_variables(look):
    assert [variable["name"] for variable in look("A1B_north_america.nc")["variables"]] == ["air_temperature"]
    assert [variable["name"] for variable in look("NEMO/nemo_1m_20150101-20150201_grid-T.nc")["variables"]] == ["tos"]


def test_times_of_a_model_calendar_and_the_box(look):
    found = look("A1B_north_america.nc")
    assert (found["calendar"], found["time_start"], found["time_end"]) == ("360_day", "1860-06-01T00:00:00Z", "2099-06-01T00:00:00Z")
    assert found["bbox"] == [-135.0, 15.0, -45.0, 60.0]
    assert found["format"] == "NetCDF"
    assert look("space_weather.nc")["format"] == "NetCDF"


@pytest.mark.parametrize(
    ("name", "found", "reason"),
    [
        ("air_temp.pp", "Met Office PP", "no reader for this format: Met Office PP"),
        ("polar_stereo.grib2", "GRIB", "no reader for this format: GRIB"),
    ],
)
def test_a_format_without_reader_still_has_size_digest_and_reason(look, samples, name, found, reason):
    seen = look(name)
    assert seen["format"] == found
    assert reason in seen["error"]
    assert seen["sha256"] == hashlib.sha256((samples / name).read_bytes()).hexdigest()


def test_a_broken_file_says_so(look, samples):
    seen = look("broken.nc", (samples / "A1B_north_america.nc").read_bytes()[:40_000])
    assert seen["format"] in {"HDF5", "NetCDF"}
    assert "not a sound" in seen["error"]
    assert look("empty.nc", b"")["format"] == "empty"
    assert "no reader" in look("notes.txt", b"just words\n")["error"]


def test_a_missing_file_says_so(file_server):
    with open_client(None) as opened:
        assert inspect(opened, file_server.url, "/nothing.nc")["error"] == "The file is not there."


def test_a_digest_that_the_node_offers_is_taken():
    digest = hashlib.sha256(b"x").digest()
    headers = httpx.Headers({"Repr-Digest": f"md5=:AAAA:, sha-256=:{base64.b64encode(digest).decode()}:"})
    assert reading.offered_digest(headers) == digest.hex()
    assert reading.offered_digest(httpx.Headers({})) is None


@pytest.fixture
def large(file_server):
    """48 MB of incompressible values in steps of 1 MB, and the same in one more variable."""
    path = file_server.root / "large.nc"
    random = np.random.default_rng(1)
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", 24)
        file.createDimension("lat", 500)
        file.createDimension("lon", 500)
        for name, units, values in (
            ("time", "days since 2000-01-01", range(0, 240, 10)),
            ("lat", "degrees_north", np.linspace(-60, 60, 500)),
            ("lon", "degrees_east", np.linspace(0, 90, 500)),
        ):
            file.createVariable(name, "f8", (name,)).units = units
            file[name][:] = values
        for name in ("a", "b"):
            variable = file.createVariable(name, "f4", ("time", "lat", "lon"), chunksizes=(1, 500, 500))
            variable[:] = random.random((24, 500, 500))
    return path


def test_a_header_costs_a_small_part_of_the_file(client, file_server, large):
    with RemoteFile(client, f"{file_server.url}/large.nc") as file, open_source(file, "/large.nc") as dataset:
        assert dataset["a"].shape == (24, 500, 500)
        assert file.bytes_read < large.stat().st_size / 20
    assert file_server.bytes_sent < large.stat().st_size / 20


def test_one_year_of_one_variable_costs_its_part_and_gives_its_numbers(client, file_server, large):
    with RemoteFile(client, f"{file_server.url}/large.nc") as file, open_source(file, "/large.nc") as dataset:
        summary = summarise([dataset], "b")
        assert file.bytes_read < large.stat().st_size * 0.6
        assert len(file._blocks) <= reading.CACHE_BLOCKS
    with netCDF4.Dataset(large) as right, xr.open_dataset(large) as other:
        assert other.sizes["time"] == len(summary.times)
        assert summary.low.tolist() == right["b"][:].min(axis=(1, 2)).astype(float).tolist()


def test_seeks_and_reads_are_those_of_the_file(client, file_server):
    content = np.random.default_rng(2).bytes(1_000_003)
    (file_server.root / "bytes.bin").write_bytes(content)
    with RemoteFile(client, f"{file_server.url}/bytes.bin") as file:
        for start, length in [(0, 10), (999_990, 100), (65_530, 20), (65_536, 65_536), (500_000, 300_000), (1_000_003, 5)]:
            file.seek(start)
            assert file.read(length) == content[start : start + length]
        file.seek(-7, 2)
        assert file.read() == content[-7:]


def test_a_file_that_changes_while_it_is_read_is_noticed(client, file_server):
    path = file_server.root / "changing.bin"
    path.write_bytes(bytes(300_000))
    with RemoteFile(client, f"{file_server.url}/changing.bin") as file:
        file.read(10)
        file.etag = '"of another time"'
        path.write_bytes(bytes(200_000))
        file.seek(250_000)
        with pytest.raises((SourceError, SourceUnavailableError)):
            file.read(10)


def test_a_file_without_right_is_refused_in_words(file_server, place):
    path = place("SOI_Darwin.nc")
    file_server.token = "right"
    with open_client("wrong") as opened:
        assert inspect(opened, file_server.url, path)["error"] == "You have no right to read this file."
    with open_client("right") as opened:
        assert inspect(opened, file_server.url, path)["error"] is None


def test_an_untrusted_certificate_is_refused(file_server, monkeypatch, place):
    monkeypatch.setenv("GLOBUS_SDK_VERIFY_SSL", "true")
    monkeypatch.setattr(reading, "ATTEMPTS", 1)  # what is refused is refused each time
    with open_client(None) as opened, pytest.raises(SourceUnavailableError):
        inspect(opened, file_server.url, place("SOI_Darwin.nc"))


def test_names_are_encoded_segment_by_segment():
    assert reading.file_url("https://h/c", "/a b/ü?.nc") == "https://h/c/a%20b/%C3%BC%3F.nc"


def test_why_it_is_refused_is_asked_for_with_patience():
    asked = {"session_required_mfa": True}
    answers = iter([httpx.Response(403), httpx.ConnectError("cut"), httpx.Response(403, json={"authorization_parameters": asked})])

    def answer(request):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    with httpx.Client(transport=httpx.MockTransport(answer)) as client, pytest.raises(SessionError) as refused:
        reading.send(client, "HEAD", "https://node.example/a")
    assert refused.value.authorization_parameters == asked
