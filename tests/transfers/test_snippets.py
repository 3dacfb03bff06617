import json
import os
import shlex
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from datasets.files import FileQuery
from tests.conftest import refuse, require_program
from tests.contract.cli import InstallError, install
from tests.transfers.conftest import everything, run_until
from transfers import opening, sharing, snippets
from transfers.requesting import Wanted
from transfers.states import Status

NASTY = "/2020/$(touch owned) 'quoted' \"double\";`x`.nc"


def by_title(found):
    return {one.title: one for one in found}


def test_names_are_never_read_as_commands(world, publish_real):
    version = publish_real(files={NASTY: b"nasty"})
    found = by_title(snippets.snippets_of(everything(version)))
    for title in ("curl", "wget"):
        words = shlex.split(found[title].code)
        assert title in words
        assert any(word.endswith("%60x%60.nc") for word in words)
    for title in ("Python", "globus-sdk", "xarray"):
        compile(found[title].code, "snippet", "exec")
    words = shlex.split(found["rclone"].code)
    assert [words[0], words[-1]] == ["rclone", f"./{version.dataset.slug}-v1{NASTY}"]
    assert '\\"double\\"' not in found["R"].code
    assert "\\U{22}double\\U{22};" in found["R"].code


def test_aria2_is_told_each_name_and_checksum_and_no_name_adds_a_line(world, publish_real, tmp_path):
    version = publish_real(files={"/a\n out=owned\nb": b"nasty", NASTY: b"nice"})
    code = by_title(snippets.snippets_of(everything(version)))["aria2"].code
    subprocess.run(["/bin/sh", "-c", f"aria2c() {{ cat > given; }}\n{code}\n"], cwd=tmp_path, check=True, capture_output=True)
    address, *options = (tmp_path / "given").read_text().splitlines()
    assert address.endswith("%60x%60.nc")
    assert options[0] == f" out={version.dataset.slug}-v1{NASTY}"
    assert [option.partition("=")[0] for option in options[1:]] in ([], [" checksum"])
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def test_a_name_with_line_breaks_does_not_end_the_batch(world, publish_real, tmp_path):
    version = publish_real(files={"/a\nFILES\ntouch owned\nb": b"nasty", "/readme.txt": b"read"})
    code = by_title(snippets.snippets_of(everything(version)))["Globus CLI"].code
    shell = f"globus() {{ cat > batch; }}\n{code}\n"
    subprocess.run(["/bin/sh", "-c", shell], cwd=tmp_path, check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir()] == ["batch"]
    assert "readme.txt" in (tmp_path / "batch").read_text()


def test_python_lines_download_public_files_as_they_stand(world, publish_real, tmp_path):
    version = publish_real(files={NASTY: b"nasty", "/readme.txt": b"read"})
    opening.open_dataset(version.dataset)
    code = by_title(snippets.snippets_of(everything(version)))["Python"].code
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) == [b"nasty", b"read"]
    assert not list(tmp_path.rglob("owned"))


