"""Which encoders and decoders are tried, and by which commands. Pure: nothing runs here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CODECS = {"h264": "H.264", "hevc": "H.265", "vp8": "VP8", "vp9": "VP9", "av1": "AV1"}
"""ffmpeg's name of each codec and H5Stream's."""
SOFTWARE_ENCODERS: dict[str, dict[str, tuple[str, ...]]] = {
    "h264": {"libx264": ("-preset", "ultrafast"), "libopenh264": ()},
    "hevc": {"libx265": ("-preset", "ultrafast", "-x265-params", "log-level=none")},
    "vp8": {"libvpx": ("-deadline", "realtime", "-cpu-used", "8")},
    "vp9": {"libvpx-vp9": ("-deadline", "realtime", "-cpu-used", "8")},
    "av1": {"libsvtav1": ("-preset", "12"), "libaom-av1": ("-cpu-used", "8")},
}
ENCODER_KINDS = ("nvenc", "qsv", "vaapi", "v4l2m2m", "rkmpp")
SOFTWARE_DECODERS = {
    "h264": ("h264",),
    "hevc": ("hevc",),
    "vp8": ("vp8",),
    "vp9": ("vp9",),
    "av1": ("libdav1d", "libaom-av1"),
}
DECODER_KINDS = ("cuvid", "qsv", "v4l2m2m", "rkmpp")
# How pictures are called while they lie in the device: hwdownload takes no others, so that a
# decoder which silently went on in software fails.
ACCELERATIONS = {"vaapi": "vaapi", "cuda": "cuda", "drm": "drm_prime"}
# What lies in /dev where such hardware is: without it nothing is tried.
NEEDED = {
    "nvenc": ("nvidia", "dxg"),
    "cuvid": ("nvidia", "dxg"),
    "cuda": ("nvidia", "dxg"),
    "qsv": ("dri/",),
    "vaapi": ("dri/",),
    "drm": ("dri/", "video"),
    "v4l2m2m": ("video",),
    "rkmpp": ("mpp_service",),
}

LAST = ("nice", "-n", "19")
QUIET = ("-nostdin", "-nostats", "-hide_banner", "-loglevel", "level+error")
PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25")
LISTED = re.compile(r"^ [VAS.][A-Z.]{5} (\w\S*)", re.MULTILINE)
METHOD = re.compile(r"^(\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Offer:
    """What an ffmpeg was built with."""

    encoders: frozenset[str]
    decoders: frozenset[str]
    accelerations: frozenset[str]
    devices: tuple[str, ...]
    """What this machine has, by its names in /dev."""

    def sw_encoders(self, codec: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return the software encoders to try, with their options, best first."""
        known = SOFTWARE_ENCODERS[codec]
        return [(name, known[name]) for name in known if name in self.encoders]

    def hw_encoders(self, codec: str) -> list[str]:
        """Return the hardware encoders to try."""
        kinds = [kind for kind in ENCODER_KINDS if may_exist(kind, self.devices)]
        return [name for kind in kinds if (name := f"{codec}_{kind}") in self.encoders]

    def sw_decoders(self, codec: str) -> list[str]:
        """Return the software decoders to try."""
        return [name for name in SOFTWARE_DECODERS[codec] if name in self.decoders]

    def hw_decoders(self, codec: str) -> list[str]:
        """Return the hardware decoders to try that have a name of their own."""
        kinds = [kind for kind in DECODER_KINDS if may_exist(kind, self.devices)]
        return [name for kind in kinds if (name := f"{codec}_{kind}") in self.decoders]

    def hw_methods(self) -> list[str]:
        """Return the ways to try by which a common decoder uses a device."""
        found = [name for name in ACCELERATIONS if name in self.accelerations]
        return [name for name in found if may_exist(name, self.devices)]


def may_exist(kind: str, devices: Iterable[str]) -> bool:
    """Return whether this machine has what such an encoder or decoder needs."""
    return any(name.startswith(NEEDED[kind]) for name in devices)


def parse_list(text: str) -> frozenset[str]:
    """Return the names out of the answer to `-encoders` or `-decoders`."""
    return frozenset(LISTED.findall(text))


def parse_accelerations(text: str) -> frozenset[str]:
    """Return the names out of the answer to `-hwaccels`."""
    return frozenset(METHOD.findall(text))


def build_list(ffmpeg: str, what: str) -> list[str]:
    """Return the command that lists `encoders`, `decoders` or `hwaccels`."""
    return [ffmpeg, "-hide_banner", f"-{what}"]


def build_encoding(
    ffmpeg: str, encoder: str, options: tuple[str, ...] = (), node: str = ""
) -> list[str]:
    """Return the command that encodes one second to its output; `node` is a graphics card."""
    device: tuple[str, ...] = ()
    pictures = ("-pix_fmt", "nv12" if "_" in encoder else "yuv420p")
    if encoder.endswith("_vaapi"):
        device = ("-vaapi_device", node)
        pictures = ("-vf", "format=nv12,hwupload")
    coding = ("-t", "1", "-c:v", encoder, *options)
    return [*LAST, ffmpeg, *QUIET, *device, *PICTURES, *pictures, *coding, "-f", "nut", "pipe:1"]


def build_decoding(ffmpeg: str, decoder: str) -> list[str]:
    """Return the command that decodes its input by a decoder, and fails unless it can."""
    return [*LAST, ffmpeg, *QUIET, "-xerror", "-c:v", decoder, *_swallow()]


def build_acceleration(ffmpeg: str, method: str, node: str) -> list[str]:
    """Return the command that decodes its input in a device, and fails unless that does it."""
    device = ("-hwaccel_device", node) if method == "vaapi" else ()
    methods = ("-hwaccel", method, *device, "-hwaccel_output_format", ACCELERATIONS[method])
    return [*LAST, ffmpeg, *QUIET, "-xerror", *methods, *_swallow("-vf", "hwdownload,format=nv12")]


def _swallow(*filters: str) -> tuple[str, ...]:
    output = ("-abort_on", "empty_output", "-f", "null", "-")
    return ("-f", "nut", "-i", "pipe:0", *filters, *output)
