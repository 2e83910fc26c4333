"""The certificate in use: loaded at the start, and again whenever its files change.

A new one serves new connections; those that exist go on with the old one, so nobody is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from h5sup.base.clock import utc_now
from h5sup.base.errors import ConfigError
from h5sup.base.tasks import end_tasks, start_task
from h5sup.config.model import HttpConfig
from h5sup.web.certificates import Validity, judge_pair

WATCH_S = 5.0
WARN_BEFORE = timedelta(days=14)
WARN_EVERY_S = 24 * 3600.0
CERT_NAME = "tls-cert.pem"
KEY_NAME = "tls-key.pem"

Signature = tuple[tuple[int, int, int], ...]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A certificate that can be served."""

    context: ssl.SSLContext
    validity: Validity


class Tls:
    """Holds the certificate of one port. `load()` comes first; watched until `close()`."""

    def __init__(self, cert: Path, key: Path, *, watch_s: float = WATCH_S) -> None:
        self._cert = cert
        self._key = key
        self._watch_s = watch_s
        self._loaded: Loaded | None = None
        self._seen: Signature = ()
        self._warned_at: float | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """Return what the next connection is encrypted with."""
        assert self._loaded is not None
        return self._loaded.context

    @property
    def expires_s(self) -> float:
        """Return the wall time at which the certificate ends, in seconds since 1970."""
        assert self._loaded is not None
        return self._loaded.validity.ends.timestamp()

    async def load(self) -> None:
        """Read both files; raises ConfigError and keeps what was there."""
        self._seen = await asyncio.to_thread(signature_of, self._cert, self._key)
        self._loaded = await asyncio.to_thread(load_pair, self._cert, self._key)
        self._warned_at = None
        self._warn_of_the_end()

    async def reload(self) -> None:
        """Read both files again; what can't be used is logged and changes nothing."""
        try:
            await self.load()
        except ConfigError as error:
            logger.error("the certificate stays as it was: %s", error)  # noqa: TRY400 (no bug)
        else:
            logger.info("the certificate is read anew, it ends on %s", self._ends)

    def start(self) -> None:
        """Begin to watch the files."""
        self._watching = start_task(self._watch(), "certificate")

    async def close(self) -> None:
        """Stop watching."""
        await end_tasks(self._watching)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch_s)
            if await asyncio.to_thread(signature_of, self._cert, self._key) != self._seen:
                await self.reload()
            self._warn_of_the_end()

    @property
    def _ends(self) -> str:
        assert self._loaded is not None
        return f"{self._loaded.validity.ends:%Y-%m-%d}"

    def _warn_of_the_end(self) -> None:
        """Say once a day that the certificate has ended or is about to."""
        assert self._loaded is not None
        now = asyncio.get_running_loop().time()
        if self._warned_at is not None and now - self._warned_at < WARN_EVERY_S:
            return
        self._warned_at = now
        complaint = self._loaded.validity.complaint(utc_now())
        if complaint:
            logger.error("the certificate %s %s: browsers will refuse it", self._cert, complaint)
        elif self._loaded.validity.ends - utc_now() < WARN_BEFORE:
            logger.warning("the certificate %s ends on %s: renew it", self._cert, self._ends)


def find_pair(http: HttpConfig, home: Path, data: Path) -> tuple[Path, Path]:
    """Return the files of certificate and key: those configured, or our own in `data`."""
    if http.tls_cert:
        return (home / http.tls_cert).resolve(), (home / http.tls_key).resolve()
    cert, key = data / CERT_NAME, data / KEY_NAME
    if not cert.is_file():
        raise ConfigError(
            "http.tls_cert",
            f"is empty and there is no {cert}: name a certificate, "
            "or make one with ./run.py --self-signed",
        )
    return cert, key


def load_pair(cert: Path, key: Path) -> Loaded:
    """Read and judge both files; raises ConfigError. Blocks, so call it in a thread.

    A certificate that has ended is loaded all the same: a gateway that does not start records
    nothing, and after a power cut a Pi's clock may be years behind.
    """
    validity = judge_pair(cert, key, keys=("http.tls_cert", "http.tls_key"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError("http.tls_cert", f"{cert} can't be used: {error}") from error
    return Loaded(context, validity)


def signature_of(*paths: Path) -> Signature:
    """Return what changes when a file is written or replaced, also behind a link."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
    return tuple(found)
