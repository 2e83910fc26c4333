"""The commands with real ffmpegs: what each leg carries, for each kind of input."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import imageio_ffmpeg
import pytest

from h5sup.base.errors import Failure, SourceError
from h5sup.config.model import Transport
from h5sup.config.profile import Profile, VideoRecipe
from h5sup.ffmpeg.command import (
    Legs,
    build_derived,
    build_ingest,
    build_picture,
    write_loop_list,
)
from h5sup.ffmpeg.media import AudioTrack, Input, Tracks, VideoTrack
from h5sup.ffmpeg.probe import probe
from h5sup.ffmpeg.process import Child, Launcher
from h5sup.ffmpeg.tools import Tools, find_tools
from h5sup.formats.isobmff.reader import SegmentReader
from tests.fakes.clips import Clips, Recipe
from tests.fakes.rtsp_camera import RtspCamera

pytestmark = pytest.mark.media

COPY = Profile(name="copy")
SMALL = Profile(name="small", video=VideoRecipe(encoder="libx264", gop_s=0.4, max_height=100))
NAL_TYPE_IDR, NAL_TYPE_SPS, NAL_TYPE_PPS = 5, 7, 8  # H.264 table 7-1
HEVC_NAL_TYPE_IDR_W_RADL, HEVC_NAL_TYPE_IDR_N_LP = 19, 20  # H.265 table 7-1
HEVC_NAL_TYPE_VPS, HEVC_NAL_TYPE_SPS, HEVC_NAL_TYPE_PPS = 32, 33, 34

SHORT = {
    "h264_aac": Recipe(audio="aac", duration_s=2),
    "h264_mute": Recipe(duration_s=2),
    "h264_pcma": Recipe(audio="pcm_alaw", duration_s=2, suffix=".mov"),
    "h264_bframes": Recipe(audio="aac", b_frames=2, duration_s=2),
    "h264_ts": Recipe(audio="aac", duration_s=2, suffix=".ts"),
    "hevc_aac": Recipe(video="hevc", audio="aac", duration_s=2),
    "mjpeg": Recipe(video="mjpeg", duration_s=2, suffix=".mov"),
    "blink": Recipe(audio="aac", duration_s=1, gop_s=0.4, width=192, height=112),
}


@pytest.fixture(params=["debian", "newest"])
def binary(request: pytest.FixtureRequest, ffmpeg: str) -> str:
    """Return each of the ffmpegs that h5sup has to work with."""
    return ffmpeg if request.param == "debian" else imageio_ffmpeg.get_ffmpeg_exe()


@pytest.fixture
async def tools(binary: str, ffprobe: str) -> Tools:
    return await find_tools(binary, ffprobe)


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    return Launcher(f"test-{tmp_path}", spawns_per_s=1000, burst=1000)


@pytest.fixture
def clip(clips: Clips) -> Callable[[str], Path]:
    return lambda name: clips.make(SHORT[name], f"short-{name}")


@dataclass
class Output:
    """One ffmpeg's legs, read until `stop()`."""

    folder: Path
    fmp4: bytearray = field(default_factory=bytearray)
    packets: list[bytes] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    child: Child | None = None

    async def run(
        self,
        launcher: Launcher,
        build: Callable[[Legs], list[str]],
        until: Callable[[], object],
        *,
        fds: tuple[int, ...] = (),
        timeout_s: float = 20.0,
    ) -> None:
        """Run what `build` builds until its end or `until` holds."""
        loop = asyncio.get_running_loop()
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write_fd, True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.setblocking(False)
            loop.add_reader(read_fd, lambda: self.fmp4.extend(os.read(read_fd, 1 << 20)))
            loop.add_reader(receiver, lambda: self.packets.append(receiver.recv(2048)))
            legs = Legs(
                fmp4_fd=write_fd,
                rtp_port=receiver.getsockname()[1],
                hls_folder=self.folder,
                hls_segment_s=0.5,
            )
            self.child = await launcher.spawn(build(legs), pass_fds=(write_fd, *fds))
            os.close(write_fd)
            reading = asyncio.create_task(self.child.read_lines(self._keep_line))
            try:
                async with asyncio.timeout(timeout_s):
                    while self.child.exit_code is None and not until():
                        await asyncio.sleep(0.02)
            finally:
                await self.child.stop()
                await asyncio.wait({reading}, timeout=2)
                self.child.close()
                with suppress(BlockingIOError):
                    while data := os.read(read_fd, 1 << 20):
                        self.fmp4 += data
                loop.remove_reader(read_fd)
                loop.remove_reader(receiver)
                os.close(read_fd)

    def _keep_line(self, line: str) -> None:
        # its RTP muxer looks for a free pair of ports by trying, and says so
        if "bind failed: Address already in use" not in line:
            self.lines.append(line)

    @property
    def segments(self) -> list[bytes]:
        """Return the init segment and the fragments."""
        return list(SegmentReader().feed(bytes(self.fmp4)))

    @property
    def playlist(self) -> str:
        path = self.folder / "index.m3u8"
        return path.read_text() if path.exists() else ""

    @property
    def h264_types(self) -> list[int]:
        return list(nal_types(self.packets, hevc=False))

    @property
    def hevc_types(self) -> list[int]:
        return list(nal_types(self.packets, hevc=True))

    def show(self, ffprobe: str, what: bytes | Path) -> list[dict[str, str]]:
        """Return codec, tag, size, rate and packets of each track, as ffprobe counts them."""
        path = what
        if isinstance(what, bytes):
            path = self.folder / "shown.mp4"
            path.write_bytes(what)
        shown = "stream=codec_name,codec_tag_string,height,sample_rate,nb_read_packets"
        argv = [ffprobe, "-v", "error", "-count_packets", "-show_entries", shown, "-of"]
        argv += ["compact=p=0", str(path)]
        found = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)
        rows = [row for row in found.stdout.splitlines() if "=" in row]
        return [dict(pair.split("=", 1) for pair in row.split("|") if "=" in pair) for row in rows]


