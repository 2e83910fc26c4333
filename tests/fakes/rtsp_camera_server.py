"""The RTSP camera's process: clips served by GStreamer's RTSP server, without re-encoding.

Run by tests/fakes/rtsp_camera.py with the system's Python, which has `gi`; so this file imports
nothing of ours. It reads one JSON object with its settings from standard input, answers
{"port": N} when it listens, then obeys one JSON command per line and answers each; it ends when
its standard input does. At unix time t every mount shows frame floor(t * fps) mod frames; a track
shows, to each client alone, what was there between two times of its query.
"""

from __future__ import annotations

import calendar
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 (versions come first)

PLAYING = 4  # GST_STATE_PLAYING
TICK_MS = 2  # a camera's own jitter is larger
CATCH_UP_S = 2.0  # after a longer stall a camera goes on with now, not with what was missed
MOMENT_S = 0.001  # before its end a recording shows its last picture
AAC_SAMPLE_RATE = 48000
AAC_FRAME_SAMPLES = 1024
ALAW_SAMPLE_RATE = 8000
ALAW_PACKET_SAMPLES = 160

PARSERS = {
    # Parameter sets in the caps alone: the payloader then has them for the SDP at once and
    # repeats them before each IDR exactly once.
    "h264": "h264parse ! video/x-h264,stream-format=avc,alignment=au",
    "h264-nosp": "h264parse config-interval=-1 ! "
    "video/x-h264,stream-format=byte-stream,alignment=au",
    "hevc": "h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
    "mjpeg": "jpegparse",
}
PAYLOADERS = {
    "h264": "rtph264pay config-interval=-1",
    "h264-nosp": "rtph264pay config-interval=0",
    "hevc": "rtph265pay config-interval=-1",
    "mjpeg": "rtpjpegpay",
}
AUDIO_PAYLOADERS = {
    "aac": "rtpmp4gpay name=pay1 pt=97",
    "pcm_alaw": "rtppcmapay name=pay1 pt=8 max-ptime=20000000",
}


@dataclass
class Unit:
    """One access unit or audio packet of a clip."""

    buffer: Any
    pts_ahead_ns: int  # how far its presentation lies behind its decoding
    is_delta: bool


@dataclass
class Media:
    """One track of a clip, in memory; shown in an endless loop."""

    caps: Any
    units: list[Unit]
    units_per_s: float


def load(path: str, pad: str, filters: str, units_per_s: float) -> Media:
    """Read one track of the clip at `path`."""
    pipeline = Gst.parse_launch(
        f"filesrc name=file ! qtdemux name=demux demux.{pad} ! queue ! {filters} "
        "! appsink name=sink sync=false max-buffers=0"
    )
    pipeline.get_by_name("file").set_property("location", path)
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    units: list[Unit] = []
    caps = None
    while sample := sink.emit("pull-sample"):
        caps = caps or sample.get_caps()
        units.append(to_unit(sample.get_buffer()))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        raise SystemExit(f"{path} has nothing on {pad}")
    return Media(caps, units, units_per_s)


def to_unit(buffer: Any) -> Unit:
    """Keep what is needed to send `buffer` again at another time."""
    timed = Gst.CLOCK_TIME_NONE not in (buffer.pts, buffer.dts)
    ahead = max(0, buffer.pts - buffer.dts) if timed else 0
    return Unit(buffer, ahead, buffer.has_flags(Gst.BufferFlags.DELTA_UNIT))


def load_audio(path: str, codec: str) -> Media:
    """Read the audio track: AAC frames as they are, A-law in packets of 20 ms."""
    if codec == "aac":
        return load(path, "audio_0", "identity", AAC_SAMPLE_RATE / AAC_FRAME_SAMPLES)
    whole = load(path, "audio_0", "identity", 0)
    data = b"".join(u.buffer.extract_dup(0, u.buffer.get_size()) for u in whole.units)
    cuts = range(0, len(data) - ALAW_PACKET_SAMPLES + 1, ALAW_PACKET_SAMPLES)
    packets = [Gst.Buffer.new_wrapped(data[at : at + ALAW_PACKET_SAMPLES]) for at in cuts]
    rate = ALAW_SAMPLE_RATE / ALAW_PACKET_SAMPLES
    return Media(whole.caps, [Unit(packet, 0, False) for packet in packets], rate)


@dataclass
class Mount:
    """One address of the camera and what tests do to it."""

    name: str
    video: Media
    audio: Media | None
    is_track: bool = False
    is_stalled: bool = False
    has_video: bool = True
    has_audio: bool = True
    clients: set[Any] = field(default_factory=set)


