"""What a running server tells the support bundle: as the calls show it, in one text."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct, field

from h5sup.api import present, present_system
from h5sup.api.devices import DeviceAnswer, show_device
from h5sup.api.services import Services
from h5sup.ffmpeg.codecs import Codecs
from h5sup.metrics.machine import Load


class Report(Struct, frozen=True, kw_only=True):
    """The whole text."""

    system: present.SystemAnswer
    run: present_system.RunAnswer
    codecs: present_system.CodecAnswer | None
    """None while they are being tried."""
    sources: list[present.SourceAnswer]
    devices: list[DeviceAnswer]
    logs: list[present_system.LogAnswer]
    ws_viewers: int
    rtc_viewers: int
    lines: list[str] = field(default_factory=list)
    """What the server logged last."""


def build_report(
    services: Services, *, load: Load, codecs: Codecs | None, lines: Iterable[str]
) -> bytes:
    """Return the text; no password stands in it."""
    found = services.sources.sources()
    report = Report(
        system=present.system(services.system, has_default_password=False),
        run=present_system.run(
            load,
            services.machine.uptime_s,
            services.mediastore,
            services.forecast.newest,
            lambda _: True,
        ),
        codecs=None if codecs is None else present_system.codecs(services.system, codecs),
        sources=[present.source(one) for one in found],
        devices=[show_device(one) for one in services.devices.devices()],
        logs=[present_system.log(one.config.token, one.feeds) for one in found],
        ws_viewers=services.ws_viewers.connections,
        rtc_viewers=services.rtc_viewers.connections,
        lines=list(lines),
    )
    return msgspec.json.encode(report)