def nal_types(packets: list[bytes], *, hevc: bool) -> Iterator[int]:
    """Yield the type of each NAL unit that ends in a packet (RFC 6184 §5.2, RFC 7798 §4.4)."""
    head = 2 if hevc else 1
    single, aggregated, fragmented = (47, 48, 49) if hevc else (23, 24, 28)

    def type_of(first: int) -> int:
        return (first >> 1) & 0x3F if hevc else first & 0x1F

    for packet in packets:
        payload = packet[12:]
        kind = type_of(payload[0])
        if kind <= single:
            yield kind
        elif kind == aggregated:
            at = head
            while at + 2 < len(payload):
                yield type_of(payload[at + 2])
                at += 2 + int.from_bytes(payload[at : at + 2], "big")
        elif kind == fragmented and payload[head] & 0x40:  # the end of a fragmented unit
            yield payload[head] & (0x3F if hevc else 0x1F)


async def ingest(
    tools: Tools,
    launcher: Launcher,
    file: Path,
    output: Output,
    *,
    profile: Profile = COPY,
    audio: bool = True,
) -> Tracks:
    """Play a file once, to its end."""
    source = Input(kind="file", url=str(file))
    tracks = await probe(tools, launcher, source)
    await output.run(
        launcher,
        lambda legs: build_ingest(tools, source, tracks, profile, legs, audio=audio),
        lambda: False,
    )
    assert output.child is not None
    assert output.child.exit_code == 0
    assert output.lines == []
    return tracks


@pytest.mark.parametrize(
    ("name", "tags", "packets"),
    [
        ("h264_aac", ["avc1", "mp4a"], 50),
        ("h264_bframes", ["avc1", "mp4a"], 50),
        ("h264_ts", ["avc1", "mp4a"], 50),
        ("h264_mute", ["avc1"], 50),
        ("h264_pcma", ["avc1", "mp4a"], 50),
        ("hevc_aac", ["hvc1", "mp4a"], 50),
        ("mjpeg", ["mp4v"], 50),
    ],
)
async def test_copied_input_comes_as_fragments(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    ffprobe: str,
    name: str,
    tags: list[str],
    packets: int,
) -> None:
    output = Output(tmp_path)
    tracks = await ingest(tools, launcher, clip(name), output)
    init, *fragments = output.segments
    assert init[4:8] == b"ftyp"
    assert all(fragment[4:8] == b"moof" for fragment in fragments)
    assert len(fragments) >= packets - 1
    found = await asyncio.to_thread(output.show, ffprobe, bytes(output.fmp4))
    assert [track["codec_tag_string"] for track in found] == tags
    assert int(found[0]["nb_read_packets"]) == packets
    if len(tags) > 1:
        assert found[1]["codec_name"] == "aac"
        assert found[1]["sample_rate"] == "48000"
    assert bool(output.playlist) is (tracks.video.codec == "h264")
    assert bool(output.packets) is (tracks.video.codec != "mjpeg")


