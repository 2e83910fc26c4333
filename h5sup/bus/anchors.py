"""Where the timestamps of packets lie on the clock of the fragments.

ffmpeg starts the timestamps of each RTP output at random, and its sender reports tell the time of
its process, not of its media. So pictures are recognised by their last bytes: they are the same in
a packet and in a fragment, and hardly twice in a stream.
"""

from __future__ import annotations

from collections.abc import Sequence

from h5sup.bus.channel import Channel
from h5sup.bus.packet_ring import Anchor, PacketRing
from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, parse_fragment
from h5sup.formats.rtp import RTP_HEADER_LENGTH, timestamp_distance

TAIL_BYTES = 16
LEAST_TAIL_BYTES = 6
FU_HEADER_BYTES = 3  # the most a packet's payload has before a NAL unit's own bytes
NTP_FRACTION = 1 << 32


def find_video_anchor(channel: Channel) -> Anchor | None:
    """Return the newest key frame on both clocks; None while the two are not at the same one."""
    ring, init = channel.ring, channel.init
    if ring is None or init is None or init.video is None or not channel.gop:
        return None
    packets = first_unit(ring.replay())
    if not packets:
        return None
    tail = packets[-1][RTP_HEADER_LENGTH + FU_HEADER_BYTES :][-TAIL_BYTES:]
    key = channel.gop[0]
    run = parse_fragment(key.data, init).video
    if run is None or len(tail) < LEAST_TAIL_BYTES:
        return None
    dts = run.dts
    for sample in run.samples:
        if not sample.flags & SAMPLE_IS_NON_SYNC:
            if not key.data.endswith(tail, sample.start, sample.start + sample.size):
                return None
            media_s = (dts + sample.cts_offset) / init.video.timescale
            return Anchor(int.from_bytes(packets[0][4:8]), media_s)
        dts += sample.duration
    return None


def find_sound_anchor(video: PacketRing, sound: PacketRing) -> Anchor | None:
    """Return the anchor of sound that the same ffmpeg sends: its reports share one wall clock."""
    anchor, seen, heard = video.anchor, video.sender_report(), sound.sender_report()
    if anchor is None or seen is None or heard is None:
        return None
    ahead = timestamp_distance(seen.timestamp, anchor.timestamp)
    media_s = anchor.media_s + ahead / video.clock_hz
    return Anchor(heard.timestamp, media_s + (heard.ntp - seen.ntp) / NTP_FRACTION)


def first_unit(packets: Sequence[bytes]) -> list[bytes]:
    """Return the packets of the first access unit, when it is whole."""
    unit: list[bytes] = []
    for packet in packets:
        if unit and packet[4:8] != unit[0][4:8]:
            return unit
        unit.append(packet)
    return []
