import re

import pytest
from django.db import IntegrityError

from datasets import states
from datasets.errors import IllegalMoveError, StaleStateError
from datasets.models import ScanRun, Version
from datasets.states import (
    DOI_MOVES,
    HARVEST_MOVES,
    PUSH_MOVES,
    SCAN_MOVES,
    VERSION_MOVES,
    DoiStatus,
    HarvestStatus,
    PushStatus,
    ScanStatus,
    VersionStatus,
)


def test_the_drawings_say_what_the_dicts_say():
    drawn = set(re.findall(r"^ {4}(\w+) -> (\w+)$", states.__doc__, flags=re.MULTILINE))
    tables = (VERSION_MOVES, SCAN_MOVES, DOI_MOVES, PUSH_MOVES, HARVEST_MOVES)
    moves = {(str(old), str(new)) for table in tables for old, news in table.items() for new in news}
    assert drawn == moves
    assert set(VERSION_MOVES) == set(VersionStatus)
    assert set(SCAN_MOVES) == set(ScanStatus)
    assert set(DOI_MOVES) == set(DoiStatus)
    assert set(PUSH_MOVES) == set(PushStatus)
    assert set(HARVEST_MOVES) == set(HarvestStatus)


def test_a_move_that_is_not_drawn_is_refused_and_leaves_no_event(draft):
    version = draft()
    before = version.events.count()
    with pytest.raises(IllegalMoveError):
        version.move_to(VersionStatus.SUPERSEDED)
    assert version.events.count() == before


def test_of_two_who_move_the_same_row_one_is_told_that_it_came_late(draft, ben):
    version = draft()
    run = ScanRun.objects.create(version=version, asked_by=ben)
    same = ScanRun.objects.get(pk=run.pk)
    run.move_to(ScanStatus.RUNNING, actor=ben)
    with pytest.raises(StaleStateError):
        same.move_to(ScanStatus.RUNNING, actor=ben)
    assert list(run.events.values_list("old", "new", "actor")) == [("queued", "running", ben.pk)]


def test_a_version_cannot_be_published_by_assignment(draft):
    version = draft()
    with pytest.raises(IntegrityError):
        Version.objects.filter(pk=version.pk).update(status="published")
