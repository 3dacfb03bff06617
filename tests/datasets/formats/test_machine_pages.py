"""The landing page for machines: Signposting read by `signposting`, sitemaps by `ultimate-sitemap-parser`, the feed by `feedparser`."""

import json
import warnings
from urllib.robotparser import RobotFileParser

import feedparser
import pytest
from lxml import etree, html
from signposting.linkheader import find_signposting_http_link
from signposting.linkset import find_signposting_linkset
from usp.tree import sitemap_from_str

from datasets.curation import publishing, registering
from datasets.formats import FORMATS
from datasets.metadata.pages import SERVED, preferred
from datasets.models import Dataset, DeletedRecord, Version

SITE = "http://127.0.0.1:8000"
FULL = {
    "creators": [{"name": "Lindqvist, Ada", "orcid": "0000-0002-1825-0097"}],
    "subjects": ["Ocean"],
    "licence": "OGL-UK-3.0",
    "west": -10.0,
    "south": 0.0,
    "east": 10.0,
    "north": 20.0,
    "temporal_start": "1990-01-01",
    "temporal_end": "2000-12-31",
    "variables": [{"name": "t", "standard_name": "air_temperature", "units": "K"}],
}


@pytest.fixture(scope="module", autouse=True)
def catalogue(lasting) -> None:
    """A public dataset, a restricted one, one with more files, and a draft; tests that change them are rolled back."""
    lasting(make_catalogue)


def make_catalogue(curator) -> None:
    DeletedRecord.objects.all().delete()
    curator.published("sea", **FULL)
    curator.published("closed", files={"/secret-name.nc": "secret"}, access_policy="restricted", **FULL)
    curator.published("many", files={f"/f {number}.nc": "x" for number in range(20)})
    curator.draft("hidden", **FULL)


@pytest.fixture(autouse=True)
def rolled_back(db) -> None:
    """Every test here reads the database."""


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("*/*", None),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", None),
        ("image/png", None),
        ("", None),
        ("nonsense", None),
        ("application/ld+json", "schema.org"),
        ("application/vnd.datacite.datacite+json", "datacite-json"),
        ("application/vnd.datacite.datacite+xml, text/html;q=0.5", "datacite-xml"),
        ("text/html;q=0.5, application/x-bibtex;q=0.4", None),
        ("application/x-bibtex;q=0", None),
        ("text/turtle, */*;q=0.1", "dcat-turtle"),
        ("application/vnd.citationstyles.csl+json", "csl"),
        ('application/ld+json; profile="http://www.w3.org/ns/dcat#"', "dcat"),
        ('application/ld+json;profile="https://w3id.org/ro/crate/1.1"', "ro-crate"),
        ('application/ld+json;profile="http://mlcommons.org/croissant/1.0"', "croissant"),
        ("application/linkset+json", "linkset"),
        ("application/xml", None),
    ],
)
def test_the_accept_header_chooses(accept, name):
    chosen = preferred(accept)
    assert (chosen.name if chosen else None) == (name if accept != "application/xml" else "dublin-core")


@pytest.mark.parametrize("name", list(SERVED))
def test_every_format_is_served_and_points_back(browser, name):
    response = browser().get(f"/datasets/sea/?format={name}")
    assert response.status_code == 200
    assert response["Content-Type"] == SERVED[name].content_type
    assert response["Link"] == f'<{SITE}/datasets/sea/?version=1>; rel="describes"; type="text/html"'
    assert "Accept" in response["Vary"]
    if "json" in SERVED[name].media_type:
        assert json.loads(response.content)
    elif "xml" in SERVED[name].media_type:
        assert etree.fromstring(response.content) is not None
    assert browser().get(f"/datasets/sea/?format={name}", headers={"If-None-Match": response["ETag"]}).status_code == 304


def test_the_page_answers_the_accept_header(browser):
    response = browser().get("/datasets/sea/", headers={"Accept": "application/vnd.datacite.datacite+json"})
    assert json.loads(response.content)["titles"] == [{"title": "The sea"}]
    assert browser().get("/datasets/sea/", headers={"Accept": "application/x-bibtex"}).content.startswith(b"@misc{sea-v1,")


def test_a_format_that_there_is_not_is_refused_with_the_names(browser):
    response = browser().get("/datasets/sea/?format=word")
    assert response.status_code == 400
    assert browser().get("/datasets/many/?format=stac").status_code == 404, "its place is not known"
    assert browser().get("/datasets/sea/?format=html").status_code == 200
    for number in ("2", "x", "-1", "99999999999"):
        assert browser().get(f"/datasets/sea/?format=csl&version={number}").status_code == 404


@pytest.mark.parametrize("name", list(SERVED))
def test_a_record_costs_at_most_eight_statements(browser, django_assert_max_num_queries, name):
    client = browser()
    with django_assert_max_num_queries(8):
        assert client.get(f"/datasets/sea/?format={name}").status_code == 200
    with django_assert_max_num_queries(8):
        client.get(f"/datasets/many/?format={name}")


@pytest.mark.parametrize("name", list(SERVED))
def test_no_format_tells_the_files_of_a_restricted_dataset(browser, dee, name):
    version = Version.objects.get(dataset__slug="closed")
    for person in (None, dee):
        response = browser(person).get(f"/datasets/closed/?format={name}")
        assert response.status_code == 200
        text = response.content.decode() + response["Link"]
        assert "secret-name" not in text
        assert "/https/" not in text
        assert "/files/" not in text
        assert "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" not in text, "the file's SHA-256"
        assert version.digest_hex not in text
    assert "The closed" in text or name == "linkset"


