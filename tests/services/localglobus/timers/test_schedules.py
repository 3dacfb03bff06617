"""When a timer runs, whatever was missed."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.localglobus.timers.schedules import Schedule
from services.localglobus.transfer import times

MOMENTS = st.integers(1_577_836_800, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
INTERVALS = st.integers(1, 10**7)


@given(MOMENTS, MOMENTS, INTERVALS)
def test_next_tick_is_the_first_of_the_grid_after_the_moment(start, moment, interval_s):
    tick = Schedule(start=times.text(start), interval_s=interval_s).next_after(times.text(moment), n_runs=0)
    found = datetime.fromisoformat(tick)
    assert found > moment or found == start > moment
    assert (found - start) % timedelta(seconds=interval_s) == timedelta()
    assert found == start or found - timedelta(seconds=interval_s) <= moment


@given(MOMENTS, INTERVALS, st.integers(1, 5))
def test_a_number_of_runs_or_a_time_ends_it(start, interval_s, most_runs):
    text = times.text(start)
    assert Schedule(start=text, interval_s=interval_s, most_runs=most_runs).next_after(text, n_runs=most_runs) is None
    assert Schedule(start=text, interval_s=interval_s, most_runs=most_runs).next_after(text, n_runs=most_runs - 1) is not None
    assert Schedule(start=text, interval_s=interval_s, end=text).next_after(text, n_runs=0) is None
    assert Schedule(start=text).next_after(text, n_runs=0) is None
