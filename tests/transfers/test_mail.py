from email import message_from_string, policy
from html import unescape

import pytest
from django.conf import settings
from django.utils import timezone

from tests.transfers.conftest import everything, mails
from transfers import globus, mail, sending, sharing
from transfers.models import DataRequest
from transfers.states import Status


@pytest.fixture
def request_of_ada(world, publish, ada):
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    DataRequest.objects.filter(pk=request.pk).update(
        status=Status.OPEN, rule_id="r", collection_id=request.staging_collection_id, expires_at=timezone.now(), due_at=timezone.now()
    )
    request.refresh_from_db()
    return request


@pytest.fixture
def transfer_of_ada(world, publish, ada):
    request = sending.request_transfer(
        user=ada, wanted=everything(publish("wind")), collection_id=world.campus_id, path="/home/ada/wind/", name="Campus storage"
    )
    DataRequest.objects.filter(pk=request.pk).update(status=Status.SENT, due_at=None, finished_at=timezone.now())
    request.refresh_from_db()
    return request


def the_mail(folder):
    """The one mail of a folder: itself, its text and its HTML."""
    (text,) = mails(folder)
    sent = message_from_string(text, policy=policy.default)
    return sent, sent.get_body(("plain",)).get_content(), sent.get_body(("html",)).get_content()


def words_of(text):
    return " ".join(unescape(text).split())


@pytest.mark.parametrize("send", [mail.send_share_open, mail.send_share_reminder, mail.send_request_failed, mail.send_sent])
def test_mail_is_sent_once_in_text_and_html(request_of_ada, own_mail_folder, send):
    send(request_of_ada)
    send(request_of_ada)
    sent, plain, rich = the_mail(own_mail_folder)
    assert sent["To"] == "ada@university.example"
    assert sent["Message-ID"].startswith(f"<{request_of_ada.pk}.")
    assert "&amp;" not in plain
    for part in (plain, rich):
        assert f"{settings.BASE_URL}{request_of_ada.get_absolute_url()}" in part
        assert "{{" not in part


def test_mail_of_a_sent_transfer_says_what_arrived_where(world, transfer_of_ada, own_mail_folder):
    mail.send_sent(transfer_of_ada)
    _, plain, rich = the_mail(own_mail_folder)
    link = globus.file_manager_link(world.campus_id, "/home/ada/wind/")
    request_url = f"{settings.BASE_URL}{transfer_of_ada.get_absolute_url()}"
    for part in (plain, rich):
        told = words_of(part)
        for words in ("Dataset wind, version 1", "3 files, 35 bytes", "Campus storage", "/home/ada/wind/", link, request_url):
            assert words in told


def test_mail_of_an_open_share_says_what_is_where_and_until_when(request_of_ada, own_mail_folder):
    mail.send_share_open(request_of_ada)
    _, plain, rich = the_mail(own_mail_folder)
    links = mail.share_links(request_of_ada)
    until = f"{request_of_ada.expires_at:%Y-%m-%d %H:%M} UTC"
    for part in (plain, rich):
        told = words_of(part)
        for words in ("Dataset sea-level, version 1", "3 files, 35 bytes", until, links["file_manager"], links["https"]):
            assert words in told


def test_mail_of_a_killed_worker_is_the_same_mail_again(request_of_ada, own_mail_folder):
    mail.send_share_open(request_of_ada)
    request_of_ada.mails.update(sent_at=None)
    mail.send_share_open(request_of_ada)
    assert len(mails(own_mail_folder)) == 1


def test_second_extension_brings_a_second_reminder(request_of_ada, own_mail_folder):
    mail.send_share_reminder(request_of_ada)
    request_of_ada.extended_count = 1
    mail.send_share_reminder(request_of_ada)
    assert len(mails(own_mail_folder)) == 2


def test_markup_in_a_title_stays_text(request_of_ada, own_mail_folder):
    dataset = request_of_ada.selections.get().version.dataset
    dataset.title = "Ice <b>& sea</b>"
    dataset.save()
    mail.send_share_open(request_of_ada)
    sent = message_from_string(mails(own_mail_folder)[0], policy=policy.default)
    assert "Ice &lt;b&gt;&amp; sea&lt;/b&gt;" in sent.get_body(("html",)).get_content()
    assert "Ice <b>& sea</b>" in sent["Subject"]


def test_mail_server_that_is_out_puts_the_mail_off_and_in_the_end_gives_up(request_of_ada, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.9", 9
    with pytest.raises(mail.MailUnavailableError):
        mail.try_sending(mail.send_share_open, request_of_ada)
    request_of_ada.attempts = mail.MOST_ATTEMPTS
    assert mail.try_sending(mail.send_share_open, request_of_ada) is False
