"""Low-Latency HLS: how late the picture is, and what it costs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time

import aiohttp
from playwright.async_api import Page

from h5sup.bus.channel import Channel
from h5sup.bus.fragment import Fragment
from h5sup.config.model import HlsConfig
from h5sup.outputs.hls.muxer import Muxer
from h5sup.outputs.hls.playlist import LivePlaylist, Variant
from h5sup.outputs.hls.window import History, Room
from tests.bench.measure import cpu_s, in_chromium, row, server_of
from tests.e2e.screen import behind_s, watch
from tests.e2e.server import Server, until
from tests.fakes.clips import CLIPS, Clips
from tests.unit.outputs.hls_fakes import Feeder
from tests.unit.outputs.hls_rules import parse_media

WATCH_S = 45
SETTLE_LOOKS = 50  # of ten a second: the distance is found after some seconds
PLAYERS = 10
WINDOW_S = 12.0


async def llhls(clips: Clips) -> None:
    """All of it."""
    await screen(clips)
    await building()
    await viewers(clips)


async def screen(clips: Clips) -> None:
    """From the camera's clock to the picture on screen."""
    for mount in ("h264_aac", "h264_mute"):
        late: list[float] = []

        async def work(
            page: Page, _: Server, late: list[float] = late, mount: str = mount
        ) -> None:
            seen = await watch(page, WATCH_S, 0.1)
            recipe = CLIPS[mount]
            late += [behind_s(one, recipe.fps, recipe.frames) for one in seen[SETTLE_LOOKS:]]

        await in_chromium(clips, mount, work, "/hls.html?token=front&ver=v2")
        third = len(late) // 3
        drift_ms = (median(late[-third:]) - median(late[:third])) * 1000
        p95_ms = sorted(late)[int(len(late) * 0.95)] * 1000
        figure = f"{median(late) * 1000:.0f} ms, p95 {p95_ms:.0f}, drift {drift_ms:+.0f}"
        row(f"camera to screen over Low-Latency HLS, {mount}, {WATCH_S} s", figure, "700")


class Recorder:
    """Keeps what a channel publishes."""

    def __init__(self) -> None:
        self.fragments: list[Fragment] = []

    def on_fragment(self, fragment: Fragment) -> None:
        self.fragments.append(fragment)

    def on_close(self, reason: str) -> None:
        raise AssertionError(reason)


async def building() -> None:
    """Parts cut and playlists written, compressed, for a minute of media."""
    for gop in (25, 250):
        feeder, recorder = Feeder(audio=True, gop=gop), Recorder()
        feeder.begin()
        feeder.channel.subscribe(recorder)
        feeder.seconds(120)
        channel = Channel("cam", "main", "copy", gop_bytes=8_000_000)
        assert feeder.channel.init is not None
        channel.begin(feeder.channel.init, "starts")
        muxer = Muxer(channel, History(), Room(), HlsConfig())
        live = LivePlaylist(Variant.H264, muxer)
        muxer.start()
        half = len(recorder.fragments) // 2
        for fragment in recorder.fragments[:half]:
            channel.publish(fragment)
        spent, version = process_time(), muxer.window.version
        for fragment in recorder.fragments[half:]:
            channel.publish(fragment)
            if muxer.window.version != version:
                version = muxer.window.version
                assert live.text(is_delta=True).zipped
        spent = process_time() - spent
        row(f"parts and playlists, GOP {gop / 25:g} s", f"{spent:.3f} CPU-s/source-minute", "0.1")


async def viewers(clips: Clips) -> None:
    """Players at the edge, each with one connection for playlists and one for parts."""
    with TemporaryDirectory() as folder:
        async with server_of(clips, Path(folder)) as server:
            await until(server.ffmpegs, "an ffmpeg")
            await asyncio.sleep(4)
            idle = cpu_s(server.pid)
            await asyncio.sleep(WINDOW_S)
            idle = cpu_s(server.pid) - idle
            players = [asyncio.create_task(play(server)) for _ in range(PLAYERS)]
            await asyncio.sleep(6)
            busy = cpu_s(server.pid)
            await asyncio.sleep(WINDOW_S)
            busy = cpu_s(server.pid) - busy
            for player in players:
                player.cancel()
            await asyncio.gather(*players, return_exceptions=True)
    each_ms = (busy - idle) * 1000 / PLAYERS / WINDOW_S
    row(f"Low-Latency HLS, {PLAYERS} players at the edge", f"{each_ms:.1f} CPU-ms/viewer-s")


async def play(server: Server) -> None:
    """Reload the playlist and take each part, for ever."""
    async with aiohttp.ClientSession(server.base + "/") as http:
        query: dict[str, str] = {}
        known: set[str] = set()
        while True:
            async with http.get("hls/v2/cam0/h264.m3u8", params=query) as response:
                playlist = parse_media(await response.text())
            sequence, part = playlist.newest
            query = {"_HLS_msn": str(sequence), "_HLS_part": str(part + 1)}
            new = [one.uri for one in playlist.all[-1].parts if one.uri not in known]
            known.update(new)
            for uri in new:
                async with http.get(f"hls/v2/cam0/{uri}") as response:
                    await response.read()
