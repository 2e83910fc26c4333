"""Clients' tokens for cameras' places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5sup.base.errors import NotFoundError
from h5sup.devices.model import Preset
from h5sup.devices.preset_names import PresetNames


def test_a_camera_that_takes_the_clients_token_needs_no_entry() -> None:
    names = PresetNames()
    assert names.to_set("2") == "2"
    assert not names.keep("2", "2")
    assert names.of_device("2") == "2"
    assert not names


def test_a_camera_that_chooses_is_found_by_the_clients_token() -> None:
    names = PresetNames()
    assert names.keep("2", "17")
    assert names.of_device("2") == "17"
    assert names.to_set("2") == "17"
    assert names.listed([Preset("1", "Gate"), Preset("17", "Yard")]) == [
        Preset("1", "Gate"),
        Preset("2", "Yard"),
    ]
    assert PresetNames(names.raw()).of_device("2") == "17"
    assert names.drop("2")
    assert names.of_device("17") == "17"


def test_a_place_with_another_name_is_not_to_be_had_by_the_cameras_token() -> None:
    names = PresetNames({"2": "17"})
    with pytest.raises(NotFoundError, match="no preset '17'"):
        names.of_device("17")
    assert names.to_set("17") == ""  # a new place, not the client's `2`


def test_a_cameras_token_that_a_client_has_given_away_shows_otherwise() -> None:
    names = PresetNames({"2": "17"})
    listed = names.listed([Preset("2", "Door"), Preset("17", "Yard")])
    assert listed == [Preset("~2", "Door"), Preset("2", "Yard")]
    assert names.of_device("~2") == "2"
    assert not names.keep("~2", "2")


def test_what_is_no_text_in_the_file_is_left_out() -> None:
    assert PresetNames({"2": 17, 3: "4", "5": "6"}).raw() == {"5": "6"}


TOKENS = st.text("12~", min_size=1, max_size=2)


@given(st.lists(st.tuples(TOKENS, st.booleans()), max_size=30), TOKENS)
def test_a_place_is_found_where_it_was_kept(steps: list[tuple[str, bool]], last: str) -> None:
    """A camera that numbers from 1 on and never twice, told to keep and forget at random."""
    names, camera, count = PresetNames(), dict[str, str](), 0
    for name, keeps in [*steps, (last, True)]:
        if keeps:
            token = names.to_set(name)
            if token not in camera:
                count += 1
                token = str(count)
            camera[token] = name
            names.keep(name, token)
        else:
            try:
                camera.pop(names.of_device(name), None)
            except NotFoundError:
                continue
            names.drop(name)
    assert camera[names.of_device(last)] == last
    assert last in [one.token for one in names.listed([Preset(one, "") for one in camera])]