def run(title, code, token, place):
    """Do as a person does who copies lines into her terminal and has a token of hers in $TOKEN; answers what is there afterwards."""
    place.mkdir(exist_ok=True)
    program = [sys.executable, "-c"] if title == "Python" else ["/bin/sh", "-euc"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(place), "TOKEN": token}
    done = subprocess.run([*program, code], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done, {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("title", ["curl", "wget", "rclone", "Python"])
def test_lines_of_a_share_download_its_files_to_the_same_places(world, publish_real, real_ada, tmp_path, title):
    if title in {"curl", "wget"}:
        require_program(title, f"apt-get install {title}")
    files = {NASTY: b"nasty", "/2020/jan.nc": b"january", "/readme.txt": b"read"}
    request = run_until(sharing.request_share(user=real_ada, wanted=everything(publish_real(files=files))), Status.OPEN)
    told = world.sign_in("ada@university.example", f"https://auth.globus.org/scopes/{request.collection_id}/https")
    (token,) = [one["access_token"] for one in told["other_tokens"] if one["resource_server"] == str(request.collection_id)]
    name = f"{request.selections.get().version.dataset.slug}-v1"
    code = by_title(snippets.snippets_of_share(request))[title].code
    for _again in range(2):
        done, there = run(title, code, token, tmp_path / "hers")
        assert done.returncode == 0, done.stderr
        assert there == {f"{name}{path}": content for path, content in files.items()}
    refused, there = run(title, code, "nonsense", tmp_path / "nobodys")
    assert refused.returncode != 0
    assert not any(there.values())


def test_the_batch_of_the_cli_sends_the_files_where_it_says(world, publish_real, tmp_path):
    """As the demo's service client, which needs no sign-in, to a collection where it has a home."""
    try:
        folder = install() / "bin"
    except InstallError as error:
        refuse(f"the Globus CLI cannot be installed (pip needs a package index): {error}")
    files = {'/2020/it\'s "here" $(touch owned).nc': b"january", "/readme.txt": b"read"}
    version = publish_real(files=files)
    opening.open_dataset(version.dataset)
    code = by_title(snippets.snippets_of(everything(version)))["Globus CLI"].code
    code = code.replace("YOUR_COLLECTION_ID", world.environment["CAUSEWAY_STORAGE_COLLECTION"]).replace("--label", "--format json --label")
    environment = {**world.environment, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    asked = subprocess.run(["/bin/sh", "-euc", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    wait = ["globus", "task", "wait", json.loads(asked.stdout)["task_id"], "--timeout", "60", "--polling-interval", "1"]
    waited = subprocess.run(wait, env=environment, capture_output=True, text=True, check=False)
    assert waited.returncode == 0, waited.stderr
    name = f"{version.dataset.slug}-v1"
    (arrived,) = [place for place in world.stack.places.archive.rglob(name) if place.is_dir()]
    assert {f"/{path.relative_to(arrived)}": path.read_bytes() for path in arrived.rglob("*") if path.is_file()} == files


def test_lines_hold_the_selection_and_no_token(world, publish_real, real_ada):
    version = publish_real()
    request = run_until(sharing.request_share(user=real_ada, wanted=[Wanted(version, FileQuery(globs=("*.txt",)))]), Status.OPEN)
    found = by_title(snippets.snippets_of_share(request))
    assert set(found) == {"Globus CLI", "globus-sdk", "curl", "wget", "aria2", "rclone", "Python", "R"}
    for one in found.values():
        assert "readme.txt" in one.code
        assert "jan.nc" not in one.code
    assert "$TOKEN" in found["curl"].code
    assert world.environment["GLOBUS_SDK_VERIFY_SSL"] in found["wget"].code
    assert f"https://auth.globus.org/scopes/{request.collection_id}/https" in found["curl"].note


def test_the_lines_for_the_sdk_submit_a_task_that_brings_the_files(world, publish_real, tmp_path):
    """As the demo's service client, which needs no sign-in, to a collection where it has a home."""
    files = {'/2020/it\'s "here".nc': b"january", "/readme.txt": b"read"}
    version = publish_real(files=files)
    opening.open_dataset(version.dataset)
    code = by_title(snippets.snippets_of(everything(version)))["globus-sdk"].code
    client = 'client_id=os.environ["GLOBUS_CLI_CLIENT_ID"], client_secret=os.environ["GLOBUS_CLI_CLIENT_SECRET"]'
    code = code.replace('globus_sdk.UserApp("causeway", client_id="YOUR_CLIENT_ID")', f'globus_sdk.ClientApp("causeway", {client})')
    code = "import os\n" + code.replace("YOUR_COLLECTION_ID", world.environment["CAUSEWAY_STORAGE_COLLECTION"])
    environment = {**world.environment, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    uuid.UUID(done.stdout.strip())
