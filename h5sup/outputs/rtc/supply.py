"""Where the packets for one seat come from: a channel as it is now, or a playback."""

from __future__ import annotations

from typing import Protocol

from h5sup.base.errors import MediaFormatError
from h5sup.bus.packet_ring import Codec, PacketRing
from h5sup.formats import h264
from h5sup.formats.isobmff.init_segment import InitSegment
from h5sup.outputs.rtc.clock import TrackClock
from h5sup.outputs.rtc.negotiation import Agreement, Choices

HEVC_ENTRIES = ("hvc1", "hev1")


class Supply(Protocol):
    """Held by one seat; `release()` and then `close()` are called once."""

    @property
    def choices(self) -> Choices:
        """What can be sent, for the offer."""

    @property
    def clock(self) -> TrackClock:
        """What tells the time of its rings; known once they are."""

    @property
    def may_rest(self) -> bool:
        """Whether it is no failure when nothing comes."""

    async def settle(self, codec: Codec) -> None:
        """Have video of this kind ready, which it has offered; raises H5supError."""

    def rings(self, agreement: Agreement) -> tuple[PacketRing, PacketRing | None]:
        """Return where packets of picture and sound come from now; raises UnavailableError."""

    def end_reason(self, known: str) -> str:
        """Return why nothing will come any more, or nothing; `known` is what its ring says."""

    def release(self) -> None:
        """Take nothing more; what can be let go at once is."""

    async def close(self) -> None:
        """Let go of the rest."""


def is_hevc(init: InitSegment | None) -> bool:
    """Return whether its pictures are H.265."""
    return init is not None and init.video is not None and is_hevc_codec(init.video.codec)


def is_hevc_codec(codec: str) -> bool:
    """Return whether a codec, as RFC 6381 writes it, is H.265."""
    return codec.startswith(HEVC_ENTRIES)


def build_choices(codec: str, sounds: list[Codec], ssrc: int) -> Choices:
    """Return what can be sent of video of this codec; H.265 can also be made H.264 of."""
    return Choices(
        video=("hevc", "h264") if is_hevc_codec(codec) else ("h264",),
        sound=tuple(sounds),
        profile=_profile(codec),
        video_ssrc=ssrc,
        rtx_ssrc=ssrc + 1 & 0xFFFFFFFF,
        sound_ssrc=ssrc + 2 & 0xFFFFFFFF,
    )


def _profile(codec: str) -> h264.Profile | None:
    """Return the profile in a codec's name, e.g. `avc1.4D002A`."""
    try:
        profile_idc, constraint_flags, _ = h264.parse_profile_level_id(codec.partition(".")[2])
    except MediaFormatError:
        return None
    return h264.find_profile(profile_idc, constraint_flags)
