"""Nothing that a URL or an operation can say leads out of the collection."""

import contextlib
import os
import stat
import threading
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dtn.disk_entries import list_folder
from services.dtn.entries import walk
from services.dtn.errors import ForbiddenError, InvalidPathError, MissingError, NodeError, NotDirectoryError
from services.dtn.faults import Faults
from services.dtn.paths import Root, from_url, is_part_name, normalise, part_name
from services.dtn.posix import PosixStorage


@pytest.fixture
def root(tmp_path):
    inside = tmp_path / "inside"
    (inside / "a" / "b").mkdir(parents=True)
    (inside / "a" / "b" / "file").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return Root(inside)


def read(root, path):
    fd, _, _ = root.open_file(path)
    with os.fdopen(fd, "rb") as stream:
        return stream.read().decode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("//a//b/./c/", "/a/b/c/"),
        ("/a\\..\\b", "/a\\..\\b"),
        ("/...", "/..."),
        ("/~/", "/~/"),
        ("/a/.", "/a/"),
    ],
)
def test_normal_form(path, expected):
    assert normalise(path) == expected


@pytest.mark.parametrize(
    "path",
    ["", "a", "../a", "/..", "/a/../b", "/a/..", "/a\0b", "/a\nb", "/a\rb", "/" + "x" * 256, "/" + "é" * 128, "/x" * 2049, "/\udcff"],
)
def test_refused_paths(path):
    with pytest.raises(InvalidPathError):
        normalise(path)


@pytest.mark.parametrize(
    "raw",
    [
        "/../x", "/%2e%2e/x", "/%2E%2E/x", "/.%2e/x", "/%252e%252e/x", "/%25252e%25252e/x", "/a%2fb", "/a%2F..%2Fb", "/..%252f..%252fetc",
        "/a%00b", "/a%0ab", "/a%0d%0ab", "/a%2500", "/a%250d%250a", "/%ff", "/" + "x" * 256,
    ],
)  # fmt: skip
def test_refused_urls(raw):
    with pytest.raises(InvalidPathError):
        from_url(raw)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/a%20b/c", "/a b/c"),
        ("/100%25", "/100%"),
        ("/http%253A%252F%252Fx", "/http%3A%2F%2Fx"),
        ("//a", "/a"),
        ("/a%5Cb", "/a\\b"),
        ("/%C3%A9", "/é"),
        ("/a%3Fb%23c", "/a?b#c"),
    ],
)
def test_decoded_urls(raw, expected):
    assert from_url(raw) == expected


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0\r\n"), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."}
)


@given(st.lists(names, min_size=1, max_size=4))
def test_encoding_and_decoding_a_path_gives_it_back_or_refuses_it(parts):
    raw = "/" + "/".join(quote(part, safe="") for part in parts)
    try:
        assert from_url(raw) == "/" + "/".join(parts)
    except InvalidPathError:  # only a name that itself reads as an encoded climb or control character
        assert any("%" in part for part in parts) or any(len(part.encode()) > 255 for part in parts)