def test_the_page_of_a_restricted_dataset_tells_machines_no_file(browser):
    response = browser().get("/datasets/closed/")
    [script] = html.fromstring(response.content).xpath("//head/script[@type='application/ld+json']")
    assert "distribution" not in json.loads(script.text)
    assert 'rel="item"' not in response["Link"]
    assert b"secret-name" not in response.content


def test_drafts_have_no_format(browser, ben, dee):
    for name in SERVED:
        for person in (None, ben, dee) if name == "schema.org" else (dee,):
            assert browser(person).get(f"/datasets/hidden/?format={name}").status_code == 404


def test_a_draft_of_a_published_dataset_is_not_told(browser, ben):
    publishing.open_draft(Dataset.objects.get(slug="sea"), user=ben)
    linkset = json.loads(browser(ben).get("/datasets/sea/?format=linkset").content)
    assert "version=2" not in json.dumps(linkset)
    assert browser(ben).get("/datasets/sea/?version=2&format=csl").status_code == 404
    page = browser(ben).get("/datasets/sea/?version=2")
    assert page.status_code == 200
    assert "Link" not in page
    assert b"ld+json" not in page.content


def test_many_files_are_not_named_but_their_list_is(browser, monkeypatch):
    monkeypatch.setattr("datasets.metadata.describing.MOST_FILES", 19)  # a size: the real one says the same of more rows
    told = json.loads(browser().get("/datasets/many/?format=schema.org").content)
    assert [one["contentUrl"] for one in told["distribution"]] == [f"{SITE}/api/v1/datasets/many/versions/1/files"]
    assert browser().get("/api/v1/datasets/many/versions/1/files/").status_code == 200


def test_the_head_of_the_page_holds_json_ld_and_alternates(browser):
    title = "The </script><script>alert(1)</script> & sea"
    Dataset.objects.filter(slug="sea").update(title=title)
    response = browser().get("/datasets/sea/")
    tree = html.fromstring(response.content)
    [script] = tree.xpath("//head/script[@type='application/ld+json']")
    assert json.loads(script.text)["name"] == title
    alternates = {one.get("href"): one.get("type") for one in tree.xpath("//head/link[@rel='alternate']")}
    for form in FORMATS.values():
        assert alternates[f"{SITE}/datasets/sea/?version=1&format={form.name}"] == form.media_type


def test_signposting_level_1_is_understood(browser):
    response = browser().get("/datasets/sea/")
    found = find_signposting_http_link([response["Link"]], f"{SITE}/datasets/sea/")
    assert found.citeAs.target == f"{SITE}/datasets/sea/?version=1"
    assert {one.target for one in found.authors} == {"https://orcid.org/0000-0002-1825-0097"}
    assert {one.target for one in found.types} == {"https://schema.org/Dataset", "https://schema.org/AboutPage"}
    assert found.license.target == "https://spdx.org/licenses/OGL-UK-3.0.html"
    assert {one.target.partition("format=")[2] for one in found.describedBy} == set(FORMATS)
    assert [one.target for one in found.items] == [f"{SITE}/api/v1/datasets/sea/versions/1/files"]
    assert [(one.target, one.type) for one in found.linksets] == [
        (f"{SITE}/datasets/sea/?version=1&format=linkset", "application/linkset+json")
    ]


def test_signposting_level_2_names_every_file(by_requests):
    page = f"{SITE}/datasets/many/?version=1"
    found = find_signposting_linkset(f"{SITE}/datasets/many/?format=linkset")
    told = found.for_context(page)
    items = {one.target for one in told.items}
    assert items == {f"{SITE}/datasets/many/versions/1/https/?path=%2Ff+{number}.nc" for number in range(20)}
    assert told.citeAs.target == page
    for item in items:
        assert found.for_context(item).collection.target == page


def test_sitemaps_list_what_is_published(browser, monkeypatch):
    monkeypatch.setattr("datasets.metadata.pages.ADDRESSES_IN_A_SITEMAP", 2)  # a size: the real one says the same of more rows
    index = etree.fromstring(browser().get("/sitemap.xml").content)
    assert [one.text for one in index.iter("{*}loc")] == [f"{SITE}/sitemaps/1.xml", f"{SITE}/sitemaps/2.xml"]
    pages = []
    for number in (1, 2):
        pages += sitemap_from_str(browser().get(f"/sitemaps/{number}.xml").content.decode()).all_pages()
    rules = RobotFileParser()
    rules.parse(browser().get("/robots.txt").content.decode().splitlines())
    assert rules.site_maps() == [f"{SITE}/sitemap.xml"]
    assert all(rules.can_fetch("any", page.url) for page in pages)
    assert [page.url for page in pages] == [f"{SITE}/datasets/{slug}/" for slug in ("sea", "closed", "many")]
    assert all(page.last_modified for page in pages)
    assert browser().get("/sitemaps/3.xml").status_code == 404
    assert browser().get("/sitemaps/0.xml").status_code == 404


def test_the_feed_is_well_formed_and_newest_first(browser, ben, django_assert_max_num_queries):
    registering.describe(Dataset.objects.get(slug="sea"), user=ben, title="First & <b>")
    client = browser()
    with django_assert_max_num_queries(6):
        content = client.get("/datasets/feed.atom").content
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        feed = feedparser.parse(content)
    assert not feed.bozo
    assert feed.version == "atom10"
    assert [entry.link for entry in feed.entries] == [f"{SITE}/datasets/{slug}/" for slug in ("sea", "many", "closed")]
    assert feed.entries[0].author == "Lindqvist, Ada"
    assert [tag.term for tag in feed.entries[0].tags] == ["Ocean"]
    assert feed.entries[0].id == f"urn:uuid:{Dataset.objects.get(slug='sea').pk}"
