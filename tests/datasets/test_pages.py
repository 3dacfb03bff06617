import re
import uuid
from html import unescape

import pytest
from django.core import mail

from datasets.access import granting
from datasets.curation import registering
from datasets.models import Dataset
from datasets.scans import ingesting
from tests.datasets.conftest import COLLECTION


@pytest.fixture(autouse=True)
def mail_in_memory(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def page(response, status: int = 200) -> str:
    assert response.status_code == status, response.content.decode()[:2000]
    return response.content.decode()


def test_the_catalogue_shows_results_facets_and_the_state_in_its_address(published, browser):
    published("tropics", title="Sea surface temperature", subjects=["Ocean"], temporal_start="1990-01-01", temporal_end="2000-01-01")
    published("weather", title="Hourly weather", subjects=["Atmosphere"])
    html = page(browser().get("/datasets/?q=tempeature&subject=Ocean&from=1995&sort=title"))
    assert "Sea surface temperature" in html
    assert "Hourly weather" not in html
    assert re.search(r'name="subject" value="Ocean" checked', html)
    assert "Nothing matches “tempeature”" in html
    assert "?q=tempeature&amp;from=1995-01-01&amp;sort=title" in html, "each chip drops its filter and keeps the rest"


def test_files_of_a_draft_without_a_place_are_neither_on_line_nor_cold(ben, browser):
    registering.register(user=ben, slug="new", title="New")
    for asked in ("online", "cold"):
        html = page(browser(ben).get(f"/datasets/new/files/?availability={asked}"))
        assert "Nobody said yet where the files of this version are." in html


def test_a_chosen_decade_shows_its_years_with_counts(published, browser):
    published("tropics", temporal_start="1994-05-01", temporal_end="1995-02-01")
    assert 'name="year"' not in page(browser().get("/datasets/"))
    html = page(browser().get("/datasets/?decade=1990&year=1995"))
    assert re.findall(r'name="year" value="(\d+)"( checked)?><span>(\d+)</span><span class="num">(\d+)', html) == [
        ("1994", "", "1994", "1"),
        ("1995", " checked", "1995", "1"),
    ]
    assert "Year: 1995" in html


def test_a_histogram_leads_to_each_decade_and_back(published, browser):
    published("one", temporal_start="1991-01-01", temporal_end="2009-01-01")
    published("two", temporal_start="2001-01-01", temporal_end="2002-01-01")
    html = page(browser().get("/datasets/?format=NetCDF"))
    assert re.findall(r'<a href="([^"]*)" aria-label="(\d+s): (\d+) datasets?"', html) == [
        ("?format=NetCDF&amp;decade=1990", "1990s", "1"),
        ("?format=NetCDF&amp;decade=2000", "2000s", "2"),
    ]
    assert 'href="?format=NetCDF" aria-label="1990s' in page(browser().get("/datasets/?format=NetCDF&decade=1990"))


def test_each_empty_state_of_the_catalogue_says_what_to_do(db, published, browser):
    assert "The archive is empty so far" in page(browser().get("/datasets/"))
    published(title="Glacier", subjects=["Ice"])
    assert "no word of the catalogue is near" in page(browser().get("/datasets/?q=zzzzzz"))
    assert "Without Format: PDF" in page(browser().get("/datasets/?q=glacier&format=PDF"))
    html = page(browser().get("/datasets/?format=PDF&subject=None"))
    assert "No dataset fits all of this" in html
    assert "Without any filter: 1 dataset" in html


def test_a_filter_that_cannot_be_read_is_said_and_left_out(published, browser):
    published()
    html = page(browser().get("/datasets/?bbox=1,2&from=soon"), 400)
    assert "The sea" in html
    assert "A year such as 1990" in html


def test_the_catalogue_costs_few_statements_for_any_number_of_datasets(published, browser, django_assert_max_num_queries):
    for number in range(6):
        published(f"d{number}", creators=[{"name": "A"}], variables=[{"name": "t"}], subjects=["Ocean"])
    client = browser()
    with django_assert_max_num_queries(5):
        page(client.get("/datasets/?q=data"))


def test_text_from_descriptions_is_never_markup(published, browser):
    published(title="<script>alert(1)</script> wind", abstract="wind <img src=x onerror=alert(1)>")
    for path in ("/datasets/?q=wind", "/datasets/sea/"):
        html = page(browser().get(path))
        assert "<script>alert" not in html
        assert "<img src=x" not in html
    assert "<mark>wind</mark>" in page(browser().get("/datasets/?q=wind"))


def test_a_dataset_page_shows_all_that_is_known(published, browser):
    published(
        files={"/a.nc": "abc"},
        creators=[{"name": "Ada Lindqvist", "orcid": "0000-0002-1825-0097"}],
        variables=[{"name": "tos", "standard_name": "sea_surface_temperature", "units": "K"}],
        licence="CC-BY-4.0",
        west=-10,
        east=10,
        south=0,
        north=5,
        temporal_start="1990-01-01",
        temporal_end="2000-12-31",
        source_name="A paper",
        source_url="https://doi.org/10.1000/1",
    )
    html = page(browser().get("/datasets/sea/"))
    for words in (
        "Ada Lindqvist",
        "sea surface temperature",
        "CC-BY-4.0",
        "Version 1",
        "1 file",
        "A paper",
        "Prepare a share",
        "Send to my collection",
    ):
        assert words in html
    assert re.search(r"Ada Lindqvist \(\d{4}\): The sea\. Version 1\.", html)
    assert 'name="dataset" value="sea"' in html
    assert "Curate this dataset" not in html


def test_a_dataset_page_says_what_is_unknown(published, browser):
    html = page(browser().get(published(files={"/a.pp": "x"}).dataset.get_absolute_url()))
    for words in (
        "Creator not stated",
        "The place is not stated",
        "The period is not stated",
        "Not stated",
        "Not drawn here: Met Office PP",
    ):
        assert words in html


def test_a_dataset_page_costs_the_same_for_many_variables_and_versions(published, browser, django_assert_max_num_queries):
    published(variables=[{"name": f"v{number}"} for number in range(20)], creators=[{"name": f"c{number}"} for number in range(9)])
    client = browser()
    with django_assert_max_num_queries(9):
        page(client.get("/datasets/sea/"))


def test_a_restricted_dataset_says_how_access_is_got_and_through_what_it_is_held(published, browser, ada, ben):
    dataset = published(access_policy="restricted", access_note="As a demonstration.").dataset
    html = page(browser(ada).get("/datasets/sea/"))
    assert "You have no access to the files yet" in html
    assert offers(html) == ["Request access"]
    assert offers(page(browser().get("/datasets/sea/"))) == ["Sign in"]
    assert offers(page(browser(ben).get("/datasets/sea/"))) == ["Browse 1 file", "Prepare a share"]
    assert "As a demonstration." in html
    assert ada.username in html
    assert "a.nc" not in page(browser(ada).get("/datasets/sea/files/"))
    linked = uuid.uuid5(uuid.NAMESPACE_DNS, "ada@observatory.example")
    granting.grant(dataset, principal_type="identity", principal=linked, label="ada@observatory.example", granted_by=ben)
    assert "through the identity ada@observatory.example" in page(browser(ada).get("/datasets/sea/"))
    assert "a.nc" in page(browser(ada).get("/datasets/sea/files/"))


def offers(html):
    """The words of what can be pressed in "Get the data"."""
    return re.findall(r'class="btn[^"]*"[^>]*>([^<]+)<', html[html.index("<h2>Get the data") :])


def test_each_way_to_the_data_of_an_open_dataset_has_one_button(published, browser, ada, settings):
    settings.GRAPH_URL, settings.GRAPH_SCOPE = (
        "http://127.0.0.5:9",
        "https://auth.globus.org/scopes/7d5a4f1e-0000-4000-8000-00000000000a/graph",
    )
    published(files={"/a.nc": "a"})
    ways = ["Browse 1 file", "Prepare a share", "Send to my collection", "Choose files", "Make a script", "Draw a graph"]
    assert offers(page(browser().get("/datasets/sea/"))) == offers(page(browser(ada).get("/datasets/sea/"))) == ways


def test_files_for_those_who_signed_in_are_offered_to_others_by_one_button(published, browser, ada):
    published(access_policy="registered")
    assert offers(page(browser().get("/datasets/sea/"))) == ["Sign in", "Browse 1 file"]
    assert "Send to my collection" in offers(page(browser(ada).get("/datasets/sea/")))


def test_drafts_are_not_found_by_others(draft, browser, ada, ben, cy):
    draft()
    for path in ("", "files/", "files/measure/", "ask/"):
        assert browser(ada).get(f"/datasets/sea/{path}").status_code == 404
    assert "Draft" in page(browser(ben).get("/datasets/sea/"))
    assert browser(ben).get("/datasets/sea/?version=7").status_code == 404


def test_the_files_page_walks_folders_filters_and_selects(published, browser):
    published(files={f"/{year}/{month:02}.nc": "x" for year in (2001, 2002) for month in range(1, 4)} | {"/readme.txt": "read"})
    html = page(browser().get("/datasets/sea/files/"))
    assert 'name="folder" value="/2001/"' in html
    assert 'name="file" value="/readme.txt"' in html
    html = page(browser().get("/datasets/sea/files/?folder=/2001/&glob=0[12].nc"))
    assert "2 files fit" in html
    assert 'name="glob" value="0[12].nc"' in html
    assert 'name="file" value="/2001/01.nc"' in html
    assert "No file fits" in page(browser().get("/datasets/sea/files/?glob=*.csv"))
    assert "Nothing is in this folder" in page(browser().get("/datasets/sea/files/?folder=/1999/"))
    assert "This search cannot be done" in page(browser().get("/datasets/sea/files/?folder=/../"), 400)


def test_what_is_ticked_is_measured_with_whole_folders(published, browser):
    published(files={"/2001/a": "12", "/2001/b": "34", "/c": "5"})
    html = page(browser().get("/datasets/sea/files/measure/?version=1&folder=/2001/&file=/c"))
    assert "3 files" in html
    assert "5 bytes" in html
    assert "Tick folders" in page(browser().get("/datasets/sea/files/measure/?version=1"))


def test_a_question_reaches_the_steward_by_mail(published, browser, ada, ben):
    published()
    assert browser().get("/datasets/sea/ask/").status_code == 302
    assert "Write 1 to" in page(browser(ada).post("/datasets/sea/ask/", {"message": " "}), 400)
    assert mail.outbox == []
    assert browser(ada).post("/datasets/sea/ask/", {"message": "Which unit is this?"}).status_code == 302
    sent = mail.outbox[0]
    assert (sent.to, sent.reply_to) == ([ben.email], [ada.email])
    assert "Which unit is this?" in sent.body
    assert "/datasets/sea/" in sent.body


def test_the_steward_pages_are_for_stewards(published, browser, ada, ben, dee, cy):
    published()
    for path in (
        "/steward/",
        "/steward/register/",
        "/steward/datasets/sea/",
        "/steward/datasets/sea/describe/",
        "/steward/datasets/sea/scan-progress/",
    ):
        assert browser().get(path).status_code == 302
        assert browser(ada).get(path).status_code == 403
        assert browser(ben).get(path).status_code == 200
        assert browser(dee).get(path).status_code == 200
    for act in ("place", "scan", "retry", "publish", "draft", "discard", "grant", "revoke"):
        assert browser(ada).post(f"/steward/datasets/sea/{act}/").status_code == 403
        assert browser(ben).get(f"/steward/datasets/sea/{act}/").status_code == 405
    assert browser(ben).post("/steward/datasets/sea/burn/").status_code == 404


def test_a_steward_curates_in_the_browser_from_registering_to_granting(browser, ben, ada, disk):
    client = browser(ben)
    html = page(client.post("/steward/register/", {"slug": "No", "title": "Sea", "collection_id": "", "base_path": ""}), 400)
    assert "Small letters" in html
    client.post("/steward/register/", {"slug": "sea", "title": "Sea", "collection_id": str(COLLECTION), "base_path": "/sea/"})
    desk = "/steward/datasets/sea/"
    html = page(client.post(f"{desk}publish/"), 409)
    assert "Say what the data are" in html
    assert "Scan its location first" in html
    described = {
        "title": "Sea level",
        "abstract": "Heights.",
        "creators": "Ada; 0000-0002-1825-0097; Observatory\nBen",
        "subjects": "Ocean, Coast",
        "access_policy": "restricted",
        "west": "-10",
        "south": "0",
        "east": "10",
        "north": "5",
        "temporal_start": "1990-01-01",
        "temporal_end": "",
    }
    assert "A number of degrees" in page(client.post(f"{desk}describe/", {**described, "west": "west"}), 400)
    assert client.post(f"{desk}describe/", described).status_code == 302
    dataset = Dataset.objects.get()
    assert [(one.name, one.orcid, one.affiliation) for one in dataset.creators.all()] == [
        ("Ada", "0000-0002-1825-0097", "Observatory"),
        ("Ben", "", ""),
    ]
    assert client.post(f"{desk}scan/").status_code == 302
    assert "every 2s" in page(client.get(f"{desk}scan-progress/"))
    disk.write("/sea/a.nc", "abc")
    ingesting.run_scan(dataset.versions.get().scans.get().pk, disk.list_folder, disk.inspect)
    assert "every 2s" not in page(client.get(f"{desk}scan-progress/"))
    assert client.post(f"{desk}publish/", {"note": "first"}).status_code == 302
    assert Dataset.objects.published().exists()
    assert "An id looks like" in page(client.post(f"{desk}grant/", {"principal_type": "identity", "principal": "ada"}), 400)
    client.post(f"{desk}grant/", {"principal_type": "identity", "principal": str(ada.id), "label": "Ada", "until": "2099-12-31"})
    assert "Ada" in page(client.get(desk))
    for number in ("", "x", "9" * 12, "9" * 5000):
        assert client.post(f"{desk}revoke/", {"grant": number}).status_code == 404
        assert client.post(f"{desk}withdraw/", {"number": number, "reason": "Wrong."}).status_code == 404
    client.post(f"{desk}revoke/", {"grant": str(dataset.grants.get().pk)})
    assert dataset.grants.get().revoked_at is not None
    client.post(f"{desk}draft/", {"reason": "more"})
    assert "Type sea to discard" in page(client.post(f"{desk}discard/", {"slug": "see"}), 400)
    client.post(f"{desk}discard/", {"slug": "sea"})
    assert dataset.versions.count() == 1


def test_the_short_name_of_a_new_dataset_is_checked_by_the_browser_as_by_the_site(browser, ben):
    html = page(browser(ben).get("/steward/register/"))
    pattern = re.search(r' pattern="([^"]+)"', html)
    assert pattern
    assert [bool(re.fullmatch(unescape(pattern[1]), text)) for text in ("sea-level-2", "Sea level", "sea--level")] == [True, False, False]
