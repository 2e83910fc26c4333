"""What a playback hands over goes into the rings when it is due, whatever it hands over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from h5sup.base.errors import MediaFormatError, UnavailableError
from h5sup.bus.fragment import Fragment
from h5sup.bus.packet_ring import Codec
from h5sup.bus.playback import Begun, Item, Played, Position
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import NON_SYNC_FLAGS, SYNC_FLAGS, Sample
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.formats.isobmff.track import Track
from h5sup.formats.rtp import parse_header
from h5sup.outputs.rtc.projector import AHEAD_S, LATE_S, Projector
from tests.fakes.playback import BEGAN, PPS, SPS, FakePlayback, build_tape

SCALE = 12_800
SHORT = 64  # ticks: a picture each 5 ms
LONG = 5 * SCALE
LASTING = 500  # 40 ms
TAPE = build_tape()
OPUS = Track(kind="audio", codec="opus", id=2, timescale=48_000)
WITH_SOUND = InitSegment(TAPE.init.data, TAPE.init.video, OPUS)


class Script(FakePlayback):
    """Hands over what it was given; a number is a time it is late by."""

    def __init__(self, items: Sequence[Item | float]) -> None:
        super().__init__(TAPE)
        self.script = list(items)
        self.asked = 0

    async def next(self) -> Item | None:
        self.asked += 1
        while self.script and isinstance(self.script[0], float):
            await asyncio.sleep(float(self.script.pop(0)))  # type: ignore[arg-type]  # checked
        item = self.script.pop(0) if self.script else None
        assert not isinstance(item, float)
        return item


class Taker:
    """A viewer of one ring, as far as a ring sees it."""

    def __init__(self) -> None:
        self.units: list[tuple[float, list[bytes]]] = []

    def on_packets(self, packets: Sequence[bytes]) -> None:
        self.units.append((asyncio.get_running_loop().time(), list(packets)))

    def on_close(self, reason: str) -> None:
        raise AssertionError(reason)

    @property
    def stamps(self) -> list[int]:
        return [parse_header(packets[0]).timestamp for _, packets in self.units]

    @property
    def steps(self) -> list[int]:
        return [after - before & 0xFFFFFFFF for before, after in pairwise(self.stamps)]

    @property
    def numbers(self) -> list[int]:
        """Which pictures came."""
        return [int.from_bytes(packets[-1][13:15]) for _, packets in self.units]


class Rig:
    def __init__(self, playback: FakePlayback, codec: Codec) -> None:
        self.playback = playback
        self.positions: list[Position] = []
        self.projector = Projector(playback, codec, self.positions.append)
        self.taker, self.listener = Taker(), Taker()
        self.running = asyncio.create_task(self.projector.run())

    def watch(self) -> None:
        self.projector.video.ring.subscribe(self.taker)
        self.projector.sound.ring.subscribe(self.listener)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def rig(playback: FakePlayback, codec: Codec = "h264") -> AsyncIterator[Rig]:
    made = Rig(playback, codec)
    made.watch()
    try:
        yield made
    finally:
        made.running.cancel()
        await asyncio.wait({made.running})


def picture(
    number: int, at: int, *, ticks: int = SHORT, key: bool | None = None, cts: int = 0
) -> NewRun:
    is_key = not number if key is None else key
    nal = (b"\x65" if is_key else b"\x41") + number.to_bytes(2) + bytes(20)
    flags = SYNC_FLAGS if is_key else NON_SYNC_FLAGS
    assert TAPE.init.video is not None
    sample = Sample(0, 4 + len(nal), ticks, flags, cts)
    return NewRun(TAPE.init.video, at, [sample], len(nal).to_bytes(4) + nal)


def together(*runs: NewRun) -> NewRun:
    samples = [sample for run in runs for sample in run.samples]
    return replace_run(runs[0], samples, b"".join(run.payload for run in runs))


def replace_run(run: NewRun, samples: list[Sample], payload: bytes) -> NewRun:
    return run._replace(samples=samples, payload=payload)


def sound(at: int, packets: list[bytes]) -> NewRun:
    samples = [Sample(0, len(packet), 960, SYNC_FLAGS, 0) for packet in packets]
    return NewRun(OPUS, at, samples, b"".join(packets))


def played(*runs: NewRun, key: bool = False) -> Played:
    return Played(Fragment(0, build_fragment(0, *runs), key, None, None, 0.0), BEGAN)


def key(*runs: NewRun) -> Played:
    return played(*runs, key=True)


async def test_nothing_is_taken_before_somebody_watches() -> None:
    made = Rig(Script([Begun(TAPE.init)]), "h264")
    await asyncio.sleep(0.01)
    assert isinstance(made.playback, Script)
    assert made.playback.asked == 0
    made.watch()
    await made.until(lambda: not isinstance(made.playback, Script) or made.playback.asked == 2)
    made.running.cancel()


async def test_pictures_are_sent_when_they_are_due() -> None:
    playback = FakePlayback(build_tape(20, picture_ticks=SHORT))
    async with rig(playback) as made:
        playback.start()
        await made.until(lambda: made.positions and made.positions[-1].is_end)
        assert made.taker.numbers == list(range(20))
        assert set(made.taker.steps) == {450}
        began = made.taker.units[0][0]
        late = [at - began - index * 0.005 for index, (at, _) in enumerate(made.taker.units)]
        assert min(late) > -0.003
        nals = [packet[12:] for packet in made.taker.units[5][1]]
        assert nals[:2] == [SPS, PPS]
        assert len(made.taker.units[4][1]) == 1


async def test_a_fragment_of_many_pictures_is_sent_one_by_one() -> None:
    runs = together(*(picture(number, number * SHORT) for number in range(6)))
    async with rig(Script([Begun(TAPE.init), key(runs)])) as made:
        await made.until(lambda: len(made.taker.units) == 6)
        assert made.taker.units[-1][0] - made.taker.units[0][0] > 0.02
        assert set(made.taker.steps) == {450}


async def test_a_jump_makes_void_what_is_about_to_be_sent() -> None:
    items: list[Item | float] = [
        Begun(TAPE.init),
        key(picture(0, 0, ticks=LONG)),
        played(picture(1, LONG)),
    ]
    playback = Script(items)
    async with rig(playback) as made:
        await made.until(lambda: made.taker.units and playback.asked == 4)
        made.projector.jump()
        stale = played(picture(2, LONG + SHORT))  # it was on its way as the jump was made
        playback.script += [stale, key(picture(9, LONG + 2 * SHORT, key=True))]
        made.projector.go_on()
        await made.until(lambda: len(made.taker.units) == 2)
        assert made.taker.numbers == [0, 9]
        assert made.taker.units[1][0] - made.taker.units[0][0] < 1  # not after 5 s


async def test_nothing_holds_up_the_picture_of_a_jump() -> None:
    playback = Script([Begun(WITH_SOUND), key(picture(0, 0, ticks=LONG))])
    async with rig(playback) as made:
        await made.until(lambda: made.taker.units and playback.asked == 3)
        made.projector.jump()
        before = sound(5 * 48_000 - 960, [b"\x78before"])
        there = key(picture(9, LONG, key=True), before)
        playback.script += [Position(BEGAN, media_s=5.0), there]
        made.projector.go_on()
        await made.until(lambda: made.listener.units)
        assert made.taker.numbers == [0, 9]
        assert made.taker.units[1][0] - made.taker.units[0][0] < 1  # not after 5 s
        assert len(made.positions) == 1


async def test_a_pause_stands_still_and_a_jump_in_it_shows_its_picture() -> None:
    items: list[Item | float] = [
        Begun(TAPE.init),
        key(picture(0, 0, ticks=LASTING)),
        played(picture(1, LONG, ticks=LASTING)),
    ]
    playback = Script(items)
    async with rig(playback) as made:
        projector, taker = made.projector, made.taker

        async def hand_over(*more: Item) -> None:
            playback.script += more
            projector._told.set()
            await asyncio.sleep(0.03)

        await made.until(lambda: taker.units and playback.asked == 4)
        projector.freeze()
        await hand_over(played(picture(2, SHORT)))  # would be due
        assert taker.numbers == [0]
        projector.jump()
        passed = key(picture(6, LONG + 10, ticks=13, key=True))  # on the way there
        there = played(picture(7, LONG + 23, ticks=LASTING))
        await hand_over(passed, there, played(picture(8, LONG + 24)))
        assert taker.numbers == [0, 6, 7]
        projector.go_on()
        await made.until(lambda: taker.numbers == [0, 6, 7, 8])


async def test_a_pause_right_after_a_jump_shows_its_picture_first() -> None:
    playback = Script([Begun(TAPE.init)])
    async with rig(playback) as made:
        await made.until(lambda: playback.asked == 2)
        made.projector.jump()
        made.projector.freeze()  # as a player does that comes back paused
        there = key(picture(7, 0, ticks=LASTING, key=True))
        playback.script += [there, played(picture(8, SHORT))]
        made.projector._told.set()
        await made.until(lambda: made.taker.units)
        await asyncio.sleep(0.02)
        assert made.taker.numbers == [7]


async def test_no_more_is_taken_than_is_due_soon() -> None:
    playback = FakePlayback(build_tape(50))  # 2 s, handed over at once
    async with rig(playback) as made:
        playback.start()
        await made.until(lambda: made.taker.units)
        await asyncio.sleep(0.01)
        assert AHEAD_S * 25 <= playback.taken <= AHEAD_S * 25 + 3


async def test_sound_that_comes_after_its_picture_still_goes_when_it_is_due() -> None:
    items: list[Item | float] = [
        Begun(WITH_SOUND),
        key(picture(0, 0)),
        played(picture(1, LONG)),
        played(sound(480, [b"\x78late"])),
    ]
    async with rig(Script(items)) as made:
        await made.until(lambda: made.listener.units)
        assert made.taker.numbers == [0]


async def test_positions_are_told_when_their_picture_is_sent() -> None:
    at_5 = Position(BEGAN + timedelta(seconds=5), media_s=SHORT / SCALE)
    items: list[Item | float] = [
        Begun(TAPE.init),
        Position(BEGAN, media_s=0.0),
        at_5,
        key(picture(0, 0)),
        played(picture(1, SHORT)),
        Position(BEGAN, is_end=True),
    ]
    async with rig(Script(items)) as made:
        await made.until(lambda: made.positions)
        assert (made.positions[0].at, made.taker.numbers) in ((BEGAN, []), (BEGAN, [0]))
        await made.until(lambda: len(made.positions) == 3)
        assert made.positions[1] == at_5
        assert made.positions[2].is_end
        assert made.taker.numbers == [0, 1]


async def test_time_goes_on_while_nothing_comes() -> None:
    pause = LATE_S + 0.05
    items: list[Item | float] = [
        Begun(TAPE.init),
        key(picture(0, 0)),
        pause,
        played(picture(1, SHORT)),
        0.02,  # a little late only: its own time holds
        played(picture(2, 2 * SHORT)),
        played(picture(3, 3 * SHORT)),
    ]
    async with rig(Script(items)) as made:
        await made.until(lambda: len(made.taker.units) == 4)
        first, *others = made.taker.steps
        assert first >= pause * 90_000 - 1
        assert others == [450, 450]


async def test_after_the_end_a_command_leads_back() -> None:
    playback = Script([Begun(TAPE.init), key(picture(0, 0)), Position(BEGAN, is_end=True)])
    async with rig(playback) as made:
        await made.until(lambda: made.positions)
        await asyncio.sleep(0.01)
        assert playback.asked == 4  # it is not asked again and again
        playback.script.append(key(picture(7, SHORT, key=True)))
        made.projector.go_on()
        await made.until(lambda: len(made.taker.units) == 2)
        assert made.taker.numbers == [0, 7]


async def test_damaged_fragments_are_left_out() -> None:
    bad = replace(key(picture(1, SHORT)).fragment, data=b"\0\0\0\x08moof")
    cut = picture(2, 2 * SHORT)
    items: list[Item | float] = [
        Begun(TAPE.init),
        key(picture(0, 0)),
        Played(bad, BEGAN),
        played(cut._replace(payload=b"\xff" * len(cut.payload))),
        played(picture(3, 3 * SHORT)),
    ]
    async with rig(Script(items)) as made:
        await made.until(lambda: len(made.taker.units) == 2)
        assert made.taker.numbers == [0, 3]


async def test_empty_pictures_are_left_out() -> None:
    empty = picture(1, SHORT)
    items: list[Item | float] = [
        Begun(TAPE.init),
        key(picture(0, 0)),
        played(empty._replace(payload=bytes(len(empty.payload)))),
        played(picture(2, 2 * SHORT)),
    ]
    async with rig(Script(items)) as made:
        await made.until(lambda: len(made.taker.units) == 2)
        assert made.taker.numbers == [0, 2]


async def test_times_never_go_back() -> None:
    """Whoever hands over B-frames has not heard what was asked for; a browser sees it at least."""
    runs = together(
        picture(0, 0, cts=SHORT),
        picture(1, 0, cts=3 * SHORT),
        picture(2, 0, cts=0),
        picture(3, 0, cts=0),
    )
    async with rig(Script([Begun(TAPE.init), key(runs)])) as made:
        await made.until(lambda: len(made.taker.units) == 4)
        assert min(made.taker.steps) > 0


async def test_sound_goes_beside_the_picture() -> None:
    heard = [b"\x78one", b"\x78two", b"", b"\x78four"]
    items: list[Item | float] = [
        Begun(WITH_SOUND),
        key(picture(0, 0), sound(0, heard)),
        played(picture(1, SHORT)),
    ]
    async with rig(Script(items)) as made:
        await made.until(lambda: len(made.listener.units) == 3)
        assert [packets[0][12:] for _, packets in made.listener.units] == [heard[0], *heard[1::2]]
        assert made.listener.steps == [960, 1920]
        assert all(parse_header(packets[0]).is_marked for _, packets in made.listener.units)


async def test_other_sound_than_opus_is_left_out() -> None:
    aac = replace(OPUS, codec="mp4a.40.2")
    init = InitSegment(TAPE.init.data, TAPE.init.video, aac)
    run = sound(0, [b"\x21aac"])._replace(track=aac)
    async with rig(
        Script([Begun(init), key(picture(0, 0), run), played(picture(1, SHORT))])
    ) as made:
        await made.until(lambda: len(made.taker.units) == 2)
        assert made.listener.units == []


@pytest.mark.parametrize("codec", ["hevc", "h264"])
async def test_a_recording_that_goes_on_in_another_codec_ends_it(codec: Codec) -> None:
    other = build_tape(codec="hvc1.1.6.L93.B0").init if codec == "h264" else TAPE.init
    async with rig(Script([Begun(other)]), codec) as made:
        with pytest.raises(UnavailableError, match="another codec"):
            await asyncio.wait_for(made.running, 5)


async def test_a_recording_without_a_picture_ends_it() -> None:
    async with rig(Script([Begun(InitSegment(b"", None, OPUS))])) as made:
        with pytest.raises(UnavailableError, match="another codec"):
            await asyncio.wait_for(made.running, 5)


async def test_parameter_sets_that_can_not_be_read_end_it() -> None:
    assert TAPE.init.video is not None
    init = replace(TAPE.init, video=replace(TAPE.init.video, video_config=b"\x01"))
    async with rig(Script([Begun(init)])) as made:
        with pytest.raises(MediaFormatError, match="avcC"):
            await asyncio.wait_for(made.running, 5)
