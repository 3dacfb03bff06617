"""What workers do with an access request: mails, reminders, the end; each step may run twice."""

import datetime as dt
from collections.abc import Callable
from typing import ClassVar

import pytest
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from datasets.access import decide, granting
from tests.transfers.access.conftest import body_of, work
from transfers.access import asking, following
from transfers.access.models import AccessMail, AccessRequest
from transfers.errors import ConflictError
from transfers.outbox import EmailBackend

DAY = dt.timedelta(days=1)


@pytest.fixture
def granted(asked, ben):
    work(asked)
    asking.approve(asked, user=ben, until=timezone.now() + 30 * DAY)
    return work(asked)


def end_grant(request, *, seconds_ago=1):
    """Its time is over, as if it had been given for shorter."""
    moment = timezone.now() - dt.timedelta(seconds=seconds_ago)
    request.dataset.grants.filter(revoked_at=None).update(granted_at=moment - DAY, expires_at=moment)


def test_stewards_are_told_of_a_request_once_and_can_answer_it(asked, ada, ben, outbox):
    work(asked)
    work(asked)
    (mail,) = outbox()
    assert (mail["To"], mail["Reply-To"]) == (ben.email, ada.email)
    assert mail["Subject"] == f"Access asked: {asked.dataset.title} by {ada.name}"
    for kind in ("plain", "html"):
        assert "A study of seas." in body_of(mail, kind)
        assert asked.get_absolute_url() in body_of(mail, kind)
    assert asked.due_at is None, "nothing more to do before somebody decides"


def test_the_person_is_told_of_the_answer_with_its_end_or_its_reason(granted, ada, ben, outbox):
    mail = outbox()[-1]
    end = f"{granted.expires_at:%Y-%m-%d %H:%M} UTC"
    assert mail["To"] == ada.email
    assert end in mail["Subject"]
    assert all(end in body_of(mail, kind) for kind in ("plain", "html"))
    asking.ask_renewal(granted, user=ada, purpose="It goes on & on.")
    work(granted)
    asking.deny(granted, user=ben, reason="A month is <enough>.")
    work(granted)
    asked, denied = outbox()[-2:]
    assert asked["Subject"].startswith("More time asked")
    assert "It goes on & on." in body_of(asked)
    assert "It goes on &amp; on." in body_of(asked, "html")
    assert denied["Subject"].startswith("No more time")
    assert "A month is <enough>." in body_of(denied)
    assert "A month is &lt;enough&gt;." in body_of(denied, "html")
    assert end in body_of(denied)


def test_a_denial_and_a_withdrawal_are_told(asked, dataset, ada, ben, outbox):
    asking.deny(asked, user=ben, reason="Not clear.")
    work(asked)
    assert "Not clear." in body_of(outbox()[-1])
    again = asking.request_access(dataset, user=ada, purpose="Clearer")
    work(again)
    asking.withdraw(again, user=ada)
    work(again)
    assert (outbox()[-1]["To"], again.status, again.due_at) == (ben.email, "withdrawn", None)


def test_the_end_is_reminded_of_once_and_comes_by_itself(granted, dataset, ada, outbox, settings):
    assert granted.due_at == granted.expires_at - settings.REMINDER_DAYS * DAY
    dataset.grants.update(granted_at=timezone.now() - 30 * DAY, expires_at=timezone.now() + DAY)
    work(granted)
    work(granted)
    soon = [mail for mail in outbox() if mail["Subject"].startswith("Access ends")]
    assert len(soon) == 1
    assert granted.due_at == granted.expires_at
    end_grant(granted)
    assert not decide(ada, dataset).is_allowed, "access waits for no worker"
    work(granted)
    assert (granted.status, granted.last_act, granted.due_at) == ("ended", "ended", None)
    assert "its time is over" in body_of(outbox()[-1])


def test_a_grant_that_is_taken_back_ends_the_request_and_says_so(granted, ben, outbox):
    granting.revoke(granted.grant, revoked_by=ben)
    wake(granted)
    assert (granted.status, granted.last_act) == ("ended", "taken-back")
    assert "a steward took it back" in body_of(outbox()[-1])
    assert granted.events.last().actor == ben


def on_the_desk(dataset, person, *, by, end=None):
    """A steward gives the end on the desk of the dataset, past the request."""
    return granting.grant(dataset, principal_type="identity", principal=person.pk, granted_by=by, label="Ada", expires_at=end)


