import re

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.errors import InvalidError
from datasets.files.globs import matches, to_regex

CASES = [
    ("*.nc", "/a.nc", True),
    ("*.nc", "/deep/down/a.nc", True),
    ("*.nc", "/a.nc.txt", False),
    ("/*.nc", "/deep/a.nc", False),
    ("/deep/*.nc", "/deep/a.nc", True),
    ("deep/*.nc", "/very/deep/a.nc", True),
    ("/a/**/b", "/a/b", True),
    ("/a/**/b", "/a/x/y/b", True),
    ("/a/**/b", "/a/xb", False),
    ("/a/**", "/a/x/y", True),
    ("a/", "/x/a/y/z.nc", True),
    ("?.nc", "/ab.nc", False),
    ("[a-c].nc", "/b.nc", True),
    ("[!a-c].nc", "/b.nc", False),
    ("[!a-c].nc", "/d.nc", True),
    ("x[!a]y", "/x/y", False),
    ("[]x].nc", "/].nc", True),
    ("[x", "/[x", True),
    ("a.b", "/aXb", False),
    ("(a|b)+$", "/(a|b)+$", True),
    ("*", "/new\nline", True),
    ("a\\b", "/a\\b", True),
]


@pytest.mark.parametrize(("glob", "path", "fits"), CASES)
def test_globs_mean_what_the_docstring_says(glob, path, fits):
    assert matches(glob, path) is fits


@pytest.mark.parametrize("glob", ["", "a\0b", "x" * 301])
def test_what_is_no_glob_is_refused(glob):
    with pytest.raises(InvalidError):
        to_regex(glob)


def in_postgres(glob: str, path: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select %s ~ %s", [path, to_regex(glob)])
        return cursor.fetchone()[0]


ALPHABET = st.sampled_from(list("ab./*?[]!-^\\|(){}+$é#&~ \n0"))


@pytest.mark.django_db
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(glob=st.text(ALPHABET, min_size=1, max_size=8), names=st.lists(st.text(ALPHABET, min_size=1, max_size=5), min_size=1, max_size=3))
def test_postgres_and_python_agree_on_every_glob(glob, names):
    path = "/" + "/".join(name.replace("/", "_") for name in names)
    assert in_postgres(glob, path) is matches(glob, path)


@settings(max_examples=200, deadline=None)
@given(name=st.text(ALPHABET.filter(lambda c: c != "/"), min_size=1, max_size=8))
def test_a_name_with_its_special_characters_set_in_brackets_matches_itself_alone(name):
    glob = "/" + "".join(f"[{character}]" if character in "*?[" else character for character in name)
    assert matches(glob, f"/{name}")
    assert not matches(glob, f"/{name}x")
    assert re.search(to_regex(glob), f"/y/{name}") is None