class Track:
    """Pushes one Media into one appsrc, in step with a time.

    `whole`: from a key picture on, and however late it is, nothing is passed over.
    """

    def __init__(self, media: Media, appsrc: Any, started: float, *, whole: bool = False) -> None:
        self._media = media
        self._appsrc = appsrc
        self._is_whole = whole
        self.started = started
        self._next = int(started * media.units_per_s)
        while whole and media.units[self._next % len(media.units)].is_delta:
            self._next -= 1
            self.started = self._next / media.units_per_s
        appsrc.set_property("caps", media.caps)

    def end(self) -> None:
        """Push no more, and say so."""
        self._appsrc.emit("end-of-stream")

    def push_due(self, now: float, wanted: bool) -> None:
        """Push every unit whose time has come; unwanted ones are lost, as in a broken camera."""
        rate = self._media.units_per_s
        newest = int(now * rate)
        if newest - self._next > CATCH_UP_S * rate and not self._is_whole:
            self._next = newest
        while self._next <= newest:
            if wanted:
                self._push(self._next)
            self._next += 1

    def _push(self, number: int) -> None:
        unit = self._media.units[number % len(self._media.units)]
        at = max(0, int((number / self._media.units_per_s - self.started) * Gst.SECOND))
        buffer = unit.buffer.copy()
        buffer.dts = at
        buffer.pts = at + unit.pts_ahead_ns
        buffer.duration = int(Gst.SECOND / self._media.units_per_s)
        self._appsrc.emit("push-buffer", buffer)


class Feed:
    """The tracks of one running RTSP session group (all clients of a mount share it).

    With a span it shows what was there between two times, beginning when it is played: until then
    there is one picture, of which SDP is made.
    """

    def __init__(self, mount: Mount, element: Any, span: tuple[float, float] | None) -> None:
        now = time.time()
        asked = span[0] if span else now
        self._ends = span[1] if span else None
        self.mount = mount
        whole = span is not None
        self._video = Track(mount.video, element.get_by_name("video"), asked, whole=whole)
        started = self._video.started
        self._behind = now - started
        self._holds_at = started if span else None
        audio = element.get_by_name("audio")
        self._audio = Track(mount.audio, audio, started, whole=whole) if mount.audio else None
        self._has_ended = False

    def note_state(self, state: int) -> None:
        """Begin once it is played, if it has not begun."""
        if state == PLAYING and self._holds_at is not None:
            self._behind, self._holds_at = time.time() - self._holds_at, None

    def push_due(self, now: float) -> None:
        """Push what is due on both tracks."""
        now = now - self._behind if self._holds_at is None else self._holds_at
        if self.mount.is_stalled or self._has_ended:
            return
        if self._ends is not None and now >= self._ends:
            self._has_ended = True
            now = self._ends - MOMENT_S  # what it is late with comes before the end
        self._video.push_due(now, self.mount.has_video)
        if self._audio:
            self._audio.push_due(now, self.mount.has_audio)
        if self._has_ended:
            self._video.end()
            if self._audio:
                self._audio.end()


def find_time(query: str, key: str) -> int:
    """Return a time of a query in unix time, as if it were UTC; 0 when it has none."""
    found = re.search(rf"(?i)(?:^|&){key}=([^&/]*)", query)
    digits = re.sub(r"\D", "", found[1])[:14] if found else ""
    return calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S")) if len(digits) == 14 else 0


class Factory(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc]  # gi has no types
    """Makes the pipeline of a mount when its first client comes."""

    def __init__(self, camera: Camera, mount: Mount, video: str, audio: str) -> None:
        super().__init__()
        self._camera = camera
        self._mount = mount
        source = "is-live=true format=time block=false"
        launch = f"appsrc name=video {source} ! {PAYLOADERS[video]} name=pay0 pt=96 mtu=1400"
        if audio:
            launch += f" appsrc name=audio {source} ! {AUDIO_PAYLOADERS[audio]}"
        self._launch = f"( {launch} )"
        self.set_shared(not mount.is_track)
        self.set_latency(0)

    def do_create_element(self, url: Any) -> Any:
        """Make the pipeline; of what its client asks it knows by its name."""
        element = Gst.parse_launch(self._launch)
        if self._mount.is_track:
            begin, end = (find_time(url.query or "", key) for key in ("starttime", "endtime"))
            element.set_name(f"{begin}-{end}")
        return element

    def do_configure(self, media: Any) -> None:
        """Start feeding the new pipeline."""
        element = media.get_element()
        span = None
        if self._mount.is_track:
            begin, end = element.get_name().split("-")
            span = (float(begin), float(end))
        feed = Feed(self._mount, element, span)
        self._camera.feeds.append(feed)
        media.connect("new-state", lambda _, state: feed.note_state(state))
        media.connect("unprepared", lambda _: self._camera.feeds.remove(feed))