def wake(request):
    """The sweep, and the worker that it hints at."""
    following.sweep()
    request.refresh_from_db()
    assert request.due_at is not None
    assert request.due_at <= timezone.now() + dt.timedelta(seconds=30), "the sweep found it long before its end"
    return work(request, at_once=False)


def test_an_end_that_the_steward_moved_on_the_desk_is_followed(granted, dataset, ada, ben):
    end = timezone.now() + 90 * DAY
    given = on_the_desk(dataset, ada, by=ben, end=end)
    wake(granted)
    assert (granted.status, granted.grant, granted.expires_at) == ("granted", given, end)
    endless = on_the_desk(dataset, ada, by=ben)
    wake(granted)
    assert (granted.grant, granted.expires_at, granted.due_at) == (endless, None, None)
    given = on_the_desk(dataset, ada, by=ben, end=end)
    wake(granted)
    assert (granted.grant, granted.expires_at) == (given, end)
    assert following.sweep() == 0, "what is followed wakes nobody"


def test_she_is_reminded_anew_of_an_end_that_was_moved_on_the_desk(granted, dataset, ada, ben, outbox, settings):
    def reminders():
        return [mail["Subject"] for mail in outbox() if mail["Subject"].startswith("Access ends")]

    for n_days in (5, 6):
        end = timezone.now() + n_days * DAY
        on_the_desk(dataset, ada, by=ben, end=end)
        settings.REMINDER_DAYS = 2
        work(granted)
        dataset.grants.filter(revoked_at=None).update(granted_at=timezone.now() - 9 * DAY)
        settings.REMINDER_DAYS = n_days
        work(granted)
        work(granted)
        assert granted.reminded_of == end
        assert f"{end:%Y-%m-%d %H:%M} UTC" in reminders()[-1]
    assert len(reminders()) == 2


def test_giving_back_ends_what_a_steward_gave_on_the_desk_too(granted, dataset, ada, ben):
    on_the_desk(dataset, ada, by=ben, end=timezone.now() + 90 * DAY)
    asking.give_back(granted, user=ada)
    assert not decide(ada, dataset).is_allowed
    assert work(granted).status == "ended"


def test_access_without_an_end_is_not_renewed_and_mails_name_no_end(granted, dataset, ada, ben, outbox):
    asking.ask_renewal(granted, user=ada, purpose="More")
    work(granted)
    on_the_desk(dataset, ada, by=ben)
    wake(granted)
    asking.deny(granted, user=ben, reason="It has no end.")
    work(granted)
    denied = outbox()[-1]
    assert all("never" not in body_of(denied, kind) for kind in ("plain", "html"))
    assert all("What you have stays." in body_of(denied, kind) for kind in ("plain", "html"))
    with pytest.raises(ConflictError, match="no end"):
        asking.ask_renewal(granted, user=ada, purpose="More")


def test_a_renewal_waits_on_when_time_runs_out(granted, dataset, ada, ben, outbox):
    asking.ask_renewal(granted, user=ada, purpose="More")
    work(granted)
    end_grant(granted)
    work(granted)
    assert granted.status == "waiting"
    assert "still waits" in body_of(outbox()[-1])
    assert list(AccessRequest.objects.to_decide(ben)) == [granted]
    asking.approve(granted, user=ben, until=timezone.now() + DAY)
    assert decide(ada, dataset).is_allowed
    assert work(granted).status == "granted"


class DeafBackend(BaseEmailBackend):
    """A mail server that is out."""

    def send_messages(self, email_messages):
        raise OSError("no answer")


def test_a_mail_server_that_is_out_delays_the_mail_and_nothing_else(granted, dataset, ada, ben, outbox, settings):
    working = settings.EMAIL_BACKEND
    asking.ask_renewal(granted, user=ada, purpose="More")
    settings.EMAIL_BACKEND = f"{__name__}.DeafBackend"
    work(granted)
    assert granted.attempts == 1
    assert granted.due_at > timezone.now()
    assert decide(ada, dataset).is_allowed
    settings.EMAIL_BACKEND = working
    work(granted)
    assert outbox()[-1]["Subject"].startswith("More time asked")
    AccessRequest.objects.filter(pk=granted.pk).update(attempts=following.MOST_ATTEMPTS)
    asking.deny(granted, user=ben, reason="No")
    AccessRequest.objects.filter(pk=granted.pk).update(attempts=following.MOST_ATTEMPTS)
    settings.EMAIL_BACKEND = f"{__name__}.DeafBackend"
    work(granted)
    assert (granted.status, granted.attempts) == ("granted", 0), "given up, and it goes on"


