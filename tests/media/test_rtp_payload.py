"""Our packets of a clip against those of ffmpeg's RTP muxer: to a receiver they are the same."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from itertools import groupby
from pathlib import Path

import pytest

from h5sup.formats.isobmff.fragment import SAMPLE_IS_NON_SYNC, parse_fragment
from h5sup.formats.rtp import parse_header
from h5sup.formats.rtp_payload import PACKET_BYTES, build_packets, open_payloader
from tests.fakes.clips import Clips
from tests.fakes.depacketiser import Kind, join, nal_type
from tests.fakes.playback import read_tape

pytestmark = pytest.mark.media

PICTURES = 60
PARAMETER_SETS: dict[Kind, set[int]] = {"h264": {7, 8}, "hevc": {32, 33, 34}}

Unit = tuple[set[bytes], list[bytes]]
"""A picture's parameter sets, and its other NAL units in order."""


def units(codec: Kind, packets: list[bytes]) -> list[Unit]:
    """Return what a receiver makes of packets; each picture must end with a marked one."""
    found = []
    for _, group in groupby(packets, key=lambda packet: packet[4:8]):
        unit = list(group)
        marks = [parse_header(packet).is_marked for packet in unit]
        assert marks == [False] * (len(unit) - 1) + [True]
        nals = join(codec, [packet[12:] for packet in unit])
        sets = {nal for nal in nals if nal_type(codec, nal) in PARAMETER_SETS[codec]}
        found.append((sets, [nal for nal in nals if nal not in sets]))
    return found


def ours(clip: Path) -> list[bytes]:
    tape = read_tape(clip)
    assert tape.init.video is not None
    payloader = open_payloader(tape.init.video)
    packets: list[bytes] = []
    for index, data in enumerate(tape.fragments[:PICTURES]):
        run = parse_fragment(data, tape.init).video
        assert run is not None
        (sample,) = run.samples
        unit = data[sample.start : sample.start + sample.size]
        payloads = payloader.split(unit, is_key=not sample.flags & SAMPLE_IS_NON_SYNC)
        packets += build_packets(
            payloads, payload_type=96, sequence=len(packets), timestamp=index, ssrc=1
        )
    return packets


def ffmpegs(clip: Path, codec: Kind) -> list[bytes]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.bind(("127.0.0.1", 0))
        media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        port = media.getsockname()[1]
        argv = ["ffmpeg", "-loglevel", "error", "-readrate", "20", "-i", str(clip), "-an"]
        argv += ["-c", "copy", "-bsf:v", f"{codec}_mp4toannexb", "-frames:v", str(PICTURES)]
        url = f"rtp://127.0.0.1:{port}?pkt_size={PACKET_BYTES}&rtcpport=9"
        with subprocess.Popen([*argv, "-f", "rtp", url], stdout=subprocess.DEVNULL) as process:
            media.settimeout(5)
            packets = [media.recv(2048)]
            media.settimeout(0.2)
            while True:
                try:
                    packets.append(media.recv(2048))
                except TimeoutError:
                    if process.poll() is not None:
                        return packets


@pytest.mark.parametrize(
    ("clip", "codec"), [("h264_2m_mute", "h264"), ("h264_mute", "h264"), ("hevc_aac", "hevc")]
)
async def test_a_receiver_gets_the_same_of_both(clips: Clips, clip: str, codec: Kind) -> None:
    path = clips[clip]
    packets = await asyncio.to_thread(ours, path)
    expected = units(codec, await asyncio.to_thread(ffmpegs, path, codec))
    found = units(codec, packets)
    assert len(found) == PICTURES
    assert [nals for _, nals in found] == [nals for _, nals in expected]
    assert [sets for sets, _ in found] == [sets for sets, _ in expected]
    assert max(map(len, packets)) <= PACKET_BYTES
    assert any(len(nals) and len(nals[0]) > PACKET_BYTES for _, nals in found)
