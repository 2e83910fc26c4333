from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.formats.rtp import TIMESTAMP_MASK, RtpHeader, build_header, timestamp_distance
from h5sup.outputs.rtc.replay import LEAST_INTERVAL, USUAL_INTERVAL, Replay, squeeze
from tests.fakes.rtc_parts import numbers, payloads, stamps


def packets_of(times: list[int], *, per_picture: int = 2, whole: bool = True) -> list[bytes]:
    """Return a GOP; the last packet of the newest picture is still to come unless `whole`."""
    made: list[bytes] = []
    for time in times:
        for index in range(per_picture):
            header = RtpHeader(
                payload_type=96,
                sequence=65_530 + len(made) & 0xFFFF,
                timestamp=time & TIMESTAMP_MASK,
                ssrc=9,
                is_marked=index == per_picture - 1,
            )
            made.append(build_header(header) + f"{len(made)}".encode())
    return made if whole else made[:-1]


def assert_fits(replay: Replay, times: list[int], *, whole: bool, next_in: int) -> None:
    """After what a live viewer has seen, and before what it will see."""
    found = list(dict.fromkeys(stamps(replay.packets)))
    assert len(found) == len(set(times))
    assert all(timestamp_distance(after, before) > 0 for before, after in pairwise(found))
    newest = max(times)
    seen = newest if whole or len(times) == 1 else sorted(times)[-2]
    if whole or len(times) > 1:
        assert timestamp_distance(found[0], seen & TIMESTAMP_MASK) > 0
    if whole:
        assert timestamp_distance(newest + next_in & TIMESTAMP_MASK, found[-1]) > 0
    else:
        assert found[-1] == newest & TIMESTAMP_MASK  # as the rest of it will have it


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("fps", [5, 25, 60])
@pytest.mark.parametrize("count", [1, 2, 3, 25, 250])
def test_a_gop_fits_between_two_pictures(fps: int, count: int, whole: bool) -> None:
    step = 90_000 // fps
    times = [1000 + step * index for index in range(count)]
    replay = squeeze(packets_of(times, whole=whole))
    assert_fits(replay, times, whole=whole, next_in=step)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(LEAST_INTERVAL, 90_000),
    st.integers(1, 300),
    st.integers(1, 4),
    st.booleans(),
)
def test_wherever_time_is_a_gop_fits(
    start: int, step: int, count: int, per_picture: int, whole: bool
) -> None:
    whole = whole or per_picture == 1
    times = [start + step * index for index in range(count)]
    sent = packets_of(times, per_picture=per_picture, whole=whole)
    replay = squeeze(sent)
    next_in = step if count > 1 else USUAL_INTERVAL
    assert_fits(replay, times, whole=whole, next_in=next_in)
    assert numbers(replay.packets) == numbers(sent)
    assert payloads(replay.packets) == payloads(sent)
    assert [replay.times[stamp] for stamp in stamps(sent)] == stamps(replay.packets)


@given(
    st.lists(st.integers(LEAST_INTERVAL, 90_000), min_size=1, max_size=200),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_an_unsteady_source_is_squeezed_by_its_quickest_pictures(
    steps: list[int], start: int, whole: bool
) -> None:
    """A pause before the newest picture says nothing of when the next one comes."""
    times = [start]
    for step in steps:
        times.append(times[-1] + step)
    replay = squeeze(packets_of(times, whole=whole))
    assert_fits(replay, times, whole=whole, next_in=min(steps))


@given(
    st.lists(st.permutations([0, 1, 2]), min_size=1, max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_pictures_out_of_order_come_after_the_newest(minis: list[list[int]], start: int) -> None:
    times = [start]
    for number, order in enumerate(minis):
        times += [start + 3600 * (1 + 3 * number + index) for index in order]
    assert_fits(squeeze(packets_of(times)), times, whole=True, next_in=3600)


def test_nothing_is_squeezed_to_nothing() -> None:
    assert squeeze([]) == Replay([], {})


def test_a_gop_begins_at_most_a_millisecond_before_each_next_picture() -> None:
    times = [3600 * index for index in range(10)]
    found = list(dict.fromkeys(stamps(squeeze(packets_of(times)).packets)))
    assert {after - before for before, after in pairwise(found)} == {90}
