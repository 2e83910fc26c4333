"""A camera recorded in real time: over its outage, quietly, and with one connection."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from h5sup.config.model import RecordingConfig
from h5sup.events.event import RecordStart, RecordStop
from h5sup.recording.recordings import Recordings
from h5sup.store.media_index import MediaIndex
from tests.fakes.clips import Clips, decode_frame_indexes
from tests.fakes.rtsp_camera import RtspCamera
from tests.fakes.stage import FOR_EVER_US, Disk, Orders
from tests.media.conftest import StationMaker

pytestmark = pytest.mark.media

MOUNT = "h264_aac"
FPS, FRAMES = 25, 200
READS_PER_S = 4


async def test_a_camera_is_recorded_over_its_outage(
    clips: Clips, station: StationMaker, tmp_path: Path
) -> None:
    index = MediaIndex(tmp_path)
    await index.open()
    root = tmp_path / "mediastore"
    root.mkdir()
    async with RtspCamera(clips, [MOUNT]) as camera, station(linger_s=0.1) as base:
        await base.add("cam", camera.url(MOUNT), record="always", connect="ondemand",
                       stall_timeout_s=1)  # fmt: skip
        events = base.hub.subscribe(lambda one: isinstance(one.what, RecordStart | RecordStop))
        recordings = Recordings(
            RecordingConfig(), base.registry, index, Disk(), base.hub, Orders(), root
        )
        await recordings.start()
        try:
            channel = base.registry.find_channel("cam")
            taker = await base.follow(channel, 50)
            reads = {one.arrived for one in taker.taken}
            assert len(reads) <= 2 * READS_PER_S + 3  # a recording has nothing read any sooner
            assert base.registry.get("cam").viewers == 0
            assert await camera.clients(MOUNT) == 1
            assert recordings.is_recording("cam")
            camera.freeze()
            pid = base.registry.get("cam").main.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)  # sooner than by waiting for the stall
            frozen_s = time.time()
            await base.until(lambda: not recordings.is_recording("cam"))
            camera.thaw()
            await base.until(lambda: recordings.is_recording("cam"))
            await base.follow(channel, 30)
        finally:
            await recordings.close()
            files = await index.find_files("record", "cam", 0, FOR_EVER_US)
            gaps = await index.gaps.find("cam", 0, FOR_EVER_US)
            await index.close()
    (before, after), (gap, restart) = files, gaps
    told = [(await events.next()).what for _ in range(len(events))]
    assert [type(one) for one in told] == [RecordStart, RecordStop, RecordStart, RecordStop]
    assert (gap.cause, restart.cause) == ("offline", "restart")
    assert (gap.start_us, gap.end_us) == (before.end_us, after.start_us)
    assert abs(before.end_us / 1e6 - frozen_s) < 0.3  # the very last pictures are there
    for file in (before, after):
        shown = decode_frame_indexes(root / file.path)
        assert all(second == (first + 1) % FRAMES for first, second in pairwise(shown))
        # the camera shows at unix time t frame floor(t * fps), so the clock can be read off
        lag = (file.start_us / 1e6 * FPS - shown[0]) % FRAMES
        assert min(lag, FRAMES - lag) < 0.25 * FPS
