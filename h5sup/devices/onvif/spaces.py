"""How an ONVIF camera can move, as it says: by speed, by distance, to a position. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from h5sup.devices.onvif.values import MAX_TOKEN, dig, items, text

MAX_PRESETS = 1000
MAX_NODES = 32
STEP_SHARE = 0.05  # of the whole way, for one step at the highest speed


class Way(Enum):
    """What a camera is told."""

    SPEED = "speed"
    """It moves until it is stopped."""
    DISTANCE = "distance"
    """It moves by so much."""
    POSITION = "position"
    """It moves to there."""


# the best first
PAN_TILT_SPACES = {
    Way.SPEED: "ContinuousPanTiltVelocitySpace",
    Way.DISTANCE: "RelativePanTiltTranslationSpace",
    Way.POSITION: "AbsolutePanTiltPositionSpace",
}
ZOOM_SPACES = {
    Way.SPEED: "ContinuousZoomVelocitySpace",
    Way.DISTANCE: "RelativeZoomTranslationSpace",
    Way.POSITION: "AbsoluteZoomPositionSpace",
}
FOCUS_OPTIONS = {
    Way.SPEED: ("Continuous", "Speed"),
    Way.DISTANCE: ("Relative", "Distance"),
    Way.POSITION: ("Absolute", "Position"),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """The speeds that a camera takes, from its slowest to its fastest."""

    low: float = -1.0
    high: float = 1.0

    def at(self, share: float) -> float:
        """Return a speed for -1 to 1."""
        share = max(-1.0, min(1.0, share))
        return share * self.high if share >= 0 else -share * self.low

    def step(self, share: float) -> float:
        """Return a step's distance for -1 to 1."""
        return self.at(share) * STEP_SHARE


@dataclass(frozen=True, slots=True)
class Span:
    """From where to where something can be."""

    low: float
    high: float

    def step(self, position: float, share: float) -> float:
        """Return where a step for -1 to 1 leads."""
        return max(
            self.low, min(self.high, position + share * (self.high - self.low) * STEP_SHARE)
        )


@dataclass(frozen=True, slots=True)
class Spaces:
    """The ways in which something moves, the best first, with the range of each axis.

    A range that is missing or of no sense is the usual one; a position needs one that is told.
    """

    ranges: Mapping[Way, Sequence[tuple[float, float] | None]]

    @property
    def ways(self) -> Sequence[Way]:
        """Return what it can be told, the best first."""
        return list(self.ranges)

    def reach(self, way: Way, axis: int = 0) -> Reach:
        """Return speeds or distances of an axis."""
        told = self._told(way, axis)
        return Reach(*told) if told is not None and told[0] <= 0 <= told[1] else Reach()

    def span(self, axis: int = 0) -> Span:
        """Return the positions of an axis."""
        return Span(*(self._told(Way.POSITION, axis) or (-1.0, 1.0)))

    def without(self, way: Way) -> Spaces:
        """Return the same but for a way that the camera does not know after all."""
        return Spaces({one: told for one, told in self.ranges.items() if one is not way})

    def _told(self, way: Way, axis: int) -> tuple[float, float] | None:
        told = self.ranges.get(way, ())
        return told[axis] if axis < len(told) else None


USUAL = Spaces({Way.SPEED: ()})  # of a camera that says nothing of how it moves


def read_pan_tilt(answer: Any) -> Spaces:
    """Return how a camera turns, of GetConfigurationOptions (PTZ §5.2.4)."""
    return _read_spaces(answer, PAN_TILT_SPACES, ("XRange", "YRange"))


def read_zoom(answer: Any) -> Spaces:
    """Return how a camera zooms, of GetConfigurationOptions."""
    return _read_spaces(answer, ZOOM_SPACES, ("XRange",))


def read_focus(answer: Any) -> Spaces:
    """Return how a lens focuses, of GetMoveOptions (Imaging §5.1.6); no way where it can't."""
    return Spaces(
        {
            way: [read_range(dig(answer, *keys))]
            for way, keys in FOCUS_OPTIONS.items()
            if dig(answer, keys[0]) is not None
        }
    )


def read_iris(answer: Any) -> Span | None:
    """Return the attenuations of an iris in dB, of GetOptions (Imaging §5.1.3), None for none."""
    told = read_range(dig(answer, "Exposure", "Iris"))
    return None if told is None else Span(*told)


def read_range(raw: Any) -> tuple[float, float] | None:
    """Return a range; None for none and for what makes no sense."""
    low, high = read_float(dig(raw, "Min")), read_float(dig(raw, "Max"))
    return (low, high) if low is not None and high is not None and low < high else None


def read_float(raw: Any) -> float | None:
    """Return a finite number."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        return None
    return float(raw)


def read_presets(answer: Any) -> list[tuple[str, str]]:
    """Return token and name of GetPresets (PTZ §5.4.2)."""
    found = []
    for raw in items(answer)[:MAX_PRESETS]:
        token = text(dig(raw, "token"), MAX_TOKEN)
        if token:
            found.append((token, text(dig(raw, "Name"), MAX_TOKEN)))
    return found


def list_presets(answer: Any) -> list[tuple[str, str]]:
    """Return token and name of the places that are set.

    Hikvision's cameras list all 300 that there may be: those that are set have names. Where none
    has a name, or those without have a position, all are taken for set.
    """
    places = {
        token
        for raw in items(answer)
        if (token := text(dig(raw, "token"), MAX_TOKEN)) and dig(raw, "PTZPosition") is not None
    }
    found = read_presets(answer)
    if not any(name for _, name in found):
        return found
    return [one for one in found if one[1] or one[0] in places]


def read_preset_token(answer: Any) -> str:
    """Return the token of SetPreset's answer (PTZ §5.4.1); empty where the camera says none."""
    return text(answer if isinstance(answer, str) else dig(answer, "PresetToken"), MAX_TOKEN)


def read_auxiliaries(answer: Any) -> list[str]:
    """Return the auxiliary commands that the nodes of GetNodes take (PTZ §5.1.1)."""
    return [
        command
        for node in items(answer)[:MAX_NODES]
        for raw in items(dig(node, "AuxiliaryCommands"))[:MAX_NODES]
        if (command := text(raw, 128))
    ]


def _read_spaces(answer: Any, names: Mapping[Way, str], axes: Sequence[str]) -> Spaces:
    told = dig(answer, "Spaces")
    found: dict[Way, list[tuple[float, float] | None]] = {}
    for way, name in names.items():
        first = next(iter(items(dig(told, name))), None)
        if first is not None:
            found[way] = [read_range(dig(first, axis)) for axis in axes]
    return Spaces(found) if found else USUAL