class BusyBackend(EmailBackend):
    """A mail server that takes its time: meanwhile somebody acts. It refuses the mail in the end where `is_out`."""

    meanwhile: ClassVar[list[Callable[[], object]]] = []
    is_out = False

    def send_messages(self, email_messages):
        while self.meanwhile:
            self.meanwhile.pop()()
        if self.is_out:
            raise OSError("no answer")
        return super().send_messages(email_messages)


class BusyAndOutBackend(BusyBackend):
    is_out = True


@pytest.fixture
def meanwhile():
    yield BusyBackend.meanwhile.append
    BusyBackend.meanwhile.clear()


@pytest.mark.parametrize("backend", [BusyBackend, BusyAndOutBackend])
def test_who_acts_while_a_worker_mails_is_told_at_once_and_not_forgotten(asked, dataset, ada, ben, outbox, settings, meanwhile, backend):
    working = settings.EMAIL_BACKEND
    meanwhile(lambda: asking.approve(asked, user=ben, until=timezone.now() + 30 * DAY))
    settings.EMAIL_BACKEND = f"{__name__}.{backend.__name__}"
    work(asked)
    settings.EMAIL_BACKEND = working
    assert (asked.status, asked.attempts, asked.claimed_until) == ("granted", 0, None)
    assert asked.due_at is not None
    assert asked.due_at <= timezone.now(), "the approval waits for a worker"
    work(asked, at_once=False)
    assert outbox()[-1]["Subject"].startswith("Access until")
    assert asked.due_at == asked.expires_at - settings.REMINDER_DAYS * DAY


def test_a_renewal_that_is_asked_during_the_reminder_is_told_to_the_stewards(granted, dataset, ada, ben, outbox, settings, meanwhile):
    dataset.grants.update(granted_at=timezone.now() - 30 * DAY, expires_at=timezone.now() + DAY)
    working = settings.EMAIL_BACKEND
    fresh = AccessRequest.objects.get(pk=granted.pk)
    meanwhile(lambda: asking.ask_renewal(fresh, user=ada, purpose="More"))
    settings.EMAIL_BACKEND = f"{__name__}.BusyBackend"
    work(granted)
    settings.EMAIL_BACKEND = working
    assert granted.status == "renewing"
    assert granted.due_at <= timezone.now()
    work(granted, at_once=False)
    assert outbox()[-1]["Subject"].startswith("More time asked")


def test_the_sweep_does_not_hurry_a_mail_that_is_put_off(granted, ben, settings):
    granting.revoke(granted.grant, revoked_by=ben)
    settings.EMAIL_BACKEND = f"{__name__}.DeafBackend"
    AccessMail.objects.filter(request=granted).delete()
    work(granted)
    assert granted.attempts == 1
    put_off = granted.due_at
    assert following.sweep() == 0
    granted.refresh_from_db()
    assert granted.due_at == put_off


def test_a_worker_killed_after_sending_sends_the_same_message_again(asked, outbox):
    work(asked)
    AccessMail.objects.update(sent_at=None)
    work(asked)
    assert len(outbox()) == 1, "a store drops a Message-ID that it has"
    AccessRequest.objects.filter(pk=asked.pk).update(claimed_until=timezone.now() + DAY)
    following.follow(str(asked.pk))
    assert len(outbox()) == 1, "another worker has it"


def test_the_sweep_hints_at_what_is_due_and_at_nothing_else(asked, granted_elsewhere, outbox):
    AccessRequest.objects.filter(pk=asked.pk).update(due_at=timezone.now())
    assert following.sweep() == 1
    assert following.sweep() == 0


@pytest.fixture
def granted_elsewhere(publish, cy, dee):
    dataset = publish("wind", policy="restricted").dataset
    made = asking.request_access(dataset, user=cy, purpose="Wind")
    asking.approve(made, user=dee, until=timezone.now() + 30 * DAY)
    return work(made)
