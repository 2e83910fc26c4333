"""Real ffmpegs on a real RTSP server: every kind of camera, and every way one fails."""

from __future__ import annotations

import asyncio
import subprocess
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest

from h5sup.bus.channel import Channel
from h5sup.ffmpeg.media import Input
from h5sup.ffmpeg.probe import probe
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import find_tools
from h5sup.formats.h264 import NAL_TYPE_IDR, NAL_TYPE_PPS, NAL_TYPE_SPS
from h5sup.formats.isobmff.fragment import parse_fragment
from tests.fakes.broken_rtsp import BrokenRtsp, Fault
from tests.fakes.clips import CLIPS, Clips, Recipe, decode_frame_indexes
from tests.fakes.http_ts import HttpTs
from tests.fakes.rtsp_camera import RtspCamera
from tests.media.conftest import StationMaker, Taker
from tests.media.test_rtp_receiver import Viewer as PacketTaker
from tests.media.test_rtp_receiver import assert_decodable, nal_types

pytestmark = pytest.mark.media

COPIED = [
    "h264_aac",
    "h264_pcma",
    "h264_mute",
    "h264_bframes",
    "h264_gop4",
    "h264_gop10",
    "h264_fps5",
    "h264_fps15",
    "h264_fps60",
    "h264_gop4-nosp",
]


def assert_gapless(taker: Taker) -> None:
    for kind in ("video", "audio"):
        runs = [run for one in taker.taken if (run := getattr(one, kind)) is not None]
        for one, following in pairwise(runs):
            assert one.end == following.dts


def assert_bytes_agree(taker: Taker, channel: Channel) -> None:
    """What stands in the bytes is what the fragments say."""
    assert channel.init is not None
    for one in taker.taken[-20:]:
        parsed = parse_fragment(one.data, channel.init)
        for kind in ("video", "audio"):
            run, inside = getattr(one, kind), getattr(parsed, kind)
            assert (run is None) == (inside is None)
            if run is not None:
                assert (run.dts, run.duration) == (inside.dts, inside.duration)


def assert_same_length(taker: Taker, channel: Channel) -> None:
    """Sound and picture end within a quarter of a second of each other."""
    assert channel.init is not None
    video, audio = channel.init.video, channel.init.audio
    assert video is not None
    assert audio is not None
    video_end = next(one.video.end for one in reversed(taker.taken) if one.video)
    audio_end = next(one.audio.end for one in reversed(taker.taken) if one.audio)
    assert abs(video_end / video.timescale - audio_end / audio.timescale) < 0.25


async def shown(taker: Taker, channel: Channel) -> list[int]:
    assert channel.init is not None
    data = channel.init.data + b"".join(one.data for one in taker.taken)
    return await asyncio.to_thread(decode_frame_indexes, data)


def assert_consecutive(indexes: list[int], mount: str) -> None:
    recipe = CLIPS[mount.removesuffix("-nosp")]
    if recipe.b_frames:  # cut off in the middle, the last pictures lack those between them
        indexes = indexes[: -recipe.b_frames - 1]
    steps = {(b - a) % recipe.frames for a, b in pairwise(indexes)}
    assert steps == {1}, " ".join(map(str, indexes))


@pytest.mark.parametrize("mount", COPIED)
async def test_a_camera_is_copied_without_a_hole(
    mount: str, clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, [mount]) as camera, station() as base:
        source = await base.add("front", camera.url(mount))
        channel = source.main.channel
        recipe = CLIPS[mount.removesuffix("-nosp")]
        taker = await base.follow(channel, int(recipe.fps * 2.5))
        assert taker.taken[0].is_key
        assert_gapless(taker)
        assert_bytes_agree(taker, channel)
        assert channel.init is not None
        assert channel.init.mime.startswith('video/mp4; codecs="avc1.')
        assert (channel.init.audio is not None) == bool(recipe.audio)
        if recipe.audio:
            assert channel.init.audio is not None
            assert channel.init.audio.codec == "mp4a.40.2"
            assert_same_length(taker, channel)
        indexes = await shown(taker, channel)
        assert len(indexes) > recipe.fps * 2
        assert_consecutive(indexes, mount)
        await base.until(lambda: source.is_online)


