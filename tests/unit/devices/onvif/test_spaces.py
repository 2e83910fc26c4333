"""How cameras say that they can move, read into ours: all they might say instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.devices.onvif import spaces
from h5sup.devices.onvif.spaces import (
    USUAL,
    Reach,
    Span,
    Way,
    read_focus,
    read_iris,
    read_pan_tilt,
)

KEYS = [
    "Spaces", "ContinuousPanTiltVelocitySpace", "AbsoluteZoomPositionSpace", "XRange", "YRange",
    "Min", "Max", "Exposure", "Iris", "Continuous", "Relative", "Absolute", "Speed", "Position",
    "AuxiliaryCommands", "PresetToken", "token", "Name",
]  # fmt: skip
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_whatever_a_camera_says_is_read_or_left(answer: Any) -> None:
    for read in (spaces.read_pan_tilt, spaces.read_zoom, spaces.read_focus):
        found = read(answer)
        for way in found.ways:
            assert found.reach(way).step(1.0) >= 0
        assert found.span().low < found.span().high
    spaces.read_iris(answer)
    spaces.read_presets(answer)
    spaces.list_presets(answer)
    spaces.read_preset_token(answer)
    spaces.read_auxiliaries(answer)


@pytest.mark.parametrize(
    ("low", "high", "reach"),
    [
        (-0.5, 0.5, Reach(-0.5, 0.5)),
        (-10, 5, Reach(-10.0, 5.0)),
        (1, -1, Reach()),
        (1, 2, Reach()),
        (0, 0, Reach()),
        (float("nan"), 1, Reach()),
        ("a", None, Reach()),
    ],
)
def test_reaches_are_read(low: Any, high: Any, reach: Reach) -> None:
    space = {"XRange": {"Min": low, "Max": high}}
    found = read_pan_tilt({"Spaces": {"ContinuousPanTiltVelocitySpace": [space]}})
    assert found.reach(Way.SPEED, 0) == reach
    assert found.reach(Way.SPEED, 1) == Reach()


def test_the_best_way_comes_first_and_none_is_the_usual() -> None:
    space = {"XRange": {"Min": 10, "Max": 350}, "YRange": {"Min": -90, "Max": 0}}
    told = {
        "AbsolutePanTiltPositionSpace": [space],
        "RelativePanTiltTranslationSpace": [],
        "ContinuousPanTiltVelocitySpace": [space],
    }
    found = read_pan_tilt({"Spaces": told})
    assert found.ways == [Way.SPEED, Way.POSITION]
    assert (found.span(0), found.span(1)) == (Span(10.0, 350.0), Span(-90.0, 0.0))
    assert found.without(Way.SPEED).ways == [Way.POSITION]
    assert read_pan_tilt({"Spaces": {}}) == USUAL
    assert read_focus({}).ways == []
    assert read_iris({"Exposure": {"Iris": {"Min": 0, "Max": True}}}) is None


def test_a_step_leads_nowhere_else_than_the_span() -> None:
    span = Span(0.0, 100.0)
    assert [span.step(at, 1.0) for at in (50.0, 98.0, 100.0, 500.0)] == [55.0, 100.0, 100.0, 100.0]
    assert [span.step(at, -1.0) for at in (3.0, -7.0)] == [0.0, 0.0]


def test_places_that_are_not_set_are_left_out() -> None:
    named = {"token": "1", "Name": "Gate"}
    placed: dict[str, Any] = {"token": "2", "PTZPosition": {"Zoom": None}}
    bare = {"token": "3", "Name": None}
    assert spaces.list_presets([named, placed, bare]) == [("1", "Gate"), ("2", "")]
    assert spaces.list_presets([bare, {"token": "4"}]) == [("3", ""), ("4", "")]