pieces = st.sampled_from(
    ["..", ".", "/", "a", "b", "%2e", "%2f", "%252e", "%00", "link", "up", "loop", "\\", "~", "%", "é", "\n", "abs", "file"]
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_no_path_ever_reads_the_file_outside(tmp_path_factory, text):
    root = world(tmp_path_factory)
    for given_path in (text, "/" + text, "/" + text + "/secret", "/" + text + "/outside/secret"):
        for judge in (normalise, from_url):
            with contextlib.suppress(NodeError):
                path = judge(given_path)
                with root.place(path) as place:
                    assert ".." not in place.real_path.split("/")
                    inside = root.folder / place.real_path.lstrip("/")
                    assert inside.resolve().is_relative_to(root.folder)
                assert read(root, path) == "inside"


def world(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "links"
    if not folder.exists():
        (folder / "outside").mkdir(parents=True)
        (folder / "outside" / "secret").write_text("secret")
        (folder / "inside" / "a" / "b").mkdir(parents=True)
        (folder / "inside" / "a" / "file").write_text("inside")
        (folder / "inside" / "link").symlink_to("a")
        (folder / "inside" / "up").symlink_to("../outside")
        (folder / "inside" / "loop").symlink_to("loop")
        (folder / "inside" / "abs").symlink_to(folder / "outside")
        (folder / "inside" / "a" / "b" / "up").symlink_to("../../../outside/secret")
    return Root(folder / "inside")


def test_links_inside_are_followed_and_their_real_path_is_told(root, tmp_path):
    (root.folder / "relative").symlink_to("a/b/../b/file")
    (root.folder / "absolute").symlink_to(root.folder / "a" / "b")
    (root.folder / "a" / "to_root").symlink_to("..")
    assert read(root, "/relative") == "inside"
    assert read(root, "/absolute/file") == "inside"
    assert read(root, "/a/to_root/a/to_root/a/b/file") == "inside"
    with root.place("/absolute/file") as place:
        assert place.real_path == "/a/b/file"


@pytest.mark.parametrize(
    "target", ["../outside/secret", "/etc/passwd", "a/../../outside/secret", "..", "/", "a/b/../../../outside/secret", "../inside/a/b/file"]
)
def test_links_that_leave_are_refused_even_if_they_come_back(root, target):
    (root.folder / "link").symlink_to(target)
    with pytest.raises(ForbiddenError):
        root.open_file("/link")


def test_link_chains_and_circles(root):
    (root.folder / "one").symlink_to("two")
    (root.folder / "two").symlink_to("one")
    with pytest.raises(InvalidPathError):
        root.open_file("/one")
    (root.folder / "first").symlink_to("second")
    (root.folder / "second").symlink_to("../outside")
    with pytest.raises(ForbiddenError):
        root.open_file("/first/secret")


def test_writing_through_a_link_that_leaves_is_refused(root, tmp_path):
    (root.folder / "link").symlink_to("../outside")
    with pytest.raises(ForbiddenError), root.place("/link/new", makes_parents=True):
        pass
    with pytest.raises(ForbiddenError):
        root.make_folder("/link/deep/er")
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["secret"]


def test_a_file_with_another_hard_link_is_read_only_where_that_is_meant(root, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (root.folder / "hard").hardlink_to(tmp_path / "secret")
    with pytest.raises(ForbiddenError):
        root.open_file("/hard")
    with pytest.raises(ForbiddenError):
        root.held_to(lambda _: True).open_file("/hard")
    small = list(PosixStorage(root).read_small(["/hard"], lambda _: True, Faults(is_enabled=False)))
    assert small[0].error.code == "EndpointPermissionDenied"
    assert read(Root(root.folder, has_hard_links=True), "/hard") == "secret"
    (tmp_path / "secret").unlink()
    assert read(root, "/hard") == "secret"


def test_neither_pipes_nor_devices_are_opened(root):
    os.mkfifo(root.folder / "pipe")
    with pytest.raises(ForbiddenError):
        root.open_file("/pipe")


def test_what_is_not_there_and_what_is_no_folder(root):
    with pytest.raises(MissingError):
        root.open_file("/a/none")
    with pytest.raises(MissingError):
        root.open_file("/none/none")
    with pytest.raises(NotDirectoryError):
        root.open_file("/a/b/file/below")


def test_swapping_a_folder_for_a_link_while_reading_never_shows_the_outside(root, tmp_path):
    """The race that checking a path first and opening it later would lose."""
    (tmp_path / "outside" / "file").write_text("secret")
    (root.folder / "swap").mkdir()
    (root.folder / "swap" / "file").write_text("inside")
    (root.folder / "link").symlink_to("../outside")
    stopped = threading.Event()

    def swap():
        while not stopped.is_set():
            for old, new in (("swap", "kept"), ("link", "swap"), ("swap", "link"), ("kept", "swap")):
                (root.folder / old).rename(root.folder / new)
                time.sleep(0)  # let the reader go on between any two

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen, n_reads, end = set(), 0, time.monotonic() + 20
        while (n_reads < 2000 or "inside" not in seen) and time.monotonic() < end:
            n_reads += 1
            try:
                seen.add(read(root, "/swap/file"))
            except NodeError as error:
                seen.add(error.code)
    finally:
        stopped.set()
        thread.join()
    assert "inside" in seen
    assert "secret" not in seen


def test_listing_marks_links_and_leaves_unfinished_files_out(root):
    (root.folder / "good").symlink_to("a/b/file")
    (root.folder / "bad").symlink_to("../outside")
    (root.folder / ".x.0123456789ab.part").write_text("unfinished")
    (root.folder / ".hidden").write_text("")
    _, entries = list_folder(root, "/", show_hidden=False)
    by_name = {entry["name"]: entry for entry in entries}
    assert sorted(by_name) == ["a", "bad", "good"]
    assert by_name["good"]["type"] == "file"
    assert by_name["good"]["size"] == 6
    assert by_name["good"]["link_target"] == "a/b/file"
    assert by_name["bad"]["type"] == "invalid_symlink"
    assert stat.S_IMODE(int(by_name["a"]["permissions"], 8)) == int(by_name["a"]["permissions"], 8)
    assert [entry["path"] for entry in walk(PosixStorage(root), "/")] == ["/", "/.hidden", "/a/", "/a/b/", "/a/b/file"]


def test_part_names_fit_and_are_known():
    for name in ("x", "é" * 127, "y" * 255):
        made = part_name(name, "0123456789ab")
        assert is_part_name(made)
        assert len(made.encode()) <= 255
    assert not is_part_name("data.part")
    assert not is_part_name(".hidden")
