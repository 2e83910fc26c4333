"""Which sources exist: config.json against what the API added, over starts and reloads."""

from __future__ import annotations

from typing import Any

import pytest

from h5sup.base.errors import ConfigError, ConflictError, NotFoundError
from h5sup.config.loading import parse_source
from h5sup.config.model import SourceConfig
from tests.fakes.nvr import config as device_config
from tests.media.conftest import StationMaker

pytestmark = pytest.mark.media


def camera(token: str, **settings: Any) -> SourceConfig:
    """Return a camera that nobody watches, so that nothing runs."""
    raw = {"token": token, "type": "rtsp", "url": "rtsp://127.0.0.1:1/x", "connect": "ondemand"}
    return parse_source(raw | settings)


async def test_a_reload_touches_only_what_changed(station: StationMaker) -> None:
    async with station() as base:
        registry = base.registry
        await registry.apply([camera("same"), camera("changed"), camera("gone")])
        before = {source.config.token: source for source in registry.sources()}
        await registry.apply([camera("same"), camera("changed", name="New"), camera("added")])
        after = {source.config.token: source for source in registry.sources()}
        assert set(after) == {"same", "changed", "added"}
        assert after["same"] is before["same"]
        assert after["changed"] is not before["changed"]
        assert after["changed"].config.name == "New"


async def test_what_stands_in_the_configuration_wins(
    station: StationMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with station() as base:
        registry = base.registry
        await registry.add(camera("front", name="by API"))
        with pytest.raises(ConflictError, match="already"):
            await registry.add(camera("front"))
        await registry.apply([camera("front", name="by file")])
        assert registry.get("front").config.name == "by file"
        assert "source front stands in config.json now, which wins" in caplog.text
        with pytest.raises(ConflictError, match=r"stands in config\.json"):
            await registry.delete("front")


async def test_a_device_of_the_configuration_wins_over_a_source_of_the_api(
    station: StationMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with station() as base:
        await base.registry.add(camera("front", name="by API"))
        source = base.registry.get("front")
        await base.devices.apply([device_config("front")])
        await base.registry.apply([])
        assert source not in base.registry.sources()
        assert caplog.text.count("source front is left out: its token stands in config.json") == 1

        await base.registry.start([])  # as after a restart
        assert caplog.text.count("source front is left out: its token stands in config.json") == 2
        await base.devices.apply([])
        await base.registry.start([])
        assert base.registry.get("front").config.name == "by API", "nothing was lost"


async def test_a_start_takes_what_was_stored_and_leaves_out_what_no_longer_fits(
    station: StationMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with station() as base:
        registry = base.registry
        for raw in (
            {
                "token": "good",
                "type": "rtsp",
                "url": "rtsp://127.0.0.1:1/x",
                "connect": "ondemand",
                "playback": True,
                "playback_speed": 2.0,
            },
            {"token": "front", "type": "rtsp", "url": "rtsp://127.0.0.1:1/x"},
            {"token": "old", "type": "rtsp", "url": "rtsp://127.0.0.1:1/x", "profile": "gone"},
            {"token": "bad", "type": "carrier pigeon", "url": "x"},
        ):
            await registry._store.save_source(raw)
        await registry.start([camera("front")])
        assert [source.config.token for source in registry.sources()] == ["front", "good"]
        assert registry.get("front").from_file
        good = registry.get("good").config
        assert (good.playback, good.playback_speed) == (True, 2.0)
        assert (
            "source front is left out: its token stands in config.json, which wins" in caplog.text
        )
        assert "stored source old is left out: profile: there is no profile 'gone'" in caplog.text
        assert "stored source bad is left out: type" in caplog.text
        await registry.delete("good")
        with pytest.raises(NotFoundError):
            registry.get("good")
        assert "good" not in [raw["token"] for raw in await registry._store.sources()]


async def test_what_does_not_exist_is_said(station: StationMaker) -> None:
    async with station() as base:
        with pytest.raises(ConfigError, match="no such file in the media folder"):
            await base.registry.add(parse_source({"token": "a", "type": "file", "url": "a.mp4"}))
        await base.registry.add(camera("front"))
        with pytest.raises(NotFoundError, match="no profile 'tiny'"):
            base.registry.lease("front", profile="tiny")
        assert base.registry.find_channel("front") is base.registry.get("front").main.channel
