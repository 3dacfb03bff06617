"""There is no container engine where tests run: that the files are well-formed and fit the product is what can be shown."""

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import yaml
from celery.bin.base import CLIContext
from celery.bin.celery import celery
from django.core.management import get_commands, load_command_class
from django.core.wsgi import get_wsgi_application
from granian.cli import cli as granian

from portal.celery import app
from services.dtn.certificates import Credentials
from services.localglobus.certificates import Authority

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).resolve().parents[3]
COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PINNED = re.compile(r"^[a-z/]+:\d+\.\d+\.?\d*(-[a-z]+)*$")


def dockerfile_line(word: str) -> str:
    return next(line for line in (CHECKOUT / "Dockerfile").read_text().splitlines() if line.startswith(word + " "))


def assert_runs(command: list[str]) -> None:
    """The program that the words begin with is part of the product or of what it installs."""
    program, *words = command
    if program == "python" and words[0] == "-m":
        assert importlib.util.find_spec(f"{words[1]}.__main__"), f"{words[1]} cannot be run"
    elif program == "python":
        assert (CHECKOUT / words[0]).exists()
    else:
        assert importlib.util.find_spec(program), f"{program} is not installed"


def read_by_its_program(command: list[str]) -> Any:
    """What the program's own reader makes of its arguments; raises SystemExit or UsageError when it refuses them."""
    match command:
        case ["python", "-m", module, *words]:
            return importlib.import_module(f"{module}.__main__").read_arguments(words)
        case ["python", "manage.py", name, *words]:
            return load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(words)
        case ["celery", *words]:
            group = celery.make_context("celery", words)
            group.obj = CLIContext(app=app, no_color=True, workdir="")
            called, program, rest = celery.resolve_command(group, [*group._protected_args, *group.args])
            return program.make_context(called, rest, parent=group).params
        case ["granian", *words]:
            return granian.make_context("granian", words).params
    raise AssertionError(f"nobody reads {command}")


def filled_in(words: list[str]) -> list[str]:
    """As Compose does: the default of each variable."""
    return [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in words]


def test_every_process_of_the_product_is_there():
    assert set(SERVICES) >= {"web", "worker", "beat", "postgres", "redis", "graph", "graph-worker", "migrate"}
    standins = {name for name, service in SERVICES.items() if service.get("profiles") == ["standin"]}
    assert standins == {"localglobus", "dtn-archive", "dtn-campus", "archive-files"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_command_exists(name):
    assert_runs(OURS[name]["command"])


@pytest.mark.parametrize("name", sorted(OURS))
def test_program_takes_the_arguments(name, capfd):
    try:
        assert read_by_its_program(filled_in(OURS[name]["command"]))
    except SystemExit:
        pytest.fail(capfd.readouterr().err)


def test_nodes_get_certificates_for_the_addresses_that_they_have(tmp_path):
    settings = read_by_its_program(filled_in(OURS["localglobus"]["command"]))
    assert settings.host == OURS["localglobus"]["networks"]["globus"]["ipv4_address"]
    for name in ("dtn-archive", "dtn-campus"):
        node = read_by_its_program(OURS[name]["command"])
        assert node.url == settings.nodes[node.name]
        assert urlsplit(node.url).hostname == OURS[name]["networks"]["globus"]["ipv4_address"]
        assert node.control == settings.url
        credentials = Credentials(tmp_path / name)
        (tmp_path / name).mkdir()
        credentials.make_key()
        assert "CERTIFICATE" in Authority(tmp_path, allowed_hosts=settings.allowed_hosts).sign(credentials.request(node.url))


def test_image_starts_programs_that_exist():
    command = dockerfile_line("CMD").removeprefix("CMD ")
    assert_runs([word.strip(",") for word in shlex.split(command.strip("[]"))])
    entry = dockerfile_line("ENTRYPOINT").split('"')[1]
    assert (CHECKOUT / entry).stat().st_mode & 0o111


def test_images_are_pinned():
    images = [service["image"] for service in SERVICES.values()] + [dockerfile_line("FROM").split()[1]]
    assert [image for image in images if not PINNED.match(image)] == []


def test_no_secret_stands_in_the_files():
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"SECRET|PASSWORD|KEY", variable) or "@" in str(value):
                assert re.search(r"\$\{\w+:[?-]", value), f"{variable} of {name} is a literal"
    assert not re.search(r"(SECRET|PASSWORD|KEY)\w*=\w", (CHECKOUT / "Dockerfile").read_text())


def test_services_get_only_their_own_secrets():
    assert not any("GRAPH_CLIENT" in variable for name in ("web", "worker", "beat") for variable in SERVICES[name]["environment"])
    for name in ("graph", "graph-worker"):
        assert not {"CAUSEWAY_SECRET_KEY", "CAUSEWAY_TOKEN_KEYS", "CAUSEWAY_GLOBUS_CLIENT_SECRET", "DATABASE_URL"} & set(
            SERVICES[name]["environment"]
        )


def test_what_services_refer_to_is_declared():
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])


def test_only_the_portal_is_published_and_only_on_this_machine():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {"web": ["127.0.0.1:8000:8000"]}


def test_env_file_can_hold_every_variable_that_the_containers_ask_for():
    asked = set(re.findall(r"\$\{(\w+)", (CHECKOUT / "docker-compose.yml").read_text()))
    of_graph = {"CAUSEWAY_GRAPH_CLIENT_ID", "CAUSEWAY_GRAPH_CLIENT_SECRET"}  # the portal must not know them
    assert asked - of_graph <= set(re.findall(r"^(\w+)=", (CHECKOUT / ".env.example").read_text(), re.MULTILINE))


def test_beat_starts_on_an_empty_state(tmp_path):
    environment = {**os.environ, "CAUSEWAY_STATE": str(tmp_path / "state")}
    command = [sys.executable, "-m", *OURS["beat"]["command"]]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as beat:
        told = []
        for line in beat.stdout:
            told.append(line)
            if "Sending due task" in line:
                break
        beat.terminate()
    assert "Sending due task" in told[-1], "".join(told)
    assert list((tmp_path / "state").rglob("celerybeat-schedule*"))


class Quiet(WSGIRequestHandler):
    def log_message(self, *_words: Any) -> None:
        """Nothing is said of each request."""


@pytest.mark.parametrize(("base_url", "is_well"), [("https://data.example.org", True), ("https://other.example.org", False)])
def test_healthcheck_asks_the_portal_under_its_own_name(settings, base_url, is_well):
    settings.ALLOWED_HOSTS = ["data.example.org"]
    _, *command = OURS["web"]["healthcheck"]["test"]
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        words = [sys.executable, *(word.replace(":8000", f":{server.server_port}") for word in command[1:])]
        done = subprocess.run(words, env={"CAUSEWAY_BASE_URL": base_url}, capture_output=True, text=True, check=False, timeout=30)
        server.shutdown()
        thread.join()
    assert (done.returncode == 0) is is_well, done.stderr


def test_portal_knows_every_variable_that_it_is_given():
    listed = set(re.findall(r"^(\w+)=", (CHECKOUT / ".env.example").read_text(), re.MULTILINE))
    assert set(SERVICES["web"]["environment"]) - {"CAUSEWAY_ENV_FILES"} <= listed
