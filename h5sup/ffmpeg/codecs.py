"""What this machine really encodes and decodes: each codec is tried for one second.

What ffmpeg lists says little: `h264_nvenc` stands in the list of a machine without a graphics
card. The trials run one after the other at the lowest priority, on demand or when the sources
have had their start, and the result is kept on disk for this ffmpeg and these devices.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from h5sup.base.errors import H5supError, UnavailableError
from h5sup.base.tasks import end_tasks, start_task
from h5sup.ffmpeg import trials
from h5sup.ffmpeg.tools import Tools

FILE_NAME = "codecs.json"
BEGIN_AFTER_S = 20.0  # the sources come first: by then their ffmpegs have started
WAIT_S = 10.0
TRIAL_TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 4_000_000
DEVICES = ("dri/renderD*", "video*", "nvidia[0-9]*", "dxg", "mpp_service")

logger = logging.getLogger(__name__)


class Jobs(Protocol):
    """What runs short jobs, few at a time."""

    async def run_job(
        self, argv: Sequence[str], data: bytes = b"", *, timeout_s: float, max_bytes: int
    ) -> bytes:
        """Return what the job wrote; raises SourceError."""


class Key(Struct, frozen=True):
    """What a result holds for."""

    ffmpeg: str
    version: str
    devices: tuple[str, ...]


class Codecs(Struct, frozen=True, kw_only=True):
    """What passed: by codec, ffmpeg's names; a decoding device stands as `vaapi`, `cuda` ..."""

    sw_encoders: dict[str, tuple[str, ...]] = {}
    hw_encoders: dict[str, tuple[str, ...]] = {}
    sw_decoders: dict[str, tuple[str, ...]] = {}
    hw_decoders: dict[str, tuple[str, ...]] = {}


class Kept(Struct, frozen=True):
    """The file on disk."""

    key: Key
    codecs: Codecs


