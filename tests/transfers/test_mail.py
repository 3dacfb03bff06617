from email import message_from_string, policy

import pytest
from django.utils import timezone

from tests.transfers.conftest import everything, mails
from transfers import mail, sharing
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


@pytest.mark.parametrize("send", [mail.send_share_open, mail.send_share_reminder, mail.send_request_failed])
def test_mail_is_sent_once_in_text_and_html(request_of_ada, own_mail_folder, send):
    send(request_of_ada)
    send(request_of_ada)
    (text,) = mails(own_mail_folder)
    sent = message_from_string(text, policy=policy.default)
    assert sent["To"] == "ada@university.example"
    assert sent["Message-ID"].startswith(f"<{request_of_ada.pk}.")
    plain, rich = sent.get_body(("plain",)).get_content(), sent.get_body(("html",)).get_content()
    assert "&amp;" not in plain
    assert str(request_of_ada.get_absolute_url()) in plain
    assert str(request_of_ada.get_absolute_url()) in rich
    assert "{{" not in plain + rich


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