@pytest.mark.parametrize("mount", ["hevc_aac", "hevc_pcma"])
async def test_h265_is_copied_for_some_and_transcoded_once_for_the_rest(
    mount: str, clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, [mount]) as camera, station(linger_s=0.2) as base:
        source = await base.add("front", camera.url(mount))
        able = base.registry.lease("front", hevc=True)
        others = [base.registry.lease("front") for _ in range(2)]
        copied = await able.ready(20)
        first, second = [await one.ready(20) for one in others]
        assert first is second
        assert copied is source.main.channel
        assert copied.init is not None
        assert first.init is not None
        assert copied.init.mime.startswith('video/mp4; codecs="hvc1.')
        assert first.init.mime.startswith('video/mp4; codecs="avc1.')
        assert first.init.audio is not None
        taker = await base.follow(first, 50)
        assert_gapless(taker)
        assert_consecutive(await shown(taker, first), mount)
        for one in (able, *others):
            one.release()
        await base.until(lambda: not source.derived(source.main, "h264_software").is_running)
        assert source.is_online


async def test_mjpeg_is_transcoded_while_somebody_watches(
    clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, ["mjpeg"]) as camera, station(linger_s=0.2) as base:
        source = await base.add("front", camera.url("mjpeg"))
        await base.until(lambda: source.is_online)
        assert [feed.is_running for feed in source.feeds] == [True]
        lease = base.registry.lease("front")
        channel = await lease.ready(20)
        assert channel.init is not None
        assert channel.init.mime.startswith('video/mp4; codecs="avc1.')
        taker = await base.follow(channel, 40)
        assert_gapless(taker)
        assert_consecutive(await shown(taker, channel), "mjpeg")
        lease.release()


async def test_no_more_transcodes_than_allowed(clips: Clips, station: StationMaker) -> None:
    async with RtspCamera(clips, ["mjpeg"]) as camera, station(transcodes=0) as base:
        await base.add("front", camera.url("mjpeg"))
        lease = base.registry.lease("front")
        with pytest.raises(Exception, match=r"limits\.transcodes"):
            await lease.ready(20)
        lease.release()


async def test_an_http_transport_is_taken(
    clips: Clips, station: StationMaker, ffmpeg: str
) -> None:
    async with HttpTs(clips["h264_ts"], ffmpeg) as server, station() as base:
        source = await base.add("front", server.url())
        taker = await base.follow(source.main.channel, 50)
        assert_gapless(taker)
        assert_consecutive(await shown(taker, source.main.channel), "h264_ts")


async def test_what_a_quick_look_misses_is_looked_at_longer(
    clips: Clips, ffmpeg: str, tmp_path: Path
) -> None:
    late = tmp_path / "late.ts"
    await asyncio.to_thread(delay_sound, ffmpeg, clips, 3, late)
    async with HttpTs(late, ffmpeg) as server:
        tools, launcher = await find_tools("ffmpeg", "ffprobe"), Launcher(f"test-{tmp_path}")
        tracks = await probe(tools, launcher, Input(kind="http", url=server.url()))
    assert tracks.video.width == CLIPS["h264_mute"].width
    assert tracks.audio is not None
    assert tracks.audio.sample_rate == 48000


def delay_sound(ffmpeg: str, clips: Clips, seconds: int, path: Path) -> None:
    """Make a clip whose sound begins late."""
    argv = [ffmpeg, "-loglevel", "error", "-i", str(clips["h264_mute"]), "-itsoffset"]
    argv += [str(seconds), "-i", str(clips["h264_aac"]), "-map", "0:v", "-map", "1:a"]
    subprocess.run([*argv, "-c", "copy", str(path)], check=True, timeout=30)


