"""RTSP over TLS: its server's certificate is judged before ffmpeg is started.

Old ffmpegs look at no certificate there, new ones take none that a camera has made itself. So they
are told to look at none, and a connection of ours does so just before.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from h5sup.base.errors import Failure, SourceError
from h5sup.config.model import SourceConfig
from h5sup.devices.model import DEVICE_TIMEOUT_S, DeviceError
from h5sup.devices.trust import Trust
from h5sup.ffmpeg.media import Input
from h5sup.sources.onvif import as_source_error

RTSPS_PORT = 322  # RFC 7826 §22.15


def is_rtsps(found: Input) -> bool:
    """Return whether an input comes over TLS."""
    return found.kind == "rtsp" and urlsplit(found.url).scheme == "rtsps"


async def judge(
    found: Input, trust: Trust, config: SourceConfig, *, timeout_s: float = DEVICE_TIMEOUT_S
) -> None:
    """Raise SourceError unless a server shows the certificate that it is known by."""
    parts = urlsplit(found.url)
    host, port = parts.hostname or "", parts.port or RTSPS_PORT
    guard = trust.guard(config.token, host, f"rtsps {host}:{port}", config.fingerprint)
    try:
        async with asyncio.timeout(timeout_s):
            await guard.judge(port)
    except TimeoutError:
        raise SourceError(
            Failure.NO_ANSWER, f"no TLS with port {port} of {host} within {timeout_s:g} s"
        ) from None
    except DeviceError as error:
        raise as_source_error(error) from error