@pytest.mark.parametrize("name", ["h264_aac", "h264_ts", "h264_pcma"])
async def test_hls_segments_are_whole_mpeg_ts(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    ffprobe: str,
    name: str,
) -> None:
    output = Output(tmp_path)
    await ingest(tools, launcher, clip(name), output)
    for tag in ("#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-INDEPENDENT-SEGMENTS"):
        assert tag in output.playlist
    assert "#EXT-X-ENDLIST" not in output.playlist
    names = [line for line in output.playlist.splitlines() if line.endswith(".ts")]
    assert len(names) == 2
    for segment in names:
        found = await asyncio.to_thread(output.show, ffprobe, tmp_path / segment)
        codecs = {track["codec_name"] for track in found}
        assert codecs == {"h264", "aac"}


@pytest.mark.parametrize("name", ["h264_aac", "h264_ts", "h264_bframes", "h264_mute"])
async def test_every_idr_on_the_rtp_leg_has_its_parameter_sets(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    name: str,
) -> None:
    output = Output(tmp_path)
    await ingest(tools, launcher, clip(name), output)
    types = output.h264_types
    assert types.count(NAL_TYPE_IDR) == 2
    assert_parameter_sets(types)
    assert all(packet[1] & 0x7F == 96 and len(packet) <= 1200 for packet in output.packets)


def assert_parameter_sets(types: list[int]) -> None:
    """Check that a SPS and a PPS come between any two IDR pictures, and before the first."""
    since: list[int] = []
    for kind in types:
        if kind == NAL_TYPE_IDR:
            assert NAL_TYPE_SPS in since
            assert NAL_TYPE_PPS in since
            since = []
        else:
            since.append(kind)


async def test_hevc_on_the_rtp_leg_has_its_parameter_sets(
    tools: Tools, launcher: Launcher, clip: Callable[[str], Path], tmp_path: Path
) -> None:
    output = Output(tmp_path)
    await ingest(tools, launcher, clip("hevc_aac"), output)
    sets = {HEVC_NAL_TYPE_VPS, HEVC_NAL_TYPE_SPS, HEVC_NAL_TYPE_PPS}
    first_idr = next(
        at
        for at, kind in enumerate(output.hevc_types)
        if kind in (HEVC_NAL_TYPE_IDR_W_RADL, HEVC_NAL_TYPE_IDR_N_LP)
    )
    assert sets <= set(output.hevc_types[:first_idr])


@pytest.mark.parametrize("profile", [COPY, SMALL], ids=["copy", "encoded"])
async def test_looped_file_goes_on_past_three_loops(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: Profile,
) -> None:
    monkeypatch.setattr("h5sup.ffmpeg.command.LOOP_LINES", 2)  # four loops in nested lists
    file = tmp_path / "it's: a %d file.mp4"
    file.symlink_to(clip("blink"))
    playlist = tmp_path / "loop.ffconcat"
    await asyncio.to_thread(write_loop_list, playlist, file)
    source = Input(kind="file", url=str(file))
    tracks = await probe(tools, launcher, source)
    output = Output(tmp_path)

    def build(legs: Legs) -> list[str]:
        return build_ingest(tools, source, tracks, profile, legs, audio=True, playlist=playlist)

    started = time.monotonic()
    await output.run(launcher, build, lambda: False)
    assert output.lines == []
    assert time.monotonic() - started > 3.5  # at its own speed
    types = output.h264_types
    assert types.count(NAL_TYPE_IDR) >= 4 * 2
    assert_parameter_sets(types)
    pictures = sum(kind in (1, NAL_TYPE_IDR) for kind in types)
    assert pictures == 4 * 25
    assert len(output.segments) >= 4 * 25 - 4


