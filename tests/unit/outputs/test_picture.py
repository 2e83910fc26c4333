"""Pictures: how many jobs run, and what is answered without one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from h5sup.base.errors import Failure, NotFoundError, SourceError
from h5sup.bus.channel import Channel
from h5sup.ffmpeg.tools import Tools
from h5sup.outputs.picture import pictures as pictures_module
from h5sup.outputs.picture.pictures import MAX_CACHED, Pictures
from tests.fakes.mp4 import build_init
from tests.unit.outputs.hls_fakes import Feeder, wait_until

TOOLS = Tools("ffmpeg", "ffprobe", (5, 1))


class FakeChannels:
    def __init__(self, *channels: Channel) -> None:
        self.by_token = {channel.token: channel for channel in channels}

    def find_channel(self, token: str) -> Channel:
        if token not in self.by_token:
            raise NotFoundError("there is no source with this token")
        return self.by_token[token]


class FakeJobs:
    """Answers a numbered picture, at once or when it is let go on."""

    def __init__(self) -> None:
        self.fed: list[bytes] = []
        self.failure: Exception | None = None
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def run_job(
        self,
        argv: Sequence[str],
        data: bytes = b"",
        *,
        timeout_s: float,
        max_bytes: int,
        kind: str,
    ) -> bytes:
        assert kind == "picture"
        assert argv[0] == "ffmpeg"
        assert timeout_s > 0
        assert max_bytes > 0
        self.fed.append(data)
        number = len(self.fed)
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return b"jpeg %d" % number


def build(*feeders: Feeder) -> tuple[Pictures, FakeJobs]:
    jobs = FakeJobs()
    return Pictures(FakeChannels(*(one.channel for one in feeders)), jobs, TOOLS), jobs


@pytest.fixture
def no_freshness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_module, "FRESH_S", 0.0)


async def test_a_picture_is_made_of_the_init_segment_and_the_newest_key_fragment() -> None:
    feeder = Feeder()
    feeder.begin()
    feeder.seconds(1)
    key, *_ = feeder.seconds(0.4)
    pictures, jobs = build(feeder)
    assert await pictures.jpeg("cam") == b"jpeg 1"
    assert jobs.fed == [build_init(audio=False) + key.data]


async def test_before_the_first_picture_there_is_none_and_no_job() -> None:
    feeder = Feeder()
    pictures, jobs = build(feeder)
    assert await pictures.jpeg("cam") is None
    feeder.begin()
    assert await pictures.jpeg("cam") is None
    feeder.picture()
    assert await pictures.jpeg("cam") is not None
    feeder.channel.end("the camera is gone")
    assert await pictures.jpeg("cam") is None
    assert len(jobs.fed) == 1
    with pytest.raises(NotFoundError):
        await pictures.jpeg("nobody")


async def test_all_who_ask_at_once_share_one_job() -> None:
    feeder = Feeder()
    feeder.begin()
    feeder.picture()
    pictures, jobs = build(feeder)
    jobs.may_end.clear()
    asking = [asyncio.create_task(pictures.jpeg("cam")) for _ in range(20)]
    await wait_until(lambda: bool(jobs.fed))
    asking[0].cancel()  # who started it leaves; the others still get theirs
    jobs.may_end.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert set(answers[1:]) == {b"jpeg 1"}
    assert len(jobs.fed) == 1


async def test_within_a_second_the_same_picture_is_answered() -> None:
    feeder = Feeder(gop=1)
    feeder.begin()
    pictures, jobs = build(feeder)
    for _ in range(5):
        feeder.picture()
        assert await pictures.jpeg("cam") == b"jpeg 1"
    assert len(jobs.fed) == 1


@pytest.mark.usefixtures("no_freshness")
async def test_a_key_frame_is_never_made_into_a_picture_twice() -> None:
    feeder = Feeder()
    feeder.begin()
    feeder.seconds(0.5)
    pictures, jobs = build(feeder)
    assert await pictures.jpeg("cam") == await pictures.jpeg("cam") == b"jpeg 1"
    feeder.seconds(1)
    assert await pictures.jpeg("cam") == b"jpeg 2"
    assert len(jobs.fed) == 2


@pytest.mark.parametrize(
    "failure", [SourceError(Failure.FFMPEG, "ended with exit code 1"), OSError("no memory")]
)
async def test_a_failed_job_is_told_and_not_tried_again_at_once(
    failure: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder = Feeder()
    feeder.begin()
    feeder.picture()
    pictures, jobs = build(feeder)
    jobs.failure = failure
    assert await pictures.jpeg("cam") is None
    assert await pictures.jpeg("cam") is None
    assert len(jobs.fed) == 1
    assert str(failure) in caplog.text
    jobs.failure = None
    monkeypatch.setattr(pictures_module, "FRESH_S", 0.0)
    assert await pictures.jpeg("cam") == b"jpeg 2"


async def test_a_job_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_module, "WAIT_S", 0.02)
    feeder = Feeder()
    feeder.begin()
    feeder.picture()
    pictures, jobs = build(feeder)
    jobs.may_end.clear()
    assert await pictures.jpeg("cam") is None


async def test_the_cache_is_bounded() -> None:
    feeders = [Feeder(token=f"cam{number}") for number in range(MAX_CACHED + 1)]
    for feeder in feeders:
        feeder.begin()
        feeder.picture()
    pictures, jobs = build(*feeders)
    for feeder in feeders:
        await pictures.jpeg(feeder.channel.token)
    await pictures.jpeg(feeders[-1].channel.token)
    assert len(jobs.fed) == MAX_CACHED + 1
    await pictures.jpeg(feeders[0].channel.token)
    assert len(jobs.fed) == MAX_CACHED + 2


async def test_closing_ends_what_runs() -> None:
    feeder = Feeder()
    feeder.begin()
    feeder.picture()
    pictures, jobs = build(feeder)
    jobs.may_end.clear()
    asking = asyncio.create_task(pictures.jpeg("cam"))
    await wait_until(lambda: bool(jobs.fed))
    await pictures.close()
    answers = await asyncio.gather(asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
