"""What is shown of files: formats that are read, formats that are not, and files that mean harm; from a real HTTPS server."""

import base64
import io
import json
import struct
import zlib

import h5py
import numpy as np
import pytest
from PIL import Image

from services.graph.previewing import preview
from services.graph.reading import open_client


@pytest.fixture
def look(file_server, samples):
    def preview_one(name, content=None):
        target = file_server.root / name.rsplit("/")[-1]
        target.write_bytes(content if content is not None else (samples / name).read_bytes())
        with open_client(None) as client:
            return preview(client, file_server.url, f"/{target.name}")

    return preview_one


def picture(size=(1200, 800), form="PNG"):
    content = io.BytesIO()
    Image.new("RGB", size, (10, 90, 97)).save(content, format=form)
    return content.getvalue()


def test_the_header_of_a_netcdf_file_costs_a_part_of_it(look, file_server, tmp_path):
    path = tmp_path / "large.nc"
    with h5py.File(path, "w") as made:
        made.attrs["_NCProperties"] = "version=2"
        made.attrs["title"] = "Large"
        made.create_dataset("t", data=np.zeros((2_000, 2_000), dtype="f4"))
        for axis, name in enumerate(("y", "x")):
            made.create_dataset(name, data=np.arange(2_000, dtype="f4")).make_scale(name)
            made["t"].dims[axis].attach_scale(made[name])
    found = look("large.nc", path.read_bytes())
    assert (found["kind"], found["format"], found["attributes"]["title"]) == ("header", "NetCDF", "Large")
    assert [one["name"] for one in found["variables"]] == ["t"]
    assert file_server.bytes_sent < path.stat().st_size / 4


def test_a_real_file_shows_dimensions_and_variables(look):
    found = look("SOI_Darwin.nc")
    assert found["kind"] == "header"
    assert found["dimensions"]
    assert all({"name", "units", "dims", "shape", "dtype"} <= set(one) for one in found["variables"])
    json.dumps(found, allow_nan=False)


def test_hdf5_shows_groups_and_arrays_and_follows_no_link_out(look, tmp_path):
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as made:
        made.create_group("runs").create_dataset("speed", data=np.zeros((3, 4)))
        made["passwords"] = h5py.ExternalLink("/etc/passwd", "/")
    found = look("plain.h5", path.read_bytes())
    assert [(one["name"], one["shape"]) for one in found["entries"] if one["is_array"]] == [("/runs/speed", [3, 4])]
    assert "passwd" not in str(found)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        (".zmetadata", {"metadata": {"t/.zarray": {"shape": [2, 3], "dtype": "<f4"}, ".zattrs": {"title": "Z"}}}),
        ("zarr.json", {"attributes": {"title": "Z"}, "node_type": "group",
                       "consolidated_metadata": {"metadata": {"t": {"shape": [2, 3], "data_type": "float32", "node_type": "array"}}}}),
    ],
)  # fmt: skip
def test_zarr_metadata_name_the_arrays_of_a_store(look, name, document):
    found = look(name, json.dumps(document).encode())
    assert (found["kind"], found["format"], found["attributes"]) == ("entries", "Zarr", {"title": "Z"})
    assert [(one["name"], one["shape"]) for one in found["entries"]] == [("/t", [2, 3])]


def test_a_table_shows_its_first_rows_and_a_text_its_first_lines(look):
    found = look("t.csv", b"a,b\n" + b"".join(b'%d,"x, y"\n' % n for n in range(50_000)))
    assert (found["columns"], found["rows"][:2], len(found["rows"]), found["is_cut"]) == (
        ["a", "b"],
        [["0", "x, y"], ["1", "x, y"]],
        20,
        True,
    )
    text = look("readme.txt", "Grüße\x1b[31m\nzwei".encode())
    assert (text["kind"], text["is_cut"]) == ("text", False)
    assert text["text"] == "Grüße\N{REPLACEMENT CHARACTER}[31m\nzwei"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_an_image_is_drawn_anew_and_small(look, form):
    found = look(f"photo.{form.lower()}", picture(form=form))
    assert (found["kind"], found["width"], found["height"]) == ("image", 1200, 800)
    with Image.open(io.BytesIO(base64.b64decode(found["png"]))) as small:
        assert (small.format, max(small.size)) == ("PNG", 640)


def test_what_cannot_be_shown_says_why(look):
    assert look("x.pp", b"\x00\x00\x01\x00" + b"\0" * 400)["kind"] == "unsupported"
    assert look("nothing", b"")["reason"] == "The file is empty."
    assert "not a sound" in look("broken.nc", b"CDF\x01 broken")["reason"]
    assert look("broken.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 999)["kind"] == "failed"
    assert look("broken.png", b"\x89PNG\r\n\x1a\nbroken")["kind"] == "failed"
    assert "million pixels" in look("bomb.png", bomb())["reason"]
    assert "not JSON" in look(".zmetadata", b"{")["reason"]


def bomb():
    """A picture of 8,500 x 8,500 in a few bytes of header."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 8_500, 8_500, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_file_without_right_says_so(look, file_server):
    file_server.token = "another"
    found = look("t.csv", b"a,b\n1,2\n")
    assert (found["kind"], found["reason"]) == ("failed", "You have no right to read this file.")