async def test_encoded_input_is_small_regular_h264(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    ffprobe: str,
) -> None:
    for name in ("hevc_aac", "mjpeg", "h264_ts"):
        output = Output(tmp_path / name)
        output.folder.mkdir()
        await ingest(tools, launcher, clip(name), output, profile=SMALL)
        found = await asyncio.to_thread(output.show, ffprobe, bytes(output.fmp4))
        assert found[0]["codec_name"] == "h264"
        assert found[0]["height"] == "100"
        assert found[0]["nb_read_packets"] == "50"
        assert output.h264_types.count(NAL_TYPE_IDR) == 5  # 2 s with a key frame each 0.4 s
        assert_parameter_sets(output.h264_types)
        assert output.playlist.count(".ts") >= 2


async def test_derived_job_encodes_what_it_is_fed(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    ffprobe: str,
) -> None:
    first = Output(tmp_path / "first")
    first.folder.mkdir()
    tracks = await ingest(tools, launcher, clip("hevc_aac"), first)
    feed_fd, write_fd = os.pipe()
    second = Output(tmp_path)
    feeding = asyncio.create_task(asyncio.to_thread(feed, write_fd, bytes(first.fmp4)))
    try:
        await second.run(
            launcher,
            lambda legs: build_derived(tools, tracks, SMALL, legs, feed_fd=feed_fd, audio=True),
            lambda: False,
            fds=(feed_fd,),
        )
    finally:
        os.close(feed_fd)
        await feeding
    assert second.lines == []
    found = await asyncio.to_thread(second.show, ffprobe, bytes(second.fmp4))
    assert [track["codec_name"] for track in found] == ["h264", "aac"]
    assert found[0]["nb_read_packets"] == "50"
    assert_parameter_sets(second.h264_types)


def feed(fd: int, data: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(fd, "wb") as pipe:
        pipe.write(data)


@pytest.mark.parametrize("name", ["h264_aac", "hevc_aac", "mjpeg"])
async def test_key_fragment_becomes_a_picture(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    name: str,
) -> None:
    output = Output(tmp_path)
    await ingest(tools, launcher, clip(name), output)
    data = b"".join(output.segments[:2])
    jpeg = await launcher.run_job(build_picture(tools), data, timeout_s=10, max_bytes=10**7)
    assert jpeg[:2] == b"\xff\xd8"
    assert jpeg[-2:] == b"\xff\xd9"
    assert jpeg.count(b"\xff\xd8\xff") == 1


async def test_audio_that_is_not_wanted_is_left_out(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    ffprobe: str,
) -> None:
    output = Output(tmp_path)
    await ingest(tools, launcher, clip("h264_aac"), output, audio=False)
    found = await asyncio.to_thread(output.show, ffprobe, bytes(output.fmp4))
    assert [track["codec_name"] for track in found] == ["h264"]


@pytest.mark.parametrize("profile", [COPY, SMALL], ids=["copy", "encoded"])
async def test_odd_letters_in_the_ram_folder_are_no_matter(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    profile: Profile,
) -> None:
    output = Output(tmp_path / "a b:'c%x]|\\=[d,e")
    output.folder.mkdir()
    await ingest(tools, launcher, clip("blink"), output, profile=profile)
    assert ".ts" in output.playlist


@pytest.mark.parametrize("profile", [COPY, SMALL], ids=["copy", "encoded"])
async def test_hls_comes_back_and_the_pipe_never_stops_when_files_can_not_be_made(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    profile: Profile,
) -> None:
    playlist = tmp_path / "loop.ffconcat"
    await asyncio.to_thread(write_loop_list, playlist, clip("blink"))
    source = Input(kind="file", url=str(clip("blink")))
    tracks = await probe(tools, launcher, source)
    folder = tmp_path / "hls"  # not there at first: creating any file fails
    output = Output(folder)
    loop = asyncio.get_running_loop()
    made_at = 0.0
    fragments_before = 0

    def until() -> bool:
        nonlocal made_at, fragments_before
        if not made_at and output.lines and output.fmp4.count(b"moof") > 30:
            folder.mkdir()
            made_at, fragments_before = loop.time(), len(output.segments)
        return bool(made_at) and output.playlist.count(".ts") >= 2

    await output.run(
        launcher,
        lambda legs: build_ingest(
            tools, source, tracks, profile, legs, audio=True, playlist=playlist
        ),
        until,
    )
    assert made_at
    assert output.playlist.count(".ts") >= 2
    assert fragments_before > 25
    assert len(output.segments) > fragments_before + 10


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_camera_is_read_with_digest_login(
    tools: Tools, launcher: Launcher, clips: Clips, tmp_path: Path, transport: Transport
) -> None:
    password = "p@ss:w/?#%"
    async with RtspCamera(clips, ["h264_aac"], user="ann", password=password) as camera:
        url = camera.url("h264_aac")
        source = Input(kind="rtsp", url=url, transport=transport, user="ann", password=password)
        tracks = await probe(tools, launcher, source)
        assert (tracks.video.codec, tracks.is_annex_b) == ("h264", True)
        output = Output(tmp_path)

        def build(legs: Legs) -> list[str]:
            return build_ingest(tools, source, tracks, COPY, legs, audio=True)

        await output.run(launcher, build, lambda: output.h264_types.count(NAL_TYPE_IDR) > 1)
        assert output.lines == []
        assert output.fmp4.count(b"moof") > 20
        assert_parameter_sets(output.h264_types)


async def test_wrong_password_is_named_before_anything_runs(
    tools: Tools, launcher: Launcher, clips: Clips
) -> None:
    async with RtspCamera(clips, ["h264_aac"], user="ann", password="right") as camera:
        url = camera.url("h264_aac")
        with pytest.raises(SourceError) as caught:
            await probe(tools, launcher, Input(kind="rtsp", url=url, user="ann", password="x"))
    assert caught.value.failure is Failure.WRONG_PASSWORD


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clip}\n#EXT-X-ENDLIST\n", "x.m3u8"),
        ("ffconcat version 1.0\nfile '{clip}'\n", "x.mp4"),
        (
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5 RTP/AVP 96\n",
            "x.sdp",
        ),
    ],
)
async def test_playlist_in_the_media_folder_opens_nothing(
    tools: Tools,
    launcher: Launcher,
    clip: Callable[[str], Path],
    tmp_path: Path,
    text: str,
    name: str,
) -> None:
    path = tmp_path / name
    path.write_text(text.format(clip=clip("blink")))
    with pytest.raises(SourceError) as caught:
        await probe(tools, launcher, Input(kind="file", url=str(path)))
    assert caught.value.failure is Failure.NOT_MEDIA


