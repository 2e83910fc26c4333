"""An RTSP camera on a real socket: GStreamer's RTSP server showing clips, with switches."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tests.fakes.clips import CLIPS, Clips

SERVER = Path(__file__).with_name("rtsp_camera_server.py")
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0')"
START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 10.0
NO_SPROP = "-nosp"  # a mount with this ending has no parameter sets in its SDP


class RtspCamera:
    """A camera with one mount per clip name; use it in `async with`.

    A mount is a name of tests/fakes/clips.py (MP4 or MOV clips only), or one of H.264 with
    `-nosp` behind it: its SDP then lacks sprop-parameter-sets. At unix time t a mount shows frame
    floor(t * fps) mod frames. Clients join in the middle of a GOP, as with any camera.

    `places` are further mounts: clips by the path at which they are shown. `tracks` are the same
    as a recorder's recordings: a client gets, for itself, what was there between the `starttime`
    and the `endtime` of its query, in real time from the key picture before on, then the end.
    There t is that time read as if it were UTC, by its digits, however they are set apart. A path
    may have a query (`cam/live?channel=1`): then an address must have those parameters.
    """

    def __init__(
        self,
        clips: Clips,
        mounts: Iterable[str],
        *,
        user: str = "",
        password: str = "",
        places: Mapping[str, str] | None = None,
        tracks: Mapping[str, str] | None = None,
    ) -> None:
        self.port = 0
        self._clips = clips
        self._shown = {name: name for name in mounts} | dict(places or {})
        self._tracks = dict(tracks or {})
        self._user = user
        self._password = password
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Return its process id."""
        assert self._process is not None
        return self._process.pid

    def url(self, mount: str, user: str = "", password: str = "") -> str:
        """Return a mount's address, with credentials in it when given."""
        userinfo = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
        return f"rtsp://{userinfo}127.0.0.1:{self.port}/{mount}"

    async def stall(self, mount: str) -> None:
        """Send no more media on `mount`; connections stay open."""
        await self._command("stall", mount)

    async def resume(self, mount: str) -> None:
        """Undo `stall`, `stop_video` and `stop_audio`."""
        await self._command("resume", mount)

    async def stop_video(self, mount: str) -> None:
        """Send audio alone."""
        await self._command("stop_video", mount)

    async def stop_audio(self, mount: str) -> None:
        """Send video alone."""
        await self._command("stop_audio", mount)

    async def kick(self, mount: str) -> None:
        """Close the connection of every client of `mount`."""
        await self._command("kick", mount)

    async def clients(self, mount: str) -> int:
        """Return how many connections look at `mount` now."""
        return await self._command("count", mount)

    def freeze(self) -> None:
        """Stop the whole camera: connections stay open, nothing answers any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End the camera without a goodbye; its port refuses connections from then on."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def __aenter__(self) -> Self:
        settings = await asyncio.to_thread(self._settings)
        python = await find_gstreamer_python()
        self._process = await asyncio.create_subprocess_exec(
            python, str(SERVER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                self.port = (await self._ask(settings))["port"]
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    def _settings(self) -> dict[str, object]:
        mounts = [self._mount(path, name) for path, name in self._shown.items()]
        mounts += [self._mount(path, name, is_track=True) for path, name in self._tracks.items()]
        return {"mounts": mounts, "user": self._user, "password": self._password}

    def _mount(self, at: str, name: str, *, is_track: bool = False) -> dict[str, object]:
        clip = name.removesuffix(NO_SPROP)
        recipe = CLIPS[clip]
        video = recipe.video + (NO_SPROP if name.endswith(NO_SPROP) else "")
        path = str(self._clips[clip])
        return {
            "name": at, "path": path, "video": video, "audio": recipe.audio, "fps": recipe.fps,
            "is_track": is_track,
        }  # fmt: skip

    async def _command(self, command: str, mount: str) -> int:
        async with asyncio.timeout(ANSWER_TIMEOUT_S), self._turn:
            return (await self._ask({"command": command, "mount": mount}))["clients"]

    async def _ask(self, question: dict[str, object]) -> dict[str, int]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the RTSP camera's process ended; its words are on stderr")
        reply: dict[str, int] = json.loads(line)
        return reply

    async def _stop(self) -> None:
        """End the process, gently at first; return when it is reaped."""
        process, self._process = self._process, None
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        with suppress(ConnectionError):
            await process.stdin.wait_closed()


async def find_gstreamer_python() -> str:
    """Return a Python that has GStreamer's RTSP server; the virtual environment has not."""
    folders = ("/usr/bin", "/usr/local/bin", None)
    for python in filter(None, (shutil.which("python3", path=folder) for folder in folders)):
        check = await asyncio.create_subprocess_exec(
            python, "-c", NEEDED, stderr=asyncio.subprocess.DEVNULL
        )
        if await check.wait() == 0:
            return python
    raise RuntimeError(
        "the tests' RTSP camera needs GStreamer's RTSP server for Python: "
        "apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 "
        "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
    )
