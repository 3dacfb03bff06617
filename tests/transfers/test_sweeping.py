import base64
import json
from datetime import timedelta

import pytest
import redis
from celery import current_app
from django.conf import settings as site
from django.utils import timezone

from tests.transfers.conftest import everything
from transfers import sharing, steps, sweeping
from transfers.models import DataRequest
from transfers.states import LIVE, MOVES, WORKING, Kind, Status


def queued_tasks():
    """The messages that wait in the broker, taken out of it."""
    prefix = current_app.conf.broker_transport_options["global_keyprefix"]
    key = f"{prefix}{current_app.conf.task_default_queue}"
    with redis.Redis.from_url(site.REDIS_URL) as client:
        found = [json.loads(line) for line in client.lrange(key, 0, -1)]
        client.delete(key)
    return [(one["headers"]["task"], json.loads(base64.b64decode(one["body"]))[0][0]) for one in found]


@pytest.fixture(autouse=True)
def empty_broker():
    queued_tasks()


def test_what_is_due_is_hinted_at_once_in_a_while(publish, ada, settings):
    settings.SWEEP_SECONDS = 600  # what was hinted at is not due again while this test lasts, however busy the machine
    request = sharing.request_share(user=ada, wanted=everything(publish()))
    assert queued_tasks() == []  # the message went with the commit, which this test does not reach
    assert sweeping.sweep() == 1
    assert queued_tasks() == [("transfers.stage", str(request.pk))]
    assert sweeping.sweep() == 0
    DataRequest.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert sweeping.sweep() == 1


def test_request_is_hinted_at_when_it_is_committed(publish, ada, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        request = sharing.request_share(user=ada, wanted=everything(publish()))
    assert queued_tasks() == [("transfers.stage", str(request.pk))]


def test_broker_that_is_gone_does_not_refuse_a_request(publish, ada, django_capture_on_commit_callbacks, monkeypatch):
    monkeypatch.setattr(current_app.conf, "broker_url", "redis+socket:///nowhere/valkey.sock")  # a broker that is out
    monkeypatch.setattr(current_app, "_pool", None)
    current_app.amqp._producer_pool = None
    with django_capture_on_commit_callbacks(execute=True):
        request = sharing.request_share(user=ada, wanted=everything(publish()))
    assert request.status == Status.QUEUED
    monkeypatch.undo()
    current_app.amqp._producer_pool = None


def test_every_working_state_has_its_step():
    for kind in Kind:
        for status in WORKING | (LIVE - {Status.NEEDS_SIGN_IN}):
            if status in MOVES[kind]:
                assert (kind, status) in steps.STEPS