def test_video_that_mp4_can_not_hold_is_named() -> None:
    tracks = Tracks(video=VideoTrack(codec="vp8", width=1, height=1))
    source = Input(kind="file", url="/x.webm")
    with pytest.raises(SourceError, match="'vp8'"):
        build_ingest(
            Tools("ffmpeg", "ffprobe", (5, 1)), source, tracks, COPY, Legs(fmp4_fd=1), audio=True
        )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Input(kind="rtsp", url="rtsp://cam/x"), ["-rtsp_transport", "tcp"]),
        (Input(kind="rtsp", url="rtsp://cam/x", transport="udp"), ["-rtsp_transport", "udp"]),
        (Input(kind="rtsp", url="rtsp://cam/x", transport="http"), ["-rtsp_transport", "http"]),
        (Input(kind="rtsp", url="rtsp://cam/x"), ["-timeout", "5000000"]),
        (Input(kind="rtmp", url="rtmp://cam/x"), ["-rw_timeout", "5000000"]),
        (Input(kind="http", url="http://cam/x"), ["-rw_timeout", "5000000"]),
        (
            Input(kind="rtsp", url="rtsp://cam/x", user="u", password="@"),
            ["-i", "rtsp://u:%40@cam/x"],
        ),
    ],
)
def test_input_options_follow_its_kind(source: Input, words: list[str]) -> None:
    tracks = Tracks(
        video=VideoTrack(codec="h264", width=1, height=1, pix_fmt="yuv420p"),
        audio=AudioTrack(codec="aac", sample_rate=8000, channels=1),
    )
    tools = Tools("ffmpeg", "ffprobe", (5, 1))

    def build() -> list[str]:
        return build_ingest(tools, source, tracks, COPY, Legs(fmp4_fd=7), audio=True)

    argv = build()
    assert argv == build()
    assert argv[:6] == [
        "ffmpeg",
        "-hide_banner",
        "-nostdin",
        "-nostats",
        "-loglevel",
        "level+error",
    ]
    at = argv.index(words[0])
    assert argv[at : at + 2] == words
    protocols = argv[argv.index("-protocol_whitelist") + 1].split(",")
    assert not {"file", "concat", "data", "subfile", "pipe"} & set(protocols)
