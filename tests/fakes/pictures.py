"""Pictures that go both ways, as ffmpeg sends them: in fragments and in packets."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from h5sup.bus.channel import Channel
from h5sup.bus.ingest import Ingest
from h5sup.bus.packet_ring import PacketRing
from h5sup.formats.isobmff.build import NewRun, build_fragment
from h5sup.formats.isobmff.fragment import NON_SYNC_FLAGS, SYNC_FLAGS, Sample
from h5sup.formats.rtp import RtpHeader, build_header
from tests.fakes.mp4 import PICTURE, Camera

DICE = random.Random(5)
SPS, PPS = b"\x67\x4d\x40\x1f" + DICE.randbytes(8), b"\x68\xee\x3c\x80"
SLICE = b"\x65" + DICE.randbytes(3000)
SECOND_SLICE = b"\x65" + DICE.randbytes(700)
SMALL = b"\x65" + DICE.randbytes(40)
NEXT = b"\x41" + DICE.randbytes(300)
FRAME = 3600


class Feeder:
    """What fills a ring, for a ring that wants to know one."""

    def set_watched(self, is_watched: bool) -> None:
        """Learn what nothing depends on here."""


class Pictures:
    """A channel that gets fragments and packets of the same pictures, as ffmpeg sends both."""

    def __init__(self) -> None:
        self.ring = PacketRing(1_000_000)
        self.ring.begin("h264", Feeder())
        self.channel = Channel("front", "main", "copy", gop_bytes=1_000_000, ring=self.ring)
        self.camera = Camera(audio=False)
        self.ingest = Ingest(self.channel)
        self.ingest.open()
        self.ingest.feed(self.camera.data, 0.0)
        self.header = RtpHeader(payload_type=96, sequence=9, timestamp=1_000_000, ssrc=3)
        self.now_s = 0.0

    def publish(self, *pictures: list[bytes], cts: int = 0) -> None:
        """Publish a fragment that begins with a key frame, and one with a picture more."""
        self._fragment(pictures, is_key=True, cts=cts)
        self._fragment(([NEXT],), is_key=False)

    def _fragment(self, pictures: Sequence[list[bytes]], *, is_key: bool, cts: int = 0) -> None:
        assert self.camera.init.video is not None
        payload, samples = b"", []
        for index, nals in enumerate(pictures):
            data = b"".join(len(nal).to_bytes(4) + nal for nal in nals)
            flags = SYNC_FLAGS if is_key and not index else NON_SYNC_FLAGS
            samples.append(Sample(0, len(data), PICTURE, flags, cts))
            payload += data
        run = NewRun(self.camera.init.video, self.camera.video_dts, samples, payload)
        self.camera.video_dts += PICTURE * len(samples)
        self.now_s += 0.04 * len(samples)
        self.ingest.feed(build_fragment(1, run), self.now_s)

    def send(self, *payloads: bytes) -> None:
        """Send the payloads of one picture."""
        packets = []
        for index, payload in enumerate(payloads, 1):
            packets.append(
                build_header(replace(self.header, is_marked=index == len(payloads))) + payload
            )
            self.header = replace(self.header, sequence=self.header.sequence + 1)
        self.header = replace(self.header, timestamp=self.header.timestamp + FRAME)
        self.ring.extend(packets, self.now_s)
