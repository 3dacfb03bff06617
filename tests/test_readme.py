"""What README.md, CONTRIBUTING.md and datasets/README.md name is there: files, functions, scripts, settings, the book's listings."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from django.core import management

from services.embedded.__main__ import read_arguments

CHECKOUT = Path(__file__).resolve().parents[1]
README = (CHECKOUT / "README.md").read_text()
OTHERS = {name: (CHECKOUT / name).read_text() for name in ("CONTRIBUTING.md", "datasets/README.md")}
NAMED = sorted(set(re.findall(r"`([^`\n]+)`", README)))
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
MADE_BY_RUNNING = ".causeway/"
PLACE = re.compile(r"[\w.-]+(/[\w.-]+)*(/|\.(py|md|html|toml|lock|yml|example))")
FUNCTION = re.compile(r"([\w/]+\.py): (\w+)")
DOTTED = re.compile(r"((?:portal|datasets|transfers|services)(?:\.\w+)+)\.(\w+)")
SETTING = re.compile(r"CAUSEWAY_\w+|DATABASE_URL|REDIS_URL|EMAIL_URL|POSTGRES_PASSWORD")
OF_THE_GRAPH_SERVICE = {"CAUSEWAY_GRAPH_CLIENT_ID", "CAUSEWAY_GRAPH_CLIENT_SECRET", "CAUSEWAY_RESULTS_COLLECTION", "CAUSEWAY_GRAPH_SCOPE"}
NEEDED_AT_GLOBUS = OF_THE_GRAPH_SERVICE | {
    *("CAUSEWAY_GLOBUS_CLIENT_ID", "CAUSEWAY_GLOBUS_CLIENT_SECRET", "CAUSEWAY_ARCHIVE_COLLECTION", "CAUSEWAY_SHARE_COLLECTION"),
    *("CAUSEWAY_STORAGE_COLLECTION", "CAUSEWAY_GCS_ADDRESS", "CAUSEWAY_GRAPH_URL", "CAUSEWAY_STEWARD_GROUPS", "CAUSEWAY_OPERATOR_GROUPS"),
}
ROWS_OF_THE_BOOK = {
    "fig. 3.9: transfer with the SDK",
    "fig. 11.2: a folder shared with somebody",
    "fig. 11.2, 11.9: whom to share with",
    "fig. 11.9: the portal's program, a shared endpoint per request",
    "fig. 11.9 with one collection: a folder and a rule per request",
    "fig. 11.12: the graph service",
    "table 11.1: REST calls of a service",
}


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def defined_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def commands() -> list[list[str]]:
    """Every `script/...` with the options that it is named with, in blocks and in sentences."""
    lines = [line.split("#")[0].split() for block in BLOCKS for line in block.splitlines()] + [words.split() for words in NAMED]
    return [words for words in lines if words and words[0].startswith("script/")]


@pytest.mark.parametrize("path", [words for words in NAMED if PLACE.fullmatch(words) and not words.startswith(MADE_BY_RUNNING)])
def test_named_place_is_there(path):
    assert (CHECKOUT / path).is_dir() if path.endswith("/") else (CHECKOUT / path).is_file()


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (name, words)
        for name, text in OTHERS.items()
        for words in sorted(set(re.findall(r"`([^`\n]+)`", text)))
        if PLACE.fullmatch(words) and not words.startswith(MADE_BY_RUNNING)
    ],
)
def test_a_place_that_another_document_names_is_there_from_the_top_or_beside_it(document, path):
    """In a table of packages a name may stand for a file of any of them."""
    folder = (CHECKOUT / document).parent
    assert any((base / path).exists() for base in (CHECKOUT, folder)) or any(folder.glob(f"*/{path}"))


@pytest.mark.parametrize(("path", "name"), [found.groups() for words in NAMED if (found := FUNCTION.fullmatch(words))])
def test_named_function_is_there(path, name):
    assert name in defined_in(CHECKOUT / path)


@pytest.mark.parametrize(("module", "name"), [found.groups() for words in NAMED if (found := DOTTED.fullmatch(words))])
def test_dotted_name_is_there(module, name):
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_named_command_takes_its_options(words, capsys):
    script, *options = words
    text = (CHECKOUT / script).read_text()
    found = re.search(r'^exec .* -m services\.embedded (\w+) "\$@"$', text, re.MULTILINE)
    if found is None:
        assert [option for option in options if f"{option})" not in text and f" {option} " not in text] == []
        return
    read_arguments([found[1], *options, *([] if "--data" in options or found[1] == "demo" else ["--data", "x"])])


def test_options_of_the_sentence_about_the_demo_exist():
    [sentence] = [line for line in README.splitlines() if line.startswith("`script/demo` keeps")]
    options = re.findall(r"`(--\w+)`", sentence)
    assert options
    for option in options:
        read_arguments(["demo", option, *(["8100"] if option == "--port" else [])])


def test_scripts_of_the_checkout_are_named_in_readme_or_contributing():
    told = README + (CHECKOUT / "CONTRIBUTING.md").read_text()
    for_programs = {"script/container", "script/python"}
    scripts = {f"script/{path.name}" for path in (CHECKOUT / "script").iterdir() if path.is_file()} - for_programs
    assert sorted(script for script in scripts if script not in told) == []


def test_management_commands_are_there():
    named = {words.split()[1] for words in NAMED if words.startswith("manage.py ")}
    assert named
    for name in named - set(management.find_commands(management.__path__[0])):
        assert list(CHECKOUT.glob(f"*/management/commands/{name}.py")), name


def test_every_setting_that_a_site_at_globus_needs_is_named_and_exists():
    told = set(SETTING.findall(section("Point it at the real Globus")))
    assert NEEDED_AT_GLOBUS - told == set()
    listed = set(re.findall(r"^(\w+)=", (CHECKOUT / ".env.example").read_text(), re.MULTILINE))
    of_graph = set(SETTING.findall((CHECKOUT / "services/graph/settings.py").read_text()))
    assert of_graph >= OF_THE_GRAPH_SERVICE
    assert told - listed - of_graph == set()


def test_containers_are_told_of_with_a_profile_that_exists():
    told = section("Point it at the real Globus")
    assert "docker compose up" in told
    for profile in re.findall(r"--profile (\w+)", README):
        assert f"profiles: [{profile}]" in (CHECKOUT / "docker-compose.yml").read_text()


def test_every_listing_of_the_book_has_its_row_of_four_cells():
    rows = [
        line.strip("|").split(" | ") for line in section("From the book's listings to today's calls").splitlines() if line.startswith("|")
    ]
    first = {cells[0].strip() for cells in rows[2:]}
    assert first == ROWS_OF_THE_BOOK
    assert all(len(cells) == 4 and all(cell.strip() for cell in cells) for cells in rows if "---" not in cells[0])