async def test_sound_can_be_left_out(clips: Clips, station: StationMaker) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, station() as base:
        source = await base.add("front", camera.url("h264_aac"), audio=False)
        init = await source.main.channel.wait_ready(20)
        assert init.audio is None


async def test_the_newest_ffmpeg_works_too(clips: Clips, station: StationMaker) -> None:
    newest = imageio_ffmpeg.get_ffmpeg_exe()
    async with RtspCamera(clips, ["h264_aac"]) as camera, station(ffmpeg=newest) as base:
        source = await base.add("front", camera.url("h264_aac"))
        taker = await base.follow(source.main.channel, 60)
        assert_gapless(taker)
        assert_consecutive(await shown(taker, source.main.channel), "h264_aac")


async def test_an_ondemand_source_runs_while_it_is_held(
    clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, station(linger_s=0.3) as base:
        source = await base.add("front", camera.url("h264_aac"), connect="ondemand")
        await asyncio.sleep(0)
        assert not source.main.is_running
        lease = base.registry.lease("front")
        await lease.ready(20)
        await base.until(lambda: source.is_online)
        lease.release()
        await base.until(lambda: source.state.state == "STOPPED")
        assert source.main.channel.init is None


async def taker_of(channel: Channel) -> Taker:
    """Take what comes, from the first picture on."""
    await channel.wait_ready(20)
    taker = Taker(taken=list(channel.gop))
    channel.subscribe(taker)
    return taker


async def test_a_recording_plays_once_at_its_speed_and_stops(
    clips: Clips, station: StationMaker
) -> None:
    recording = "/tracks/1?starttime=20261124T120000Z&endtime=20261124T12000"
    async with (
        RtspCamera(clips, [], tracks={"tracks/1": "h264_aac"}) as camera,
        station() as base,
    ):
        url = camera.url("").rstrip("/") + recording
        normal = await base.add("normal", url + "2Z", playback=True)
        slow = await base.add("slow", url + "1Z", playback=True, playback_speed=0.5)
        takers = await asyncio.gather(*(taker_of(one.main.channel) for one in (normal, slow)))
        await base.until(lambda: all(taker.closed for taker in takers))
        for source, taker, pictures, length_s in zip(
            (normal, slow), takers, (50, 25), (2.0, 2.0), strict=True
        ):
            assert taker.closed == ["played to its end"]
            assert (source.state.state, source.state.reason) == ("STOPPED", "played to its end")
            runs = [one.video for one in taker.taken if one.video is not None]
            assert pictures - 2 <= len(runs) <= pictures
            assert_gapless(taker)
            track = taker.taken[0].video
            assert track is not None
            seconds = (runs[-1].end - runs[0].dts) / 12_800
            assert abs(seconds - length_s) < 0.3
            base.registry.lease(source.config.token).release()
        await asyncio.sleep(0.1)
        assert not normal.main.is_running  # who comes afterwards does not start it again
        assert not any(one.audio for one in takers[1].taken)


async def test_the_sub_input_is_a_connection_of_its_own(
    clips: Clips, station: StationMaker
) -> None:
    mounts = ["h264_aac", "h264_fps5"]
    async with RtspCamera(clips, mounts) as camera, station(linger_s=0.2) as base:
        source = await base.add(
            "front", camera.url("h264_aac"), sub={"url": camera.url("h264_fps5")}
        )
        assert source.sub is not None
        assert not source.sub.is_running
        lease = base.registry.lease("front", profile="sub")
        channel = await lease.ready(20)
        assert channel is source.sub.channel
        lease.release()


async def test_digest_login(clips: Clips, station: StationMaker) -> None:
    password = "p:@/ü%20?#"
    async with (
        RtspCamera(clips, ["h264_mute"], user="admin", password=password) as camera,
        station() as base,
    ):
        url = camera.url("h264_mute")
        right = await base.add("right", url, user="admin", password=password)
        wrong = await base.add("wrong", url, user="admin", password="hunter2")
        await base.until(lambda: right.is_online)
        await base.until_failed(wrong, "password")
        said = repr([wrong.state.reason, *wrong.main.log_lines, *right.main.log_lines])
        assert "hunter2" not in said
        assert password not in said


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault.NOT_FOUND, "no such address"),
        (Fault.UNAUTHORIZED, "password"),
        (Fault.GARBAGE, "no media"),
        (Fault.SILENT, "answer"),
        (Fault.CLOSES, "no media"),
    ],
)
async def test_a_broken_camera_is_named(fault: Fault, words: str, station: StationMaker) -> None:
    async with BrokenRtsp(fault) as camera, station() as base:
        source = await base.add("front", camera.url(), user="admin", password="hunter2")
        await base.until_failed(source, words)
        assert not source.is_online


