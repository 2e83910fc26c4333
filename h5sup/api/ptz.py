"""Chapters 5.3.14 to 5.3.16 of the manual: cameras that move, and their presets."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct, field

from h5sup.api import present
from h5sup.api.call import Call, Caller
from h5sup.api.sources import Token, TokenParameters
from h5sup.auth.guard import Access
from h5sup.base.errors import InvalidError
from h5sup.devices.model import Motion, Switch

Action = Literal[
    "up", "down", "left", "right", "upleft", "upright", "downleft", "downright",
    "zoomin", "zoomout", "focusin", "focusout", "irisin", "irisout",
    "wiperon", "wiperoff", "lighton", "lightoff", "stop", "preset",
]  # fmt: skip
WAYS: dict[str, Motion] = {
    "up": Motion(tilt=1),
    "down": Motion(tilt=-1),
    "left": Motion(pan=-1),
    "right": Motion(pan=1),
    "upleft": Motion(pan=-1, tilt=1),
    "upright": Motion(pan=1, tilt=1),
    "downleft": Motion(pan=-1, tilt=-1),
    "downright": Motion(pan=1, tilt=-1),
    "zoomin": Motion(zoom=1),
    "zoomout": Motion(zoom=-1),
    "focusin": Motion(focus=-1),
    "focusout": Motion(focus=1),
    "irisin": Motion(iris=1),
    "irisout": Motion(iris=-1),
}
SWITCHES: dict[str, tuple[Switch, bool]] = {
    "wiperon": (Switch.WIPER, True),
    "wiperoff": (Switch.WIPER, False),
    "lighton": (Switch.LIGHT, True),
    "lightoff": (Switch.LIGHT, False),
}
PresetToken = Annotated[str, Meta(max_length=64)]


class PtzParameters(Struct, frozen=True):
    """Which way to move."""

    token: Token
    action: Annotated[
        Action,
        Meta(
            description="a motion goes on until `stop`, another action, or 10 s without being "
            "repeated; focusin is nearer, irisin is open"
        ),
    ]
    speed: Annotated[
        float, Meta(ge=0, le=1, description="of the fastest the camera can; 0 stands still")
    ] = 0.5
    preset: Annotated[
        str, Meta(max_length=64, description="token of the preset, for action `preset`")
    ] = ""


class SetPresetParameters(Struct, frozen=True):
    """Under which token to keep where the camera looks."""

    token: Token
    presetname: Annotated[str, Meta(max_length=64)]
    presettoken: PresetToken


class DelPresetParameters(Struct, frozen=True):
    """Which preset to forget."""

    token: Token
    presettoken: PresetToken


class PresetAnswer(Struct, frozen=True):
    """A place that a camera can turn to."""

    name: str = field(name="strName")
    token: str = field(name="strToken")


class PresetsAnswer(Struct, frozen=True):
    """All places of a camera."""

    presets: list[PresetAnswer] = field(name="preset")


async def ptz(caller: Caller, given: PtzParameters) -> web.Response:
    """Move a camera, or switch what it has."""
    steering, action = caller.services.steering, given.action
    if action in SWITCHES:
        what, on = SWITCHES[action]
        await steering.switch(given.token, what, on=on)
        return present.done("Ptz successfully")
    if action in WAYS:
        is_done = await steering.move(given.token, _at(WAYS[action], given.speed))
    elif action == "preset":
        if not given.preset:
            raise InvalidError("preset", "is missing: action 'preset' needs it")
        is_done = await steering.go_to(given.token, given.preset)
    else:
        is_done = await steering.stop(given.token)
    return present.done("Ptz successfully" if is_done else "A newer command took its place")


async def set_preset(caller: Caller, given: SetPresetParameters) -> web.Response:
    """Keep where a camera looks."""
    await caller.services.steering.set_preset(given.token, given.presettoken, given.presetname)
    return present.done("Set preset successfully")


async def del_preset(caller: Caller, given: DelPresetParameters) -> web.Response:
    """Forget a preset."""
    await caller.services.steering.delete_preset(given.token, given.presettoken)
    return present.done("Delete preset successfully")


async def get_presets(caller: Caller, given: TokenParameters) -> web.Response:
    """List the places of a camera."""
    found = await caller.services.steering.presets(given.token)
    return present.answer(PresetsAnswer([PresetAnswer(one.name, one.token) for one in found]))


def _at(way: Motion, speed: float) -> Motion:
    return Motion(
        pan=way.pan * speed,
        tilt=way.tilt * speed,
        zoom=way.zoom * speed,
        focus=way.focus * speed,
        iris=way.iris * speed,
    )


CALLS = (
    Call(
        name="Ptz",
        section="5.3.14",
        description="Moves a camera. Commands to one camera follow one another; of motions that "
        "wait the newest alone is carried out, and the others are answered that a newer command "
        "took their place. What the camera has not got is said in strCode.",
        parameters=PtzParameters,
        answer=present.Outcome,
        role="Operator",
        access=Access.ACT,
        handler=ptz,
    ),
    Call(
        name="SetPreset",
        section="5.3.15",
        description="Keeps where a camera looks now. A camera that chooses tokens itself keeps "
        "its own; the one given here goes on to mean that place.",
        parameters=SetPresetParameters,
        answer=present.Outcome,
        role="Operator",
        access=Access.ACT,
        handler=set_preset,
    ),
    Call(
        name="DelPreset",
        section="5.3.16",
        description="Forgets a preset, on the camera too.",
        parameters=DelPresetParameters,
        answer=present.Outcome,
        role="Operator",
        access=Access.ACT,
        handler=del_preset,
    ),
    Call(
        name="GetPresets",
        section="",
        description="The places that a camera can turn to, its own among them; none for a source "
        "without PTZ.",
        parameters=TokenParameters,
        answer=PresetsAnswer,
        role="Viewer",
        access=Access.READ,
        handler=get_presets,
    ),
)
