"""Vocabularies are loaded from their keepers' files, suggest while somebody types, and judge the words that name them."""

from html import unescape
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from datasets.curation import registering
from datasets.demo import load_demo_vocabularies
from datasets.description import vocabularies
from datasets.description.loading import load_keywords, load_standard_names
from datasets.errors import InvalidError
from datasets.models import Dataset, Term, Vocabulary

SST = "EARTH SCIENCE > OCEANS > OCEAN TEMPERATURE > SEA SURFACE TEMPERATURE"
DEMO = Path("datasets/demo")


@pytest.fixture
def loaded(db) -> None:
    load_demo_vocabularies()


def wrong_with(dataset, ben, **stated) -> dict[str, list[str]]:
    with pytest.raises(InvalidError) as refused:
        registering.describe(dataset, user=ben, **stated)
    return refused.value.fields


def test_the_lists_of_gcmd_are_known_by_their_headers(loaded):
    assert {(one.slug, one.use, one.edition) for one in Vocabulary.objects.all()} == {
        ("gcmd-science-keywords", "keywords", "14.3"),
        ("gcmd-instruments", "instruments", "14.3"),
        ("gcmd-platforms", "platforms", "14.3"),
        ("cf-standard-names", "standard-names", "93"),
    }
    seviri = Term.objects.get(label="SEVIRI")
    assert seviri.path.endswith("Imaging Spectrometers/Radiometers > SEVIRI")
    assert seviri.meaning == "Spinning Enhanced Visible and Infrared Imager"


def test_loading_again_replaces(loaded, tmp_path):
    file = tmp_path / "keywords.csv"
    file.write_text(
        "Category,Topic,Term,Variable_Level_1,Variable_Level_2,Variable_Level_3,Detailed_Variable,UUID\nEARTH SCIENCE,,,,,,,1\n"
    )
    call_command("load_keywords", file)
    assert list(Term.objects.filter(vocabulary__slug="gcmd-science-keywords").values_list("path", flat=True)) == ["EARTH SCIENCE"]
    assert Vocabulary.objects.get(slug="gcmd-science-keywords").is_whole
    call_command("load_keywords", file, slug="mine", name="My words", use="keywords", excerpt=True)
    assert not Vocabulary.objects.get(slug="mine").is_whole


@pytest.mark.parametrize(
    ("load", "text", "words"),
    [
        (load_keywords, "", "names the columns"),
        (load_keywords, "Category,Topic,UUID\nA,B\n", "Line 2 has 2 cells"),
        (load_keywords, "Planet,Moon,UUID\nA,B,1\n", "no list of GCMD"),
        (load_keywords, "Category,Topic,UUID\n", "no term"),
        (load_standard_names, "<a", "not XML"),
        (load_standard_names, "<a/>", "no CF standard name table"),
    ],
)
def test_what_is_no_vocabulary_is_refused_in_words(db, load, text, words):
    with pytest.raises(InvalidError) as refused:
        load(text)
    assert words in str(refused.value.fields)


def test_a_command_says_what_is_wrong_with_its_file(db, tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_standard_names", tmp_path / "none.xml")


def test_suggestions_hold_the_words_typed_and_forgive_a_slip(loaded):
    first, *_ = vocabularies.suggest("sea surface temp", use="keywords")
    assert first.path == SST
    assert [one.path for one in vocabularies.suggest("sea_surf", use="standard-names")] == ["sea_surface_temperature"]
    assert vocabularies.suggest("tempeature", use="standard-names")
    assert vocabularies.suggest("Infrared Imager", use="instruments")[0].label == "SEVIRI"
    assert vocabularies.suggest("zzzz", use="keywords") == []


def test_a_keyword_is_kept_with_what_its_vocabulary_says_of_it(loaded, published, ben, browser):
    dataset = published(keywords=[{"scheme": "gcmd-science-keywords", "value": "sea surface temperature"}]).dataset
    dataset = Dataset.objects.get(pk=dataset.pk)
    (kept,) = dataset.keywords
    assert (kept["value"], kept["label"]) == (SST, "SEA SURFACE TEMPERATURE")
    assert kept["url"].endswith(f"/kms/concept/{kept['identifier']}")
    assert dataset.subject_facet == ["Sea surface temperature"], "beside the archive's own subjects it does not shout"
    Vocabulary.objects.all().delete()
    assert SST in unescape(browser().get("/datasets/sea/").content.decode()), "the description keeps its own copy"
    assert kept["identifier"] in browser().get("/datasets/sea/?format=datacite-xml").content.decode()
    assert browser().get("/api/v1/datasets?q=ocean+temperature").json()["total"] == 1


def test_words_that_a_vocabulary_lacks_are_refused_with_what_is_near(loaded, published, ben):
    dataset = published(variables=[{"name": "t", "standard_name": "old_name_of_the_file"}]).dataset
    wrong = wrong_with(
        dataset,
        ben,
        keywords=[
            {"scheme": "gcmd-science-keywords", "value": "EARTH SCIENCE > OCEANS > SEE SURFACE TEMPERATURE"},
            {"scheme": "x", "value": "y"},
        ],
        instruments=[{"scheme": "gcmd-instruments", "name": "A stick"}],
        variables=[{"name": "t", "standard_name": "old_name_of_the_file"}, {"name": "p", "standard_name": "air_pressure_at_sea_level"}],
    )
    assert set(wrong) == {"keywords.0.value", "keywords.1.scheme", "instruments.0.name", "variables.1.standard_name"}
    assert "Did you mean EARTH SCIENCE > " in wrong["keywords.0.value"][0]
    assert "gcmd-science-keywords" in wrong["keywords.1.scheme"][0]
    assert "write air_pressure_at_mean_sea_level" in wrong["variables.1.standard_name"][0]


def test_an_excerpt_of_the_table_refuses_no_name_and_the_whole_one_does(loaded, published, ben):
    dataset = published().dataset
    registering.describe(dataset, user=ben, variables=[{"name": "t", "standard_name": "age_of_sea_ice"}])
    load_standard_names((DEMO / "cf-standard-names.xml").read_text())
    wrong = wrong_with(dataset, ben, variables=[{"name": "u", "standard_name": "air_temprature"}])
    assert "Did you mean air_temperature" in wrong["variables.0.standard_name"][0]
    registering.describe(dataset, user=ben, variables=[{"name": "t", "standard_name": "air_temperature standard_error"}])


def test_the_form_suggests_what_fits_its_field(loaded, published, browser, ben):
    published()
    address = "/steward/datasets/sea/describe/suggest/"
    asked = {"use": "keywords", "field": "keywords.0.value", "keywords.0.value": "sea surf", "keywords.0.scheme": "gcmd-science-keywords"}
    assert SST.replace(">", "&gt;") in browser(ben).get(address, asked).content.decode()
    licences = browser(ben).get(address, {"use": "licence", "field": "licence", "licence": "attribution 4.0"}).content.decode()
    assert licences.index("CC-BY-4.0") < licences.index("CC-BY-NC-4.0")
