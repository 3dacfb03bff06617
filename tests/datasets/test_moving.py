import contextlib
import uuid

import psycopg2
import pytest
from django.db import connection, transaction

from datasets.errors import NotClaimedError
from datasets.models import ScanRun
from datasets.states import SCAN_OPEN, ScanStatus


@pytest.fixture
def run(draft, ben):
    return ScanRun.objects.create(version=draft(), asked_by=ben)


def test_a_claim_is_given_back_after_a_step_and_runs_out_after_an_error(run):
    with ScanRun.objects.claim(run.pk, expected=SCAN_OPEN) as held:
        held.move_to(ScanStatus.RUNNING)
        held.keep_claim(n_files=3)
    run.refresh_from_db()
    assert (run.claimed_until, run.claim_id, run.n_files) == (None, None, 3)
    with pytest.raises(RuntimeError), ScanRun.objects.claim(run.pk, expected=SCAN_OPEN):
        raise RuntimeError
    with pytest.raises(NotClaimedError), ScanRun.objects.claim(run.pk, expected=SCAN_OPEN):
        pass
    run.refresh_from_db()
    assert run.claimed_until is not None


def test_who_lost_a_claim_neither_keeps_it_nor_gives_it_back_even_having_read_the_row_again(run):
    another = uuid.uuid4()
    with ScanRun.objects.claim(run.pk, expected=SCAN_OPEN) as held:
        ScanRun.objects.filter(pk=run.pk).update(claim_id=another)
        held.refresh_from_db()
        with pytest.raises(NotClaimedError):
            held.keep_claim(n_files=3)
    run.refresh_from_db()
    assert (run.claim_id, run.n_files) == (another, 0)
    assert run.claimed_until is not None


def test_what_is_in_another_state_is_not_claimed(run):
    with pytest.raises(NotClaimedError), ScanRun.objects.claim(run.pk, expected={ScanStatus.RUNNING}):
        pass


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_being_written_is_left_to_who_writes_it_without_waiting(run):
    with contextlib.closing(psycopg2.connect(**connection.get_connection_params())) as another:
        another.cursor().execute("update datasets_scanrun set n_files = 5 where id = %s", [run.pk])
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("set local lock_timeout = '20s'")  # a claim that waits fails, and does not hang
            with pytest.raises(NotClaimedError), ScanRun.objects.claim(run.pk, expected=SCAN_OPEN):
                pass
        another.commit()
    with ScanRun.objects.claim(run.pk, expected=SCAN_OPEN) as held:
        assert held.n_files == 5