async def test_a_refused_connection_and_an_unknown_host_are_named(station: StationMaker) -> None:
    async with station() as base:
        refused = await base.add("refused", "rtsp://127.0.0.1:1/x")
        unknown = await base.add("unknown", "rtsp://camera.invalid/x")
        await base.until_failed(refused, "refused")
        await base.until_failed(unknown, "host name")


async def test_a_silent_stall_is_noticed_and_recovered_from(
    clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, station() as base:
        source = await base.add("front", camera.url("h264_aac"), stall_timeout_s=2)
        await base.until(lambda: source.is_online)
        await camera.stall("h264_aac")
        await base.until(lambda: source.state.reason)
        assert "no media" in source.state.reason
        await camera.resume("h264_aac")
        await base.until(lambda: source.is_online)


async def test_video_that_stops_while_sound_goes_on_is_noticed(
    clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, station() as base:
        source = await base.add("front", camera.url("h264_aac"), stall_timeout_s=2)
        await base.until(lambda: source.is_online and source.main.ingest.last_audio)
        await camera.stop_video("h264_aac")
        await base.until(lambda: source.state.reason)
        assert "video" in source.state.reason
        assert "sound goes on" in source.state.reason


async def test_sound_that_stops_does_not_stop_the_picture(
    clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, station() as base:
        source = await base.add("front", camera.url("h264_aac"))
        await base.until(lambda: source.is_online and source.main.ingest.last_audio)
        await camera.stop_audio("h264_aac")
        await asyncio.sleep(0.5)
        taker = await base.follow(source.main.channel, 80)
        assert_gapless(taker)
        assert_same_length_or_filled(taker, source.main.channel)
        assert_consecutive(await shown(taker, source.main.channel), "h264_aac")


async def test_sound_that_is_late_does_not_hold_up_the_picture(
    clips: Clips, station: StationMaker, ffmpeg: str
) -> None:
    async with station() as base:
        clip = base.media_root / "late.mp4"
        await asyncio.to_thread(delay_sound, ffmpeg, clips, 5, clip)
        source = await base.add("front", clip.name, type="file")
        channel = source.main.channel
        before = await channel.wait_ready(20)
        assert before.audio is None
        await base.until(lambda: channel.generation == 2)
        after = await channel.wait_ready(20)
        assert after.audio is not None


def assert_same_length_or_filled(taker: Taker, channel: Channel) -> None:
    assert channel.init is not None
    video, audio = channel.init.video, channel.init.audio
    assert video is not None
    assert audio is not None
    video_end = next(one.video.end for one in reversed(taker.taken) if one.video)
    audio_end = next(one.audio.end for one in reversed(taker.taken) if one.audio)
    assert abs(video_end / video.timescale - audio_end / audio.timescale) < 0.7


async def test_a_kicked_viewer_goes_on_on_the_same_timeline(
    clips: Clips, station: StationMaker
) -> None:
    async with RtspCamera(clips, ["h264_aac"]) as camera, station() as base:
        source = await base.add("front", camera.url("h264_aac"))
        channel = source.main.channel
        await base.until(lambda: source.is_online)
        following = asyncio.create_task(base.follow(channel, 125))
        await base.until(lambda: channel.viewers)
        await camera.kick("h264_aac")
        await base.until(lambda: source.state.state == "BACKOFF")
        taker = await following
        assert_gapless(taker)
        assert channel.generation == 1
        assert len(await shown(taker, channel)) >= 120


async def test_a_file_is_looped_without_a_break(
    clips: Clips, station: StationMaker, tmp_path: object
) -> None:
    async with station() as base:
        clip = clips.make(Recipe(audio="aac", duration_s=2), "loop")
        (base.media_root / "loop.mp4").symlink_to(clip)
        base.registry._media_root = clip.parent  # a link must not lead out of the media folder
        source = await base.add("demo", clip.name, type="file")
        taker = await base.follow(source.main.channel, 200)
        assert_gapless(taker)
        steps = [(b - a) % 50 for a, b in pairwise(await shown(taker, source.main.channel))]
        assert set(steps) == {1}


async def test_a_demo_keeps_its_packets_and_its_timeline_over_three_loops(
    clips: Clips, station: StationMaker, ffmpeg: str
) -> None:
    async with station() as base:
        clip = base.media_root / "demo.mp4"
        await asyncio.to_thread(make_demo, ffmpeg, clips.make(Recipe(duration_s=2), "loop"), clip)
        source = await base.add("demo", clip.name, type="file")
        channel, packets = source.main.channel, PacketTaker()
        assert channel.ring is not None
        channel.ring.subscribe(packets)
        taker = await base.follow(channel, DEMO_PICTURES * 7 // 2)
        channel.ring.unsubscribe(packets)
        assert_gapless(taker)
        assert_same_length(taker, channel)
        indexes = await shown(taker, channel)
        assert {(b - a) % DEMO_PICTURES for a, b in pairwise(indexes)} == {1}
        assert assert_decodable(packets.packets, "h264") >= 6
        assert (channel.ring.lost, channel.ring.is_waiting) == (0, False)
        start = nal_types(channel.ring.replay(), "h264")
        assert start.index(NAL_TYPE_SPS) < start.index(NAL_TYPE_IDR)
        assert start.index(NAL_TYPE_PPS) < start.index(NAL_TYPE_IDR)


DEMO_PICTURES = 48  # 1.92 s are 90 AAC frames: both tracks end together, as install.sh has it


def make_demo(ffmpeg: str, pictures: Path, path: Path) -> None:
    """Make what install.sh makes, in small: sound without an encoder's delay in it."""
    sound = path.with_suffix(".aac")
    quiet = [ffmpeg, "-loglevel", "error"]
    tone = ["-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000:duration=3"]
    encode = ["-ac", "1", "-c:a", "aac", "-b:a", "64k", "-frames:a", "90", "-f", "adts"]
    subprocess.run([*quiet, *tone, *encode, str(sound)], check=True, timeout=30)
    inputs = ["-i", str(pictures), "-i", str(sound), "-map", "0:v", "-map", "1:a"]
    copy = ["-frames:v", str(DEMO_PICTURES), "-c", "copy", "-bsf:a", "aac_adtstoasc"]
    subprocess.run([*quiet, *inputs, *copy, str(path)], check=True, timeout=30)


async def test_a_file_outside_the_media_folder_is_refused(station: StationMaker) -> None:
    async with station() as base:
        (base.media_root / "out.mp4").symlink_to("/etc/passwd")
        for name in ("../x.mp4", "/etc/passwd", "out.mp4", ".", "no.mp4"):
            with pytest.raises(Exception, match="media folder"):
                await base.add("demo", name, type="file")
