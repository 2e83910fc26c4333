"""When media is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from h5sup.recording.playback.pace import Pace

LEAD_S = 0.3


def test_the_lead_is_sent_at_once_and_filled_up_in_small_runs() -> None:
    pace = Pace(LEAD_S)
    sent, now = 0, 100.0
    while pace.due_in(now) == 0:
        sent += 1
        pace.sent(sent * 0.04, now)
    assert sent == 8  # what begins within the lead
    wait_s = pace.due_in(now)
    assert abs(wait_s - (0.32 - 0.2)) < 1e-9
    assert pace.due_in(now + wait_s + 1e-9) == 0


def test_a_viewer_without_a_lead_gets_each_picture_when_it_is_due() -> None:
    pace = Pace(0.0)
    assert pace.due_in(5.0) == 0
    pace.sent(0.04, 5.0)
    assert abs(pace.due_in(5.01) - 0.03) < 1e-9
    assert pace.due_in(5.05) == 0


def test_a_viewer_that_stood_still_goes_on_where_it_stood() -> None:
    pace = Pace(LEAD_S)
    pace.sent(0.3, 0.0)
    assert pace.position(10.0) == 0.3
    pace.sent(0.34, 10.0)
    assert pace.position(10.0) == 0.3
    assert abs(pace.position(10.02) - 0.32) < 1e-9


@given(st.lists(st.tuples(st.floats(0.001, 1), st.floats(0, 2)), min_size=1, max_size=60))
def test_a_viewer_never_goes_back_nor_past_what_it_has(steps: list[tuple[float, float]]) -> None:
    pace, now, end_s, before_s = Pace(LEAD_S), 50.0, 0.0, 0.0
    for long_s, passed_s in steps:
        if pace.due_in(now) == 0:
            assert end_s - pace.position(now) < LEAD_S
            end_s += long_s
            pace.sent(end_s, now)
        now += passed_s
        position_s = pace.position(now)
        assert before_s <= position_s <= end_s
        before_s = position_s
