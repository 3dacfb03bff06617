"""Settings are read in processes of their own, as a deployment starts."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHOLE = {
    "CAUSEWAY_BASE_URL": "https://data.example.org",
    "CAUSEWAY_SECRET_KEY": "a-secret",
    "CAUSEWAY_TOKEN_KEYS": "b25seS1mb3ItYS1sYXB0b3Atb25seS1mb3ItYS1sYXA=",
    "CAUSEWAY_GLOBUS_CLIENT_ID": "7d5a4f1e-0000-4000-8000-000000000001",
    "CAUSEWAY_GLOBUS_CLIENT_SECRET": "another-secret",
    "DATABASE_URL": "postgres://someone@/name?host=/run/postgres",
    "REDIS_URL": "unix:///run/valkey.sock?db=0",
}


def start(environment: dict[str, str], printed: str = "'started'") -> subprocess.CompletedProcess[str]:
    program = f"from portal import settings; print({printed})"
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("CAUSEWAY_", "GLOBUS_", "SOCIAL_", "DATABASE", "REDIS"))
    }
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False)


def test_with_nothing_set_it_runs_on_a_laptop():
    started = start({}, "settings.DEBUG, settings.ALLOWED_HOSTS, settings.HAS_STANDIN")
    assert started.stdout.strip() == "True ['127.0.0.1'] False", started.stderr


def test_whole_settings_start_with_debugging_off_and_secure_cookies():
    started = start(WHOLE, "settings.DEBUG, settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SECURE_HSTS_SECONDS > 0")
    assert started.stdout.strip() == "False True True True", started.stderr


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "CAUSEWAY_BASE_URL"])
def test_a_missing_secret_stops_the_start_and_is_named(name):
    stopped = start({key: value for key, value in WHOLE.items() if key != name})
    assert stopped.returncode != 0
    assert f"{name} is not set" in stopped.stderr


def test_a_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "key").write_text("from-a-file\n")
    environment = {key: value for key, value in WHOLE.items() if key != "CAUSEWAY_SECRET_KEY"} | {
        "CAUSEWAY_SECRET_KEY_FILE": str(tmp_path / "key")
    }
    assert start(environment, "settings.SECRET_KEY").stdout.strip() == "from-a-file"


def test_a_token_key_that_is_none_is_named():
    assert "CAUSEWAY_TOKEN_KEYS must be Fernet keys" in start(WHOLE | {"CAUSEWAY_TOKEN_KEYS": "short"}).stderr


@pytest.mark.parametrize(
    ("name", "value"), [("CAUSEWAY_SHARE_LIFETIME_DAYS", "a month"), ("CAUSEWAY_DEBUG", "maybe"), ("DATABASE_URL", "mysql://host/name")]
)
def test_an_invalid_value_is_named(name, value):
    assert name in start(WHOLE | {name: value}).stderr


@pytest.mark.parametrize("name", ["SOCIAL_AUTH_GLOBUS_OIDC_ENDPOINT", "GLOBUS_SDK_SERVICE_URL_TRANSFER"])
def test_a_standin_for_globus_is_refused_unless_allowed(name):
    standin = WHOLE | {name: "http://127.0.0.2:8000/"}
    assert "CAUSEWAY_ALLOW_STANDIN=1" in start(standin).stderr
    assert start(standin | {"CAUSEWAY_ALLOW_STANDIN": "1"}, "settings.HAS_STANDIN").stdout.strip() == "True"


def test_celery_gets_its_own_spelling_of_a_unix_socket():
    started = start(WHOLE, "settings.CELERY_BROKER_URL, settings.DATABASES['default']['HOST']")
    assert started.stdout.strip() == "redis+socket:///run/valkey.sock?virtual_host=0 /run/postgres"


def test_env_example_lists_exactly_what_settings_read():
    program = """
import os
from collections.abc import Mapping
read = set()
class Spy(Mapping):
    def __init__(self, inner): self.inner = inner
    def get(self, name, default=None): read.add(name); return self.inner.get(name, default)
    def __getitem__(self, name): read.add(name); return self.inner[name]
    def __iter__(self): return iter(self.inner)
    def __len__(self): return len(self.inner)
real, os.environ = os.environ, Spy(os.environ)
from portal import settings
os.environ = real
print("\\n".join(name for name in read if name.startswith(("CAUSEWAY_", "GLOBUS_", "SOCIAL_", "DATABASE_", "REDIS_", "EMAIL_"))))
"""
    environment = dict(os.environ) | WHOLE
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    compose = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert sorted(listed) == sorted({*told.split(), *(compose & {"POSTGRES_PASSWORD"})})


def reads_environment(path: Path) -> bool:
    """`os.environ` or `os.getenv` in code (not in words); setting the settings module's name is no reading."""
    tree = ast.parse(path.read_text())
    named = {f"{ast.unparse(one)}" for one in ast.walk(tree) if isinstance(one, ast.Attribute)}
    return bool(named & {"os.getenv", "os.environ.get"} or ("os.environ" in named and "os.environ.setdefault" not in named))


def test_nothing_else_reads_the_environment():
    apps = [path for folder in ("portal", "datasets", "transfers") for path in (ROOT / folder).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in apps if reads_environment(path)] == ["portal/settings.py"]


def test_settings_stay_readable():
    assert len((ROOT / "portal" / "settings.py").read_text().splitlines()) <= 250


def test_collected_static_files_are_named_by_their_content(tmp_path):
    program = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
import django
django.setup()
from django.core.management import call_command
from django.templatetags.static import static
call_command("collectstatic", interactive=False, verbosity=0)
print(static("css/causeway.css"))
"""
    environment = dict(os.environ) | WHOLE | {"CAUSEWAY_STATIC_ROOT": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"/static/css/causeway\.[0-9a-f]{12}\.css", told.strip())
    assert (tmp_path / told.strip().removeprefix("/static/")).read_text().startswith("/* Causeway's stylesheet")
