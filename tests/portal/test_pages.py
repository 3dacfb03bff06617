import pytest
from django.core.mail import send_mail
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


def test_operators_read_the_mails_that_were_written_to_files(browser, people, settings, tmp_path):
    settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = "transfers.outbox.EmailBackend", str(tmp_path / "mail")
    assert "No mail was written yet" in browser(people["dee"]).get("/mails/").content.decode()
    send_mail("Your files are ready", "See http://127.0.0.1:8000/requests/ <now>", None, ["ada@university.example"])
    page = browser(people["dee"]).get("/mails/").content.decode()
    assert "Your files are ready" in page
    assert '<a href="http://127.0.0.1:8000/requests/"' in page
    assert "&lt;now&gt;" in page


def test_where_mail_leaves_by_smtp_nothing_is_kept(browser, people, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert "Mails leave by SMTP" in browser(people["dee"]).get("/mails/").content.decode()
