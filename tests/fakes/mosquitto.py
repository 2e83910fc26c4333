"""A real MQTT broker: Debian's mosquitto on free ports, and a client that looks into it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt

START_TIMEOUT_S = 10.0
WAIT_S = 30.0
USER = "h5sup"
PASSWORD = "br@ker/secret"
SBIN = "/usr/sbin"


def find_program(name: str) -> str:
    """Return the path of one of mosquitto's programs: /usr/sbin is not in every PATH."""
    found = shutil.which(name) or shutil.which(name, path=SBIN)
    assert found, f"{name} is not installed"
    return found


class Mosquitto:
    """One broker; use it in `async with`. What it keeps is gone with it, unless it is stopped.

    With `tls` (certificate and key) it also listens with TLS. It takes USER with PASSWORD.
    """

    def __init__(self, folder: Path, *, tls: tuple[Path, Path] | None = None) -> None:
        self.port = self.tls_port = 0
        self._folder = folder / "mosquitto"
        self._tls = tls
        self._process: Process | None = None

    def url(self, user: str = USER, password: str = "br%40ker%2Fsecret") -> str:
        """Return what goes into mqtt.url."""
        return f"mqtt://{user}:{password}@127.0.0.1:{self.port}"

    def tls_url(self) -> str:
        """Return the address with TLS."""
        return f"mqtts://{USER}:br%40ker%2Fsecret@localhost:{self.tls_port}"

    async def start(self) -> None:
        """Start, again at the same port."""
        if not self.port:
            await self._prepare()
        self._process = await asyncio.create_subprocess_exec(
            find_program("mosquitto"),
            "-c",
            str(self._folder / "mosquitto.conf"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await self._answers():
                assert self._process.returncode is None, "mosquitto ended"
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it; connections break, and what it keeps is written down."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        await self._process.wait()

    def freeze(self) -> None:
        """Stop the process: connections stay open, nothing answers any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @asynccontextmanager
    async def watched(self, pattern: str = "#") -> AsyncIterator[Watch]:
        """Follow what is published, beginning with what is kept."""
        async with self.client("watch") as client:
            await client.subscribe(pattern, 1)
            watch = Watch()
            reading = asyncio.create_task(watch.read(client))
            try:
                yield watch
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    def client(self, identifier: str) -> aiomqtt.Client:
        """Return a client of it."""
        return aiomqtt.Client(
            "127.0.0.1", self.port, username=USER, password=PASSWORD, identifier=identifier
        )

    async def _prepare(self) -> None:
        self._folder.mkdir(exist_ok=True)
        with socket.socket() as plain, socket.socket() as secure:
            plain.bind(("127.0.0.1", 0))
            secure.bind(("127.0.0.1", 0))
            self.port, self.tls_port = plain.getsockname()[1], secure.getsockname()[1]
        passwords = self._folder / "passwords"
        process = await asyncio.create_subprocess_exec(
            find_program("mosquitto_passwd"), "-c", "-b", str(passwords), USER, PASSWORD
        )
        assert await process.wait() == 0
        passwords.chmod(0o644)
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            "user root",
            "persistence true",
            f"persistence_location {self._folder}/",
        ]
        if self._tls:
            certificate, key = self._tls
            lines += [f"listener {self.tls_port} 127.0.0.1"]
            lines += [f"certfile {certificate}", f"keyfile {key}"]
        (self._folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


@dataclass
class Watch:
    """What a client of the broker has seen."""

    kept: dict[str, bytes] = field(default_factory=dict)
    """The newest of each topic; one that was taken back is gone from here."""
    messages: list[tuple[str, bytes]] = field(default_factory=list)

    async def read(self, client: aiomqtt.Client) -> None:
        """Take what comes."""
        async for message in client.messages:
            topic, payload = str(message.topic), bytes(message.payload)
            self.messages.append((topic, payload))
            if payload:
                self.kept[topic] = payload
            else:
                self.kept.pop(topic, None)

    async def until(self, condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
        """Wait for a condition, looking often."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not within {timeout_s:g} s; kept: {list(self.kept)}") from None

    async def until_kept(self, topic: str, text: str) -> None:
        """Wait until this lies at a topic."""
        await self.until(lambda: self.kept.get(topic) == text.encode())

    def json(self, topic: str) -> Any:
        """Return what lies at a topic."""
        return json.loads(self.kept[topic])

    def events(self, topic: str = "h5sup/events") -> list[dict[str, Any]]:
        """Return all events so far."""
        return [json.loads(payload) for name, payload in self.messages if name == topic]


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Make a certificate that stands for itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
        "-out", str(certificate), "-keyout", str(key),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return certificate, key
