"""How fast a client may talk."""

from __future__ import annotations

from h5sup.base.pace import Pace


def test_each_second_has_room_for_so_many() -> None:
    pace = Pace(3)
    for start in (100.0, 101.0, 107.5):
        assert [pace.is_too_fast(start + 0.1 * n) for n in range(5)] == [False] * 3 + [True] * 2


def test_a_quiet_time_saves_up_nothing() -> None:
    pace = Pace(1)
    assert not pace.is_too_fast(0.0)
    assert not pace.is_too_fast(60.0)
    assert pace.is_too_fast(60.5)
