"""Wall times of GOPs: steady, right, and undisturbed by what happens on the way."""

from __future__ import annotations

from itertools import pairwise

import pytest

from h5sup.recording.clock import Arrival, Placement, WallClock

EPOCH_S = 1_795_600_000.0
FRAME_S = 0.04


class Line:
    """A camera whose GOPs of a second are placed as they come."""

    def __init__(self) -> None:
        self.now_s = 50.0
        self.set_s = 0.0
        self.media_s = 10.0
        self.clock = WallClock(lambda: EPOCH_S + self.now_s + self.set_s, lambda: self.now_s)

    def gop(self, *, delay_s: float = 0.0, pace: float = 1.0, frames: int = 25) -> Placement:
        """Let a GOP come: so late, and so much slower than it is played."""
        begins_s, arrivals = self.media_s, []
        for _ in range(frames):
            self.now_s += FRAME_S * pace
            self.media_s += FRAME_S
            arrivals.append(Arrival(self.now_s + delay_s, self.media_s))
        return self.clock.place(begins_s, arrivals)

    def gops(self, count: int, *, delay_s: float = 0.0, pace: float = 1.0) -> list[int]:
        return [self.gop(delay_s=delay_s, pace=pace).wall_us for _ in range(count)]


def steps_s(walls_us: list[int]) -> list[float]:
    return [(after - before) / 1e6 for before, after in pairwise(walls_us)]


def test_a_gop_is_placed_where_its_first_picture_was_taken() -> None:
    line = Line()
    assert line.gop().wall_us == pytest.approx((EPOCH_S + 50.0) * 1e6, abs=10)
    assert steps_s(line.gops(50)) == pytest.approx([1.0] * 49, abs=1e-5)


def test_the_least_delayed_tells_and_others_move_nothing() -> None:
    line = Line()
    first = line.gop().wall_us
    for index in range(30):
        assert line.gop(delay_s=0.3 * (index % 3)).clock_jump_s == 0.0
    assert line.gop().wall_us == pytest.approx(first + 31e6, abs=20_000)


def test_a_start_that_came_late_is_corrected_soon_and_never_backwards() -> None:
    line = Line()
    walls = [line.gop(delay_s=0.8).wall_us, *line.gops(10)]
    assert all(0.49 < step < 1.01 for step in steps_s(walls))
    assert walls[-1] == pytest.approx((EPOCH_S + 50.0 + 10.0) * 1e6, abs=1000)


def test_what_is_off_later_is_pulled_straight_as_slowly_as_clocks_drift() -> None:
    line = Line()
    line.gops(20)
    walls = line.gops(400, pace=1.0003)
    assert all(abs(step - 1.0) <= 501e-6 for step in steps_s(walls))
    behind_s = EPOCH_S + line.now_s - 1.0003 - walls[-1] / 1e6
    assert abs(behind_s) < 0.05  # within the window of the drift


def test_lost_pictures_show_as_a_jump_forward() -> None:
    line = Line()
    before = line.gops(10)[-1]
    line.now_s += 7.0
    assert line.gop().wall_us == pytest.approx(before + 8e6, abs=1000)


def test_lost_pictures_show_with_gops_too_short_to_be_told_by_one() -> None:
    line = Line()
    for _ in range(20):
        line.gop(frames=5)
    line.now_s += 7.0
    walls = [line.gop(frames=5).wall_us for _ in range(10)]
    assert [step for step in steps_s(walls) if step > 1] == [pytest.approx(7.2, abs=0.01)]


def test_pictures_that_were_held_up_stay_where_they_were_taken() -> None:
    line = Line()
    walls = line.gops(10)
    line.now_s += 5.0  # nothing comes; then five seconds of pictures at once
    walls += line.gops(5, pace=0.01)
    line.now_s = 50.0 + line.media_s - 10.0
    walls += line.gops(5)
    assert steps_s(walls) == pytest.approx([1.0] * 19, abs=1e-3)


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 2.0])
def test_a_clock_that_is_set_moves_what_follows_and_is_told_once(jump_s: float) -> None:
    line = Line()
    before = line.gops(10)[-1]
    line.set_s = jump_s
    placed = line.gop()
    assert placed.clock_jump_s == pytest.approx(jump_s, abs=1e-3)
    assert placed.wall_us == pytest.approx(before + (1 + jump_s) * 1e6, abs=1000)
    after = line.gop()
    assert after.clock_jump_s == 0.0
    assert after.wall_us - placed.wall_us == pytest.approx(1e6, abs=1000)


def test_all_that_was_late_is_placed_anew_when_the_first_prompt_picture_comes() -> None:
    line = Line()
    line.gops(2, delay_s=3.0)
    assert line.gop().wall_us == pytest.approx((EPOCH_S + 52.0) * 1e6, abs=1000)


def test_what_has_come_of_a_gop_is_placed_without_learning_from_it() -> None:
    line = Line()
    early = line.clock.estimate_us(10.0, [Arrival(50.04, 10.04)])
    assert early == pytest.approx((EPOCH_S + 50.0) * 1e6, abs=10)
    known = line.gop(delay_s=0.0).wall_us
    late = line.clock.estimate_us(11.0, [Arrival(59.0, 11.04)])
    assert late == pytest.approx(known + 1e6, abs=10)
