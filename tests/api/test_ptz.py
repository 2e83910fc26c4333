"""The calls that move cameras, their answers and their refusals."""

from __future__ import annotations

from typing import Any

import pytest

from h5sup.devices.model import DeviceFailure, Motion
from tests.api.conftest import Backend
from tests.api.fakes import source
from tests.fakes.steerable import FakeSteerable, failure


@pytest.fixture
def camera(backend: Backend) -> FakeSteerable:
    """Return the camera of the source `gate`."""
    backend.sources.by_token["gate"] = gate = source("gate")
    gate.steering = FakeSteerable()
    return gate.steering


async def call(backend: Backend, query: str, user: str = "olga") -> dict[str, Any]:
    return await backend.call(f"/api/v1/{query}&session={backend.sign_in(user)}")


@pytest.mark.parametrize(
    ("query", "motion"),
    [
        ("up&speed=1", Motion(tilt=1)),
        ("down&speed=1", Motion(tilt=-1)),
        ("left", Motion(pan=-0.5)),
        ("right&speed=0.25", Motion(pan=0.25)),
        ("upleft", Motion(pan=-0.5, tilt=0.5)),
        ("upright", Motion(pan=0.5, tilt=0.5)),
        ("downleft", Motion(pan=-0.5, tilt=-0.5)),
        ("downright", Motion(pan=0.5, tilt=-0.5)),
        ("zoomin", Motion(zoom=0.5)),
        ("zoomout", Motion(zoom=-0.5)),
        ("focusin", Motion(focus=-0.5)),
        ("focusout", Motion(focus=0.5)),
        ("irisin", Motion(iris=0.5)),
        ("irisout", Motion(iris=-0.5)),
        ("wiperon", "wiper on"),
        ("wiperoff", "wiper off"),
        ("lighton", "light on"),
        ("lightoff&speed=0.5", "light off"),
        ("left&speed=0", "stop"),
        ("stop", "stop"),
        ("preset&preset=1", "go to 1"),
    ],
)
async def test_every_action_reaches_the_camera(
    backend: Backend, camera: FakeSteerable, query: str, motion: object
) -> None:
    answer = await call(backend, f"Ptz?token=gate&action={query}")
    assert answer == {"bStatus": True, "strCode": "Ptz successfully"}
    assert camera.asked == [motion]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("action=left", "token: is missing"),
        ("token=gate", "action: is missing"),
        (
            "token=gate&action=jump",
            "action: must be one of down, downleft, downright, focusin, focusout, irisin, "
            "irisout, left, lightoff, lighton, preset, right, stop, up, upleft, upright, "
            "wiperoff, wiperon, zoomin, zoomout",
        ),
        ("token=gate&action=left&speed=1.5", "speed: must be a number from 0 to 1"),
        ("token=gate&action=left&speed=-1", "speed: must be a number from 0 to 1"),
        ("token=gate&action=left&speed=nan", "speed: must be a number from 0 to 1"),
        ("token=gate&action=left&speed=fast", "speed: must be a number from 0 to 1"),
        ("token=gate&action=preset", "preset: is missing: action 'preset' needs it"),
        (
            f"token=gate&action=preset&preset={'9' * 65}",
            "preset: must be a text of at most 64 letters",
        ),
        ("token=none&action=left", "there is no source with this token"),
        (
            "token=front&action=left",
            "source 'front' can't be steered: add its camera by ONVIF, or its recorder",
        ),
    ],
)
async def test_what_can_not_be_is_refused_with_a_sentence(
    backend: Backend, camera: FakeSteerable, query: str, sentence: str
) -> None:
    answer = await call(backend, f"Ptz?{query}")
    assert answer == {"bStatus": False, "strCode": sentence}
    assert camera.asked == []


async def test_what_the_camera_says_is_told(backend: Backend, camera: FakeSteerable) -> None:
    camera.errors = [failure(DeviceFailure.UNSUPPORTED, "192.0.2.7:80 has not got a wiper")]
    answer = await call(backend, "Ptz?token=gate&action=wiperon")
    assert answer == {"bStatus": False, "strCode": "192.0.2.7:80 has not got a wiper"}


async def test_presets_are_set_listed_and_deleted(backend: Backend, camera: FakeSteerable) -> None:
    assert await call(backend, "SetPreset?token=gate&presetname=Yard&presettoken=7") == {
        "bStatus": True,
        "strCode": "Set preset successfully",
    }
    assert camera.places == {"1": "Gate", "2": "Yard"}
    assert await call(backend, "GetPresets?token=gate", "vera") == {
        "preset": [{"strName": "Gate", "strToken": "1"}, {"strName": "Yard", "strToken": "7"}]
    }
    assert await call(backend, "DelPreset?token=gate&presettoken=7") == {
        "bStatus": True,
        "strCode": "Delete preset successfully",
    }
    assert camera.places == {"1": "Gate"}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("SetPreset?token=gate&presettoken=7", "presetname"),
        ("SetPreset?token=gate&presettoken=7&presetname=", "presetname"),
        ("SetPreset?token=gate&presetname=Yard", "presettoken"),
        ("SetPreset?token=gate&presetname=Yard&presettoken=", "presettoken"),
        ("DelPreset?token=gate", "presettoken"),
        ("DelPreset?token=gate&presettoken=", "presettoken"),
    ],
)
async def test_presets_need_names(
    backend: Backend, camera: FakeSteerable, query: str, name: str
) -> None:
    answer = await call(backend, query)
    assert answer == {"bStatus": False, "strCode": f"{name}: is missing"}
    assert camera.asked == []


async def test_presets_of_what_does_not_move_are_none(backend: Backend) -> None:
    assert await call(backend, "GetPresets?token=front", "vera") == {"preset": []}
    answer = await call(backend, "GetPresets?token=none", "vera")
    assert answer["strCode"] == "there is no source with this token"


@pytest.mark.parametrize(
    "query",
    [
        "Ptz?token=gate&action=left",
        "SetPreset?token=gate&presetname=1&presettoken=1",
        "DelPreset?token=gate&presettoken=1",
    ],
)
async def test_a_viewer_moves_nothing(backend: Backend, camera: FakeSteerable, query: str) -> None:
    answer = await call(backend, query, "vera")
    assert answer["bStatus"] is False
    assert "Operator" in answer["strCode"]
    assert camera.asked == []


async def test_a_list_of_sources_says_which_can_be_moved(
    backend: Backend, camera: FakeSteerable
) -> None:
    del camera
    answer = await call(backend, "GetSrc?", "vera")
    assert [one["strToken"] for one in answer["src"] if one["bPtz"]] == ["gate"]
