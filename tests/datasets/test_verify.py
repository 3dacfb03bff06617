"""A downloaded tree against its version, by the program that needs neither Django nor the portal."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from datasets.curation import publishing
from datasets.models import File

FILES = {"/a.nc": "a", "/2020/jan.nc": "january", "/2020/deep/b.nc": "bb", "/2020-extra/c d#é.txt": "c", "/line\nbreak\\.txt": "odd"}


@pytest.fixture
def version(published):
    return published(files=FILES)


@pytest.fixture
def copy(version, disk) -> Path:
    """What somebody downloaded."""
    return disk.root / "sea"


def manifest(version, form: str = "csv") -> bytes:
    answer = Client().get(f"/api/v1/datasets/sea/versions/{version.number}/manifest?format={form}")
    assert answer.status_code == 200
    return answer.getvalue()


@pytest.fixture
def listed(version, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    path.write_bytes(manifest(version))
    return path


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "datasets.verify", *map(str, words)],
        capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[2], env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_a_copy_is_as_published_by_manifest_by_digest_and_by_both(version, copy, listed):
    for words in (["--manifest", listed], ["--digest", version.digest_hex], ["--manifest", listed, "--digest", version.digest_hex.upper()]):
        done = run(copy, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"as published: 5 files, 14 bytes, digest {version.digest_hex}\n"


def test_everything_that_is_wrong_is_named_at_once(version, copy, listed):
    (copy / "a.nc").write_text("b")
    (copy / "2020/jan.nc").unlink()
    (copy / "2020/deep/b.nc").write_text("longer")
    (copy / "new.txt").write_text("new")
    done = run(copy, "--manifest", listed, "--digest", version.digest_hex)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "2020/deep/b.nc has 6 bytes instead of 2",
        "a.nc has another SHA-256",
        "new.txt is not part of the version",
        "2020/jan.nc is missing",
    ]
    assert "not as published: 4 of 5 files differ" in lines[-1]


def test_the_digest_alone_tells_a_change_and_a_forged_manifest(version, copy, listed):
    listed.write_bytes(listed.read_bytes().replace(b"a.nc,1,", b"b.nc,1,"))
    (copy / "a.nc").rename(copy / "b.nc")
    assert run(copy, "--manifest", listed).returncode == 0
    for words in ([], ["--manifest", listed]):
        done = run(copy, *words, "--digest", version.digest_hex)
        assert (done.returncode, "the digest of this tree is" in done.stdout) == (1, True)


def test_files_whose_checksum_was_not_known_count_by_name_and_size(draft, disk, tmp_path_factory, ben):
    unknown = draft(files=FILES)
    File.objects.filter(folder__dataset=unknown.dataset, name="a.nc").update(sha256=None)
    version = publishing.publish(unknown, user=ben)
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    path.write_bytes(manifest(version))
    assert run(disk.root / "sea", "--manifest", path, "--digest", version.digest_hex).returncode == 0
    assert b"  a.nc\n" not in manifest(version, "sha256")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give --manifest, --digest, or both"),
        (["--digest", "abc"], "cannot tell"),
        (["--digest", "ab"], "64 hexadecimal digits"),
        (["--manifest", "/nowhere.csv"], "/nowhere.csv"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(copy, words, told):
    done = run(copy, *words)
    assert (done.returncode, told in done.stderr) == (2, True)


def test_a_manifest_that_is_none_names_its_line(copy, tmp_path_factory):
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    path.write_text("path,size_bytes,sha256\na.nc,1,\na.nc,x,\n")
    done = run(copy, "--manifest", path)
    assert (done.returncode, "line 3 of the manifest" in done.stderr) == (2, True)
    assert run(copy / "nowhere", "--digest", "0" * 64).returncode == 2


def test_it_needs_no_django():
    code = "import sys, datasets.verify; sys.exit(any(name.partition('.')[0] in {'django', 'psycopg2'} for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


def test_coreutils_read_the_manifest_too(version, copy, tmp_path_factory):
    path = tmp_path_factory.mktemp("manifest") / "sums"
    path.write_bytes(manifest(version, "sha256"))
    done = subprocess.run(["sha256sum", "--check", "--strict", str(path)], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == len(FILES)


def test_lines_of_json_and_a_form_that_there_is_not(version, published):
    lines = manifest(version, "ndjson").decode().splitlines()
    assert len(lines) == len(FILES)
    assert (
        '{"path": "2020-extra/c d#é.txt", "size_bytes": 1, "sha256": "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"}'
        in lines
    )
    refused = Client().get("/api/v1/datasets/sea/versions/1/manifest?format=xls")
    assert (refused.status_code, refused.json()["fields"]) == (400, {"format": ["One of csv, ndjson, sha256."]})
    published("kept", access_policy="restricted")
    assert Client().get("/api/v1/datasets/kept/versions/1/manifest").status_code == 403
