import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

pytestmark = pytest.mark.django_db


def test_an_empty_archive_says_what_will_be_here(browser):
    page = browser().get("/").content.decode()
    assert "The archive is empty so far" in page


def test_home_tells_what_the_archive_holds_and_shows_no_draft(browser, archive):
    page = browser().get("/").content.decode()
    assert "<strong>2</strong>" in page
    assert "Dataset open" in page
    assert "Dataset closed" in page
    assert "Dataset draft" not in page


@pytest.mark.parametrize(("who", "budget"), [("nobody", 3), ("ada", 9)])
def test_home_keeps_its_query_budget(browser, people, archive, who, budget):
    client = browser(people.get(who))
    with CaptureQueriesContext(
        connection,
    ) as asked:
        client.get("/")
    assert len(asked) <= budget, [one["sql"][:80] for one in asked]


def test_pages_say_who_acts(browser, people):
    page = browser(people["dee"]).get("/").content.decode()
    assert "dee@archive.example" in page
    assert "Administration" in page
    assert "Administration" not in browser(people["ada"]).get("/").content.decode()


def test_a_standin_is_announced_on_every_page(browser, settings):
    settings.HAS_STANDIN = True
    assert "A stand-in plays Globus here" in browser().get("/signin/").content.decode()
    settings.HAS_STANDIN = False
    assert "A stand-in plays Globus here" not in browser().get("/signin/").content.decode()


def test_the_sign_in_page_names_what_is_asked_and_what_is_not(browser):
    page = browser().get("/signin/").content.decode()
    assert "Asked for now" in page
    assert "Not asked for now" in page
    assert 'action="/login/globus/"' in page
