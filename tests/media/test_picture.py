"""Pictures of real key frames, of every kind of source."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools
from h5sup.outputs.picture.pictures import Pictures
from tests.fakes.clips import CLIPS, Clips, decode_frame_indexes

pytestmark = pytest.mark.media

logger = logging.getLogger(__name__)
FMP4 = (
    "-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof",
    "-frag_duration", "30000", "pipe:1",
)  # fmt: skip


class Main:
    """The one source there is."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def find_channel(self, token: str) -> Channel:
        assert token == self._channel.token
        return self._channel


async def fill(channel: Channel, ffmpeg: str, clip: Path, *options: str) -> None:
    """Put the first 2.4 seconds of a clip into a channel."""
    argv = [ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-i", str(clip)]
    argv += ["-t", "2.4", "-c", "copy", *options, *FMP4]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    media, _ = await process.communicate()
    assert process.returncode == 0
    ingest = Ingest(channel)
    ingest.open()
    ingest.feed(media, asyncio.get_running_loop().time())
    ingest.close(asyncio.get_running_loop().time())


async def size_of(ffprobe: str, jpeg: bytes) -> str:
    argv = [ffprobe, "-loglevel", "error", "-show_entries", "stream=codec_name,width,height"]
    argv += ["-of", "csv=p=0", "-f", "jpeg_pipe", "-i", "pipe:0"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
    answer, _ = await process.communicate(jpeg)
    return answer.decode().strip()


@pytest.mark.parametrize(
    ("name", "options", "frame"),
    [
        ("h264_aac", (), 50),  # a key fragment that comes with sound
        ("h264_mute", (), 50),
        ("h264_bframes", (), 50),
        ("h264_fps60", (), 120),  # two pictures a fragment
        ("h264_gop10", (), 0),
        ("h264_2m", (), 50),
        ("hevc_aac", ("-tag:v", "hvc1"), 50),
        ("mjpeg", ("-tag:v", "mp4v"), None),
    ],
)
async def test_the_picture_shows_the_last_key_frame(
    clips: Clips, ffmpeg: str, ffprobe: str, name: str, options: tuple[str, ...], frame: int | None
) -> None:
    channel = Channel("cam", "main", "copy", gop_bytes=8_000_000)
    await fill(channel, ffmpeg, clips[name], *options)
    pictures = Pictures(Main(channel), Launcher("test"), Tools(ffmpeg, ffprobe, (5, 1)))
    began = time.monotonic()
    jpeg = await pictures.jpeg("cam")
    logger.info("picture of %s in %.0f ms", name, (time.monotonic() - began) * 1000)
    assert jpeg is not None
    assert jpeg.startswith(b"\xff\xd8")
    assert jpeg.endswith(b"\xff\xd9")
    recipe = CLIPS[name]
    assert await size_of(ffprobe, jpeg) == f"mjpeg,{recipe.width},{recipe.height}"
    shown = await asyncio.to_thread(decode_frame_indexes, jpeg, ffmpeg)
    expected = frame if frame is not None else 59  # every picture of MJPEG is a key frame
    assert shown == [expected]
    await pictures.close()


async def test_media_that_is_no_media_gives_no_picture(
    clips: Clips, ffmpeg: str, ffprobe: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Channel("cam", "main", "copy", gop_bytes=8_000_000)
    await fill(channel, ffmpeg, clips["h264_mute"])
    key = channel.cache.fragments[0]
    broken = type(key)(key.sequence, b"rubbish" * 99, True, key.video, None, key.arrived)
    channel.cache.fragments[0] = broken
    pictures = Pictures(Main(channel), Launcher("test"), Tools(ffmpeg, ffprobe, (5, 1)))
    assert await pictures.jpeg("cam") is None
    assert "no picture of cam" in caplog.text
    await pictures.close()
