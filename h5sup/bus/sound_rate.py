"""How many bits a second of a channel are sound: counted from what is cached, when asked."""

from __future__ import annotations

from h5sup.bus.channel import Channel
from h5sup.formats.isobmff.fragment import parse_fragment

MAX_FRAGMENTS = 100  # some four seconds: sound hardly changes its rate


def measure_sound(channel: Channel) -> int:
    """Return bits a second, 0 while the cache holds no sound."""
    init = channel.init
    if init is None or init.audio is None:
        return 0
    size_bytes = ticks = 0
    for fragment in channel.gop[-MAX_FRAGMENTS:]:
        if fragment.audio is None:
            continue
        run = parse_fragment(fragment.data, init).audio
        if run is not None:
            size_bytes += sum(sample.size for sample in run.samples)
            ticks += fragment.audio.duration
    return round(size_bytes * 8 * init.audio.timescale / ticks) if ticks else 0
