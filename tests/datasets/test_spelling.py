"""A word that nobody uses but that is nearly one that is known is told as perhaps misspelt; it blocks nothing."""

import pytest

from datasets.curation import checking, publishing
from datasets.description import spelling
from datasets.models import Dataset

KNOWN = "Temperature of the surface was measured by a spectrometer near the glacier, Ascension."


@pytest.fixture(scope="module")
def archive(lasting) -> None:
    """Two published datasets, whose words are known."""
    lasting(lambda curator: [curator.published(slug, title=f"Known {slug}", abstract=KNOWN) for slug in ("one", "two")])


def told(text: str) -> list[tuple[str, str]]:
    return spelling.doubtful(Dataset(), {"abstract": text}).get("abstract", [])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tempeature", "temperature"),
        ("temperatrue", "temperature"),
        ("surfase", "surface"),
        ("spectrommeter", "spectrometer"),
        ("Glaicer", "glacier"),
    ],
)
def test_one_slip_of_the_finger_is_told(archive, db, typed, meant):
    assert told(f"{typed} here." if typed[0].isupper() else f"The {typed} here.") == [(typed, meant)]


def test_it_stands_among_the_checks_and_blocks_nothing(archive, draft):
    found = [one for one in checking.check(draft(abstract="The tempeature and the surfase.")) if one.field == "abstract"]
    assert [(one.words, one.must) for one in found] == [("Perhaps misspelt: tempeature (temperature?), surfase (surface?).", False)]


@pytest.mark.parametrize(
    "text",
    [
        "temperatures measures surfaces",
        "Known glacier",
        "The Glaicer expedition's Surfase",
        "TEMPEATURE",
        "thermohaline bathymetry",
        "their which about",
        "",
    ],
)
def test_endings_names_acronyms_and_new_words_are_no_slips(archive, db, text):
    assert told(f"Of the {text}") == []


def test_what_the_dataset_alone_says_is_not_known_by_that(archive, draft, ben, browser):
    version = publishing.publish(draft(title="The tempeature"), user=ben)
    found = spelling.doubtful(version.dataset, {"title": "The tempeature", "abstract": "and the tempeature"})
    assert list(found.values()) == [[("tempeature", "temperature")]]
    shown = browser(ben).post("/steward/datasets/sea/describe/check/", {"title": "The tempeature"}, headers={"HX-Trigger-Name": "title"})
    assert "Perhaps misspelt: tempeature (temperature?)." in shown.content.decode()


@pytest.mark.parametrize(
    ("typed", "meant", "is_so"),
    [
        ("ab", "abc", True),
        ("abc", "ab", True),
        ("abc", "abx", True),
        ("abcd", "acbd", True),
        ("abcd", "adcb", False),
        ("abc", "cba", False),
    ],
)
def test_one_slip_is_one_letter_or_two_that_changed_places(typed, meant, is_so):
    assert spelling.is_one_slip(typed, meant) is is_so