class CodecProbe:
    """Tries once and remembers. `start()` from the event loop, `close()` at the end."""

    def __init__(
        self,
        tools: Tools,
        jobs: Jobs,
        folder: Path,
        *,
        devices: Path = Path("/dev"),
        begin_after_s: float = BEGIN_AFTER_S,
    ) -> None:
        self._tools = tools
        self._jobs = jobs
        self._path = folder / FILE_NAME
        self._devices = devices
        self._begin_after_s = begin_after_s
        self._found: Codecs | None = None
        self._wanted = asyncio.Event()
        self._probing: asyncio.Task[None] | None = None

    @property
    def found(self) -> Codecs | None:
        """Return what passed, None while it is not known."""
        return self._found

    def start(self) -> None:
        """Look into the file; without a fitting one the trials begin a while later."""
        self._probing = start_task(self._run(), "codecs")

    async def close(self) -> None:
        """End the trials."""
        await end_tasks(self._probing)

    async def codecs(self, wait_s: float = WAIT_S) -> Codecs:
        """Return what passed, tried now if need be; raises UnavailableError after the time."""
        self._wanted.set()
        if self._found is None and self._probing is not None:
            await asyncio.wait({self._probing}, timeout=wait_s)
        if self._found is None:
            raise UnavailableError("the codecs are being tried: ask again in half a minute")
        return self._found

    async def _run(self) -> None:
        names = await asyncio.to_thread(find_devices, self._devices)
        key = Key(self._tools.ffmpeg, self._tools.version_line, names)
        kept = await asyncio.to_thread(read_kept, self._path)
        if kept is not None and kept.key == key:
            self._found = kept.codecs
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._begin_after_s):
                await self._wanted.wait()
        try:
            self._found = await self._probe(names)
            await asyncio.to_thread(write_kept, self._path, Kept(key, self._found))
        except (H5supError, OSError) as error:
            logger.warning("the codecs of this machine can't be tried: %s", error)
        else:
            passed = " ".join(name for one in self._found.hw_encoders.values() for name in one)
            logger.info("hardware encoders that passed their trial: %s", passed or "none")

    async def _probe(self, names: tuple[str, ...]) -> Codecs:
        offer = trials.Offer(
            trials.parse_list(await self._ask("encoders")),
            trials.parse_list(await self._ask("decoders")),
            trials.parse_accelerations(await self._ask("hwaccels")),
            names,
        )
        node = next((str(self._devices / one) for one in names if one.startswith("dri/")), "")
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for codec in trials.CODECS:
            for kind, passed in (await self._probe_codec(codec, offer, node)).items():
                if passed:
                    found.setdefault(kind, {})[codec] = tuple(passed)
        return msgspec.convert(found, Codecs)

    async def _probe_codec(
        self, codec: str, offer: trials.Offer, node: str
    ) -> dict[str, list[str]]:
        """Try one codec; what was encoded is what the decoders get."""
        ffmpeg = self._tools.ffmpeg
        clips: dict[str, bytes] = {}
        for name, options in offer.sw_encoders(codec):
            clip = await self._try(trials.build_encoding(ffmpeg, name, options))
            if clip:
                clips[name] = clip
                break  # the others are there for machines without this one
        software = list(clips)
        for name in offer.hw_encoders(codec):
            clip = await self._try(trials.build_encoding(ffmpeg, name, (), node))
            if clip:
                clips[name] = clip
        passed = {"sw_encoders": software, "hw_encoders": list(clips)[len(software) :]}
        if clips:
            passed |= await self._probe_decoders(codec, offer, node, next(iter(clips.values())))
        return passed

    async def _probe_decoders(
        self, codec: str, offer: trials.Offer, node: str, clip: bytes
    ) -> dict[str, list[str]]:
        ffmpeg = self._tools.ffmpeg
        software = {name: trials.build_decoding(ffmpeg, name) for name in offer.sw_decoders(codec)}
        hardware = {name: trials.build_decoding(ffmpeg, name) for name in offer.hw_decoders(codec)}
        for method in offer.hw_methods():
            hardware[method] = trials.build_acceleration(ffmpeg, method, node)
        return {
            "sw_decoders": [n for n, argv in software.items() if await self._passes(argv, clip)],
            "hw_decoders": [n for n, argv in hardware.items() if await self._passes(argv, clip)],
        }

    async def _passes(self, argv: Sequence[str], clip: bytes) -> bool:
        return await self._try(argv, clip) is not None

    async def _ask(self, what: str) -> str:
        argv = trials.build_list(self._tools.ffmpeg, what)
        return (await self._job(argv)).decode(errors="replace")

    async def _try(self, argv: Sequence[str], data: bytes = b"") -> bytes | None:
        """Return what a trial wrote, None where it failed: that is most trials' good end."""
        try:
            return await self._job(argv, data)
        except H5supError as error:
            logger.debug("trial failed: %s: %s", " ".join(argv), error)
            return None

    async def _job(self, argv: Sequence[str], data: bytes = b"") -> bytes:
        return await self._jobs.run_job(
            argv, data, timeout_s=TRIAL_TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES
        )


def find_devices(folder: Path) -> tuple[str, ...]:
    """Return the names of what could encode or decode; blocks."""
    found = (path for pattern in DEVICES for path in folder.glob(pattern))
    return tuple(sorted(path.relative_to(folder).as_posix() for path in found))


def read_kept(path: Path) -> Kept | None:
    """Return an earlier result, None where there is none that can be read; blocks."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return None


def write_kept(path: Path, kept: Kept) -> None:
    """Keep a result; blocks."""
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(kept))
    new.replace(path)


def read_processor(proc: Path = Path("/proc")) -> str:
    """Return the processor's name; where the kernel has none, as on ARM, the board's. Blocks."""
    with suppress(OSError):
        named = re.search(r"^model name\s*:\s*(.+)$", (proc / "cpuinfo").read_text(), re.MULTILINE)
        if named:
            return named[1].strip()
    with suppress(OSError):
        return (proc / "device-tree" / "model").read_text().strip("\0\n ")
    return platform.machine()
