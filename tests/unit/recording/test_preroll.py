"""The pre-roll: long enough, never larger than allowed, of one kind."""

from __future__ import annotations

from h5sup.formats.isobmff.init_segment import parse_init
from h5sup.recording.gop import Gop
from h5sup.recording.preroll import PreRoll
from tests.fakes.mp4 import build_init

INIT = parse_init(build_init())
OTHER = parse_init(build_init(audio=False))


def gop(number: int, *, size_bytes: int = 100, duration_s: float = 2.0) -> Gop:
    return Gop(
        init=INIT,
        fragments=(),
        size_bytes=size_bytes,
        duration_s=duration_s,
        wall_us=number,
    )


def kept(preroll: PreRoll) -> list[int]:
    return [one.wall_us for one in preroll.gops()]


def test_whole_gops_of_at_least_so_long_are_kept() -> None:
    preroll = PreRoll(10_000)
    for number in range(10):
        preroll.add(gop(number), 5.0)
    assert kept(preroll) == [7, 8, 9]
    assert preroll.size_bytes == 300


def test_never_more_bytes_than_allowed() -> None:
    preroll = PreRoll(250)
    for number in range(5):
        preroll.add(gop(number), 60.0)
    assert kept(preroll) == [3, 4]
    preroll.add(gop(5, size_bytes=251), 60.0)
    assert kept(preroll) == []
    assert preroll.size_bytes == 0


def test_what_one_file_can_not_hold_is_not_kept_together() -> None:
    preroll = PreRoll(10_000)
    preroll.add(gop(1), 60.0)
    preroll.add(Gop(init=OTHER, fragments=(), size_bytes=7, duration_s=2.0, wall_us=2), 60.0)
    assert kept(preroll) == [2]
    assert preroll.size_bytes == 7
