"""A word that nobody uses but that is nearly one that is known is told as perhaps misspelt; it blocks nothing."""

import pytest

from datasets.curation import checking, publishing
from datasets.description import spelling

KNOWN = "Temperature of the surface was measured by a spectrometer near the glacier, Ascension."


@pytest.fixture
def archive(published):
    for slug in ("one", "two"):
        published(slug, title=f"Known {slug}", abstract=KNOWN)


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
def test_one_slip_of_the_finger_is_told(archive, draft, typed, meant):
    version = draft(abstract=f"{typed.capitalize() if typed[0].isupper() else 'The ' + typed} here.")
    assert [one.words for one in checking.check(version) if one.field == "abstract"] == [f"Perhaps misspelt: {typed} ({meant}?)."]
    assert not any(one.must for one in checking.check(version) if one.field == "abstract")


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
def test_endings_names_acronyms_and_new_words_are_no_slips(archive, draft, text):
    version = draft(abstract=f"Of the {text}" if text else "What the data are.")
    assert [one.words for one in checking.check(version) if "misspelt" in one.words] == []


def test_what_the_dataset_alone_says_is_not_known_by_that(archive, draft, ben, browser):
    version = publishing.publish(draft(title="The tempeature"), user=ben)
    found = spelling.doubtful(version.dataset, {"title": "The tempeature", "abstract": "and the tempeature"})
    assert list(found.values()) == [[("tempeature", "temperature")]]
    told = browser(ben).post("/steward/datasets/sea/describe/check/", {"title": "The tempeature"}, headers={"HX-Trigger-Name": "title"})
    assert "Perhaps misspelt: tempeature (temperature?)." in told.content.decode()


@pytest.mark.parametrize(
    ("typed", "meant", "is_so"),
    [
        ("ab", "abc", True),
        ("abc", "ab", True),
        ("abc", "abd", True),
        ("abcd", "acbd", True),
        ("abcd", "adcb", False),
        ("abc", "cba", False),
    ],
)
def test_one_slip_is_one_letter_or_two_that_changed_places(typed, meant, is_so):
    assert spelling.is_one_slip(typed, meant) is is_so
