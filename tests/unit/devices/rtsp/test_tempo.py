from __future__ import annotations

import pytest

from h5sup.devices.rtsp.tempo import Passing, Tempo, stretch
from h5sup.formats.rtsp import list_frames

HZ = 90_000
PICTURE = 3600


def see(
    step: int, every_s: float, pictures: int, *, burst: int = 0, order: tuple[int, ...] = (0,)
) -> Passing:
    """Return what comes when pictures are so far apart; a burst of them comes at once."""
    passing = Passing()
    for number in range(pictures):
        shown = number - number % len(order) + order[number % len(order)]
        at_s = max(0, number - burst) * every_s
        for _ in range(2):  # packets
            passing.see((2**32 - 9000 + shown * step) % 2**32, at_s)
    return passing


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
@pytest.mark.parametrize("order", [(0,), (0, 3, 1, 2)], ids=["in order", "B-frames"])
def test_what_lies_between_pictures_tells_at_once(scale: int, order: tuple[int, ...]) -> None:
    normal = see(PICTURE, 0.04, 50, order=order).spacing
    original = see(PICTURE, 0.04 / scale, 9, order=order)
    assert original.judge(scale, HZ, normal, 0.1) is Tempo.ORIGINAL
    compressed = see(PICTURE // scale, 0.04 / scale, 9, order=order)
    assert compressed.judge(scale, HZ, normal, 0.1) is Tempo.COMPRESSED
    unchanged = see(PICTURE, 0.04, 9, order=order)  # it grants what it does not do
    assert unchanged.judge(scale, HZ, normal, 0.4) is Tempo.ORIGINAL


def test_of_key_pictures_the_time_that_passes_tells() -> None:
    original = see(25 * PICTURE, 0.25, 5)
    assert original.judge(4, HZ, PICTURE, 0.5) is None
    assert original.judge(4, HZ, PICTURE, 1.0) is Tempo.ORIGINAL
    compressed = see(25 * PICTURE // 4, 0.25, 5)
    assert compressed.judge(4, HZ, PICTURE, 1.0) is Tempo.COMPRESSED


def test_without_a_spacing_to_compare_what_came_at_once_is_left_out() -> None:
    assert see(PICTURE // 4, 0.01, 120, burst=40).judge(4, HZ, 0, 0.8) is Tempo.COMPRESSED
    assert see(PICTURE, 0.01, 120, burst=40).judge(4, HZ, 0, 0.8) is Tempo.ORIGINAL


def test_what_came_all_at_once_is_believed_to_be_as_it_was_recorded() -> None:
    burst = see(PICTURE, 0.0, 3)
    assert burst.judge(4, HZ, 0, 1.0) is None
    assert burst.judge(4, HZ, 0, 1.6) is Tempo.ORIGINAL


def test_stretched_are_the_timestamps_of_one_channel_alone() -> None:
    def frame(channel: int, timestamp: int, rest: bytes = b"payload") -> bytes:
        packet = b"\x80\x60\x00\x01" + timestamp.to_bytes(4) + b"\x00\x00\x00\x07" + rest
        return b"$" + channel.to_bytes() + len(packet).to_bytes(2) + packet

    base = 2**32 - 100
    run = frame(4, base) + frame(5, 7) + frame(4, 50) + frame(4, base - 10) + b"$\x04\x00\x02ab"
    changed = stretch(run, 4, base, 4)
    assert changed == (
        frame(4, base) + frame(5, 7) + frame(4, 500) + frame(4, base - 40) + b"$\x04\x00\x02ab"
    )
    assert list(list_frames(changed)) == list(list_frames(run))