class Paths(GstRtspServer.RTSPMountPoints):  # type: ignore[misc]  # gi has no types
    """Finds mounts by path, and by path and parameters those with a query in their name.

    The latter stand here at a plain path, which DESCRIBE gives as the base of what follows: the
    server plays nothing at a base with a query.
    """

    def __init__(self) -> None:
        super().__init__()
        self._queried: list[tuple[str, set[str], str]] = []

    def add(self, name: str, factory: Any) -> None:
        """Mount a factory."""
        path, _, query = name.partition("?")
        if query:
            self._queried.append((f"/{path}", set(query.split("&")), f"/{make_plain(name)}"))
        self.add_factory(f"/{make_plain(name)}", factory)

    def do_make_path(self, url: Any) -> str:
        """Return where the mount stands that is meant."""
        given = set((url.query or "").split("&"))
        for path, wanted, plain in self._queried:
            if path == url.abspath and wanted <= given:
                return plain
        return str(url.abspath)


def make_plain(name: str) -> str:
    """Return a mount's name without a query."""
    return name.replace("?", ",").replace("&", ",")


class Camera:
    """The RTSP server with its mounts and the commands that make it misbehave."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.feeds: list[Feed] = []
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address("127.0.0.1")
        self._server.set_service("0")
        self._role = self._demand_password(settings["user"], settings["password"])
        self._mounts: dict[str, Mount] = {}
        self._paths = Paths()
        self._server.set_mount_points(self._paths)
        for each in settings["mounts"]:
            self._add_mount(**each)
        self._server.connect("client-connected", lambda _, client: self._watch(client))

    def listen(self) -> int:
        """Start serving; return the port."""
        if not self._server.attach(None):
            raise SystemExit("the RTSP server can't listen")
        GLib.timeout_add(TICK_MS, self._tick)
        GLib.timeout_add_seconds(1, self._drop_dead_sessions)
        return int(self._server.get_bound_port())

    def obey(self, command: str, name: str) -> int:
        """Do what a test asks of a mount; return how many clients it has."""
        mount = self._mounts[name]
        actions: dict[str, Callable[[], object]] = {
            "count": lambda: None,
            "stall": lambda: setattr(mount, "is_stalled", True),
            "resume": lambda: self._resume(mount),
            "stop_video": lambda: setattr(mount, "has_video", False),
            "stop_audio": lambda: setattr(mount, "has_audio", False),
            "kick": lambda: [client.close() for client in list(mount.clients)],
        }
        actions[command]()
        return len(mount.clients)

    def _resume(self, mount: Mount) -> None:
        mount.is_stalled = False
        mount.has_video = mount.has_audio = True

    def _demand_password(self, user: str, password: str) -> Any:
        """Accept only `user` by digest; return the role that mounts must admit."""
        if not user:
            return None
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(2)  # GST_RTSP_AUTH_DIGEST, which gi does not name
        auth.add_digest(user, password, token)
        self._server.set_auth(auth)
        role = "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
        structure = Gst.Structure.new_from_string(role)
        return structure[0] if isinstance(structure, tuple) else structure

    def _add_mount(
        self, name: str, path: str, video: str, audio: str, fps: float, is_track: bool
    ) -> None:
        pictures = load(path, "video_0", PARSERS[video], fps)
        sound = load_audio(path, audio) if audio else None
        mount = self._mounts[name] = Mount(name, pictures, sound, is_track)
        factory = Factory(self, mount, video, audio)
        if self._role:
            factory.add_role_from_structure(self._role)
        self._paths.add(name, factory)

    def _watch(self, client: Any) -> None:
        """Keep account of which client looks at which mount."""

        def on_play(client: Any, context: Any) -> None:
            path = context.uri.abspath.strip("/") + "/"
            for mount in self._mounts.values():
                if path.startswith(f"{make_plain(mount.name)}/"):
                    mount.clients.add(client)

        def on_closed(client: Any) -> None:
            for mount in self._mounts.values():
                mount.clients.discard(client)

        client.connect("setup-request", on_play)
        client.connect("closed", on_closed)

    def _tick(self) -> bool:
        now = time.time()
        for feed in list(self.feeds):
            feed.push_due(now)
        return True

    def _drop_dead_sessions(self) -> bool:
        self._server.get_session_pool().cleanup()
        return True


def answer(value: dict[str, object]) -> None:
    """Write one line to the test."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def read_commands(camera: Camera, loop: Any) -> None:
    """Hand each command line to the main loop's thread; end the loop with the input."""

    def run(line: str) -> bool:
        request = json.loads(line)
        answer({"clients": camera.obey(request["command"], request["mount"])})
        return False

    for line in sys.stdin:
        GLib.idle_add(run, line)
    loop.quit()


def main() -> None:
    """Serve until standard input ends."""
    Gst.init(None)
    camera = Camera(json.loads(sys.stdin.readline()))
    answer({"port": camera.listen()})
    loop = GLib.MainLoop()
    threading.Thread(target=read_commands, args=(camera, loop), daemon=True).start()
    loop.run()


main()
