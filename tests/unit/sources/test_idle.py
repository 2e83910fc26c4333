from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from h5sup.sources.idle import IDLE_S, next_tick


@given(st.floats(0, 1e7), st.floats(0, IDLE_S, exclude_max=True))
def test_all_who_ask_wake_in_the_same_turn(now_s: float, later_s: float) -> None:
    tick_s = next_tick(now_s, IDLE_S)
    assert now_s < tick_s <= now_s + IDLE_S
    other_s = next_tick(now_s + later_s, IDLE_S)
    assert other_s == (tick_s if now_s + later_s < tick_s else tick_s + IDLE_S)
