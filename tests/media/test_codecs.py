"""Trials of encoders and decoders: with the real ffmpeg, and with one that pretends hardware."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from h5sup.base.errors import UnavailableError
from h5sup.ffmpeg.codecs import CodecProbe, Codecs, read_processor
from h5sup.ffmpeg.process import Launcher
from h5sup.ffmpeg.tools import Tools, find_tools

pytestmark = pytest.mark.media

# Lists what a machine with an Intel card and a Pi's encoder has; h264_vaapi and its decoder work,
# the others say no. Each trial leaves a line in `tried`.
PRETENDER = """#!/bin/sh
tried="$(dirname "$0")/tried"
case "$*" in
*-encoders*) printf ' V..... = Video\\n ------\\n'
  for n in libx264 h264_nvenc h264_vaapi h264_v4l2m2m hevc_vaapi
  do printf ' V....D %s  an encoder\\n' $n; done ;;
*-decoders*) for n in h264 hevc h264_cuvid h264_v4l2m2m
  do printf ' VFS..D %s  a decoder\\n' $n; done ;;
*-hwaccels*) printf 'Hardware acceleration methods:\\nvdpau\\ncuda\\nvaapi\\n\\n' ;;
*) printf '%s\\n' "$*" >> "$tried"
  case "$*" in
  *"-c:v libx264"*) printf clip ;;
  *"-vaapi_device $DEV/dri/renderD128"*"-c:v h264_vaapi"*) printf clip ;;
  *"-hwaccel vaapi"*renderD128*hwdownload*) [ "$(cat)" = clip ] ;;
  *"-c:v h264 "*) [ "$(cat)" = clip ] ;;
  *) cat > /dev/null; exit 1 ;;
  esac ;;
esac
"""


class Bench:
    """A pretended ffmpeg and pretended devices."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.devices = folder / "dev"
        self.tools = Tools(str(folder / "ffmpeg"), "ffprobe", (5, 1), "ffmpeg version 5.1.9")
        (self.devices / "dri").mkdir(parents=True)
        (self.devices / "dri" / "renderD128").touch()
        (self.devices / "video11").touch()
        program = folder / "ffmpeg"
        program.write_text(PRETENDER.replace("$DEV", str(self.devices)))
        program.chmod(0o755)

    @property
    def tried(self) -> list[str]:
        path = self.folder / "tried"
        return path.read_text().splitlines() if path.exists() else []

    @asynccontextmanager
    async def probe(
        self, tools: Tools | None = None, begin_after_s: float = 60.0
    ) -> AsyncIterator[CodecProbe]:
        """Start a probe, with an end."""
        launcher = Launcher("test", spawns_per_s=1000, burst=1000)
        probe = CodecProbe(
            tools or self.tools,
            launcher,
            self.folder,
            devices=self.devices,
            begin_after_s=begin_after_s,
        )
        probe.start()
        try:
            yield probe
        finally:
            await probe.close()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_only_what_works_is_found(bench: Bench) -> None:
    async with bench.probe() as probe:
        found = await probe.codecs(wait_s=30)
    assert found == Codecs(
        sw_encoders={"h264": ("libx264",)},
        hw_encoders={"h264": ("h264_vaapi",)},
        sw_decoders={"h264": ("h264",)},
        hw_decoders={"h264": ("vaapi",)},
    )


async def test_hardware_that_is_not_here_is_not_tried(bench: Bench) -> None:
    async with bench.probe() as probe:
        await probe.codecs(wait_s=30)
    tried = "\n".join(bench.tried)
    assert "h264_v4l2m2m" in tried
    assert "hevc_vaapi" in tried
    assert "nvenc" not in tried
    assert "cuda" not in tried
    assert "cuvid" not in tried


async def test_nothing_is_tried_before_somebody_asks_or_the_sources_have_started(
    bench: Bench,
) -> None:
    async with bench.probe() as probe:
        with pytest.raises(UnavailableError, match="ask again"):
            await probe.codecs(wait_s=0)
        assert bench.tried == []
    async with bench.probe(begin_after_s=0.05) as probe:
        async with asyncio.timeout(30):
            while probe.found is None:
                await asyncio.sleep(0.02)
    assert bench.tried


async def test_result_is_kept_for_this_ffmpeg_and_these_devices(bench: Bench) -> None:
    async with bench.probe() as probe:
        first = await probe.codecs(wait_s=30)
    count = len(bench.tried)

    async with bench.probe() as probe:
        assert await probe.codecs(wait_s=30) == first
    assert len(bench.tried) == count

    newer = Tools(bench.tools.ffmpeg, "ffprobe", (7, 1), "ffmpeg version 7.1")
    async with bench.probe(newer) as probe:
        await probe.codecs(wait_s=30)
    assert len(bench.tried) == 2 * count

    (bench.devices / "nvidia0").touch()
    async with bench.probe(newer) as probe:
        await probe.codecs(wait_s=30)
    assert len(bench.tried) > 3 * count  # the new card's too


@pytest.mark.parametrize("text", ["", "{", '{"key": 1}', "[]"])
async def test_damaged_result_is_made_anew(bench: Bench, text: str) -> None:
    (bench.folder / "codecs.json").write_text(text)
    async with bench.probe() as probe:
        assert (await probe.codecs(wait_s=30)).sw_encoders
    kept = json.loads((bench.folder / "codecs.json").read_text())
    assert kept["key"]["version"] == "ffmpeg version 5.1.9"


async def test_ffmpeg_that_has_gone_is_said_in_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    (bench.folder / "ffmpeg").unlink()
    async with bench.probe() as probe:
        with pytest.raises(UnavailableError):
            await probe.codecs(wait_s=30)
    assert "can't be tried" in caplog.text
    assert not (bench.folder / "codecs.json").exists()


async def test_real_ffmpeg_passes_its_software_trials(tmp_path: Path) -> None:
    tools = await find_tools("ffmpeg", "ffprobe")
    (tmp_path / "dev").mkdir()
    probe = CodecProbe(tools, Launcher("test"), tmp_path, devices=tmp_path / "dev")
    probe.start()
    try:
        found = await probe.codecs(wait_s=100)
    finally:
        await probe.close()
    assert found.sw_encoders["h264"] == ("libx264",)
    assert found.sw_decoders["h264"] == ("h264",)
    assert found.sw_encoders["hevc"] == ("libx265",)
    assert found.sw_decoders["hevc"] == ("hevc",)
    assert not found.hw_encoders
    assert tools.ffmpeg == shutil.which("ffmpeg")


async def test_real_ffmpeg_fails_where_hardware_only_pretends_to_be(bench: Bench) -> None:
    tools = await find_tools("ffmpeg", "ffprobe")
    async with bench.probe(tools) as probe:
        found = await probe.codecs(wait_s=100)
    assert not found.hw_encoders
    assert not found.hw_decoders
    assert "h264" in found.sw_decoders


def test_processor_is_named_by_the_kernel_or_by_the_board(tmp_path: Path) -> None:
    assert read_processor(tmp_path)  # the architecture, at least
    (tmp_path / "device-tree").mkdir()
    (tmp_path / "device-tree" / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nBogoMIPS\t: 108.00\n")
    assert read_processor(tmp_path) == "Raspberry Pi 5 Model B Rev 1.0"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Intel(R) N100\n\n")
    assert read_processor(tmp_path) == "Intel(R) N100"
