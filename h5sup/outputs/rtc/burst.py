"""Packets of one moment, for many viewers: laid out once, encrypted in place for each.

This is the hot path of WebRTC. Per viewer and burst there is one memmove, one call of libsrtp per
packet and, where the kernel cuts datagrams itself (UDP_SEGMENT, Linux 4.18), one system call per
run of packets of one size.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any

from pylibsrtp._binding import ffi, lib

from h5sup.formats.rtp import MARKER_BIT

MOST_PACKETS = 96
MOST_PACKET_BYTES = 2048  # as sources receive them
MOST_TAG_BYTES = 16  # of AES-GCM; RFC 7714 §12
SOL_UDP = 17
UDP_SEGMENT = 103  # linux/udp.h
SEGMENTS_PER_RUN = 50  # the kernel takes 64
RUN_BYTES = 65_000  # and as much as one datagram can hold
SEQUENCE = struct.Struct("!H")
SIZE = struct.Struct("=H")

Run = tuple[memoryview, list[tuple[int, int, bytes]] | None]
"""Packets of one size side by side, and what tells the kernel where to cut them."""

_OUT = ffi.new("char[]", MOST_PACKETS * (MOST_PACKET_BYTES + MOST_TAG_BYTES))
_VIEW = memoryview(ffi.buffer(_OUT))
_SIZES = ffi.new("int[]", MOST_PACKETS)
_SIZE_POINTERS = [_SIZES + index for index in range(MOST_PACKETS)]
_protect = lib.srtp_protect
_move = ffi.memmove


class Burst:
    """Up to MOST_PACKETS packets of one track, for all viewers with the same numbers for it.

    `encrypt_for()` writes them into a buffer that all bursts share; `runs` and `pieces` are views
    of it, so what is written must be sent before the next call.
    """

    __slots__ = ("_offsets", "_pairs", "_sizes", "_sizes_bytes", "_template", "pieces", "runs")

    def __init__(
        self, packets: Sequence[bytes], payload_type: int, ssrc: bytes, tag_bytes: int
    ) -> None:
        gap = bytes(tag_bytes)  # room for what libsrtp appends to each packet
        template = bytearray(gap.join(packets))
        offsets = []
        at = 0
        for packet in packets:
            template[at + 1] = template[at + 1] & MARKER_BIT | payload_type
            template[at + 8 : at + 12] = ssrc
            offsets.append(at)
            at += len(packet) + tag_bytes
        sizes = [len(packet) for packet in packets]
        self._template = template
        self._offsets = offsets
        self._sizes = ffi.new("int[]", sizes)
        self._sizes_bytes = 4 * len(sizes)
        self._pairs = [(_OUT + offsets[i], _SIZE_POINTERS[i]) for i in range(len(sizes))]
        lengths = [size + tag_bytes for size in sizes]
        self.runs = _runs(offsets, lengths)
        self.pieces = [_VIEW[a : a + size] for a, size in zip(offsets, lengths, strict=True)]

    def encrypt_for(self, context: Any, sequence_offset: int) -> bool:
        """Encrypt with a viewer's key; False when libsrtp refuses a packet."""
        template = self._template
        _move(_OUT, template, len(template))
        _move(_SIZES, self._sizes, self._sizes_bytes)
        if sequence_offset:
            for at in self._offsets:
                number = SEQUENCE.unpack_from(template, at + 2)[0] + sequence_offset
                SEQUENCE.pack_into(_VIEW, at + 2, number & 0xFFFF)
        refused = 0
        for packet, size in self._pairs:
            refused |= _protect(context, packet, size)
        return not refused


def _runs(offsets: Sequence[int], lengths: Sequence[int]) -> list[Run]:
    """Return the longest runs that can be cut evenly: only the last packet may be shorter."""
    runs: list[Run] = []
    first, count = 0, len(offsets)
    while first < count:
        size, last = lengths[first], first
        most = min(SEGMENTS_PER_RUN, RUN_BYTES // size)
        while (
            last + 1 < count
            and lengths[last] == size
            and lengths[last + 1] <= size
            and last - first + 1 < most
        ):
            last += 1
        view = _VIEW[offsets[first] : offsets[last] + lengths[last]]
        cut = [(SOL_UDP, UDP_SEGMENT, SIZE.pack(size))] if last > first else None
        runs.append((view, cut))
        first = last + 1
    return runs


def send_runs(udp: socket.socket, runs: Sequence[Run], address: Any) -> None:
    """Send a burst with segmentation offload; raises OSError."""
    for view, cut in runs:
        if cut is None:
            udp.sendto(view, address)
        else:
            udp.sendmsg((view,), cut, 0, address)
