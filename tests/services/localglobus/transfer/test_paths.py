"""What a path may look like, and which folder covers which path."""

import pytest

from services.localglobus.errors import ApiError
from services.localglobus.transfer.paths import covers, normalise, parent, rule_path


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("/", "/"), ("//", "/"), ("/a//b/./c", "/a/b/c"), ("/a/.", "/a/"), ("/~/x", "/home/x"), ("~/x", "/home/x"),
     ("/~", "/home/"), ("/%2e%2e/", "/%2e%2e/")],
)  # fmt: skip
def test_path_is_made_absolute_and_plain(asked, expected):
    assert normalise(asked, home="/home/") == expected


@pytest.mark.parametrize("asked", ["", "a", "/..", "/a/../b", "..", "/a\0", "/a\n", "/a\r", None, 1, "/" + "x" * 5000])
def test_path_that_is_none_is_refused(asked):
    with pytest.raises(ApiError) as refused:
        normalise(asked, home="/home/")
    assert (refused.value.http_status, refused.value.code) == (400, "InvalidPath")


def test_rule_path_is_a_folder_from_the_top():
    assert rule_path("/a//b/") == "/a/b/"
    for asked in ("/a", "a/", "/~/", "", None):
        with pytest.raises(ApiError):
            rule_path(asked)


@pytest.mark.parametrize(
    ("folder", "path", "expected"),
    [("/", "/x", True), ("/a/", "/a", True), ("/a/", "/a/b/c", True), ("/a/", "/ab", False), ("/a/b/", "/a/", False), ("/a/", "/", False)],
)
def test_folder_covers_itself_and_what_it_holds_only(folder, path, expected):
    assert covers(folder, path) is expected


def test_parent_is_the_folder_above():
    assert [parent(path) for path in ("/a/b", "/a/b/", "/a", "/")] == ["/a/", "/a/", "/", "/"]
