"""run.py as a child process, with a configuration folder of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "run.py"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
LINE = re.compile(
    r"^h5sup ready on (http://127\.0\.0\.1:(\d+))(?: and (https://127\.0\.0\.1:\d+))?"
    r" \(pid (\d+)\)\n$"
)

Settings = Mapping[str, Any]


async def until(
    condition: Callable[[], object], what: str, timeout_s: float = 30.0, every_s: float = 0.02
) -> None:
    """Wait for a condition, looking often; `what` names it when it does not come."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s: {what}") from None


def free_port() -> int:
    """Return a port that is free for UDP and TCP."""
    for _ in range(20):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with suppress(OSError):  # somebody's media comes in there
                udp.bind(("127.0.0.1", port))
                return port
    raise AssertionError("no port is free for both UDP and TCP")


def has_new_ffmpeg(server: Server, old: int) -> bool:
    """Return whether an ffmpeg runs, and not the old one."""
    found = server.ffmpegs()
    return bool(found) and old not in found


class Server:
    """One h5sup. `async with` starts it, and stops it with all that a good end promises.

    Everything lies in `folder`: config.json, media/, data/ and log. Keywords are sections of
    config.json, merged over what tests need. `prefix` is a command that becomes run.py by exec;
    `options` are run.py's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sources: Sequence[Settings] = (),
        prefix: Sequence[str] = (),
        run: Path = RUN,
        options: Sequence[str] = (),
        **sections: Any,
    ) -> None:
        self.folder = folder
        self.base = self.tls_base = ""
        self.media = folder / "media"
        self.config: dict[str, Any] = {
            "http": {"host": "127.0.0.1", "port": 0} | sections.pop("http", {}),
            "paths": {"profiles": str(ROOT / "ffmpeg_profiles"), "www": str(ROOT / "www")}
            | sections.pop("paths", {}),
            "rtc": {"port": 0} | sections.pop("rtc", {}),
            **sections,
            "sources": list(sources),
        }
        self._options = options
        self._command = [*prefix, sys.executable, str(run)]
        self._options = options
        self._output = folder / "output"
        self._process: Process | None = None
        self.media.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """Return the manager's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def mark(self) -> str:
        """Return what this installation's processes carry in their environment."""
        return hashlib.sha256(os.fsencode((self.folder / "data").resolve())).hexdigest()[:12]

    @property
    def ram(self) -> Path:
        """Return the folder in memory."""
        parent = self.config["paths"].get("ram") or "/dev/shm"
        return Path(parent) / f"h5sup-{self.mark}"

    @property
    def log(self) -> str:
        """Return what it said on standard error since the first start."""
        return (self.folder / "log").read_text()

    def ready_lines(self) -> list[str]:
        """Return the ready lines of this process: more than one after a restart by API."""
        return self._output.read_text().splitlines()

    def add_media(self, clip: Path, name: str) -> None:
        """Put a clip into the media folder."""
        shutil.copyfile(clip, self.media / name)

    def write_config(self) -> Path:
        """Write config.json as `config` says now."""
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config))
        return path

    async def spawn(self, *options: str, folder: Path | None = None) -> Process:
        """Run the command line, in another folder if need be, and wait for nothing."""
        config = self.write_config()
        with self._output.open("w") as out, (self.folder / "log").open("a") as log:
            return await asyncio.create_subprocess_exec(
                *self._command,
                "--config",
                str(config),
                *options,
                stdout=out,
                stderr=log,
                cwd=folder,
            )

    async def start(self) -> None:
        """Start and wait for the ready line."""
        self._process = await self.spawn(*self._options)
        output = self._output
        try:
            await until(
                lambda: output.read_text().endswith("\n") or self._process_ended,
                "the ready line",
                START_TIMEOUT_S,
            )
            line = LINE.match(output.read_text())
            assert line, f"no ready line but {output.read_text()!r}; the log: {self.log}"
            assert int(line[4]) == self.pid
        except BaseException:
            await self.kill()
            raise
        self.base, self.tls_base = line[1], line[3] or ""
        # the next start gets the same address: players come back to it
        self.config["http"]["port"] = int(line[2])

    async def stop(self) -> None:
        """Ask it to end by SIGTERM, and check that nothing of it remains."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            exit_code = await self._process.wait()
        assert exit_code == 0, self.log
        assert not self.children(), self.children()
        assert not self.ram.exists()
        assert "Traceback" not in self.log, self.log

    async def kill(self) -> None:
        """End it as the kernel's memory killer would."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def reload(self) -> None:
        """Write config.json and have it read again."""
        self.write_config()
        os.kill(self.pid, signal.SIGHUP)

    def children(self) -> list[psutil.Process]:
        """Return the processes that carry this installation's mark."""
        return [one for one in psutil.process_iter() if self._is_marked(one)]

    def ffmpegs(self, words: str = "") -> list[int]:
        """Return the ids of the ffmpegs that keep a source going, with `words` among arguments."""
        found = []
        for child in self.children():
            with suppress(psutil.Error):
                argv = child.cmdline()
                if child.name() == "ffmpeg" and words in " ".join(argv) and "fifo" in argv:
                    found.append(child.pid)
        return found

    def open_descriptors(self) -> int:
        """Return how many file descriptors the manager has open."""
        return psutil.Process(self.pid).num_fds()

    def memory_bytes(self) -> int:
        """Return the manager's resident memory."""
        return int(psutil.Process(self.pid).memory_info().rss)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self.stop()
        except BaseException:
            kind = AssertionError
            raise
        finally:
            await self._clear()
            if kind is not None:
                print(self.log)

    @property
    def _process_ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            return is_alive and process.environ().get("H5SUP_MARK") == self.mark
        except (psutil.Error, OSError):
            return False

    async def _clear(self) -> None:
        """Leave nothing behind, however the test ended."""
        await self.kill()
        for child in self.children():
            with suppress(psutil.Error):
                child.kill()
