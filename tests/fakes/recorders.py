"""The fake recorder of a maker by the maker's name, for what holds of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

from tests.fakes import dahua_recorder, hik_recorder
from tests.fakes.web_recorder import WebRecorder

Maker = Literal["hik", "dahua"]
MODULES: Mapping[Maker, ModuleType] = {"hik": hik_recorder, "dahua": dahua_recorder}


def make_recorder(maker: Maker, *, cameras: int = 1, **switches: Any) -> WebRecorder[Any]:
    """Return one with some cameras."""
    names = [f"Camera {number}" for number in range(1, cameras + 1)]
    if maker == "hik":
        slots = [hik_recorder.Slot(number, name) for number, name in enumerate(names, 1)]
        return hik_recorder.FakeHik(ip=slots, **switches)
    return dahua_recorder.FakeDahua([dahua_recorder.Slot(name) for name in names], **switches)
