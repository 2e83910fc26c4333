"""The socket by which a server tells the bundle how it fares."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from h5sup.support.report import SOCKET_NAME, ReportSocket, fetch_report

REPORT = b"{" + b"x" * 3_000_000 + b"}"


async def test_whoever_connects_gets_the_whole_report(tmp_path: Path) -> None:
    report = ReportSocket(tmp_path, lambda: REPORT)
    await report.open()
    try:
        answers = await asyncio.gather(
            *(asyncio.to_thread(fetch_report, tmp_path) for _ in range(3))
        )
    finally:
        await report.close()
    assert answers == [REPORT] * 3
    assert await asyncio.to_thread(fetch_report, tmp_path) is None


async def test_who_never_reads_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    report = ReportSocket(tmp_path, lambda: REPORT)
    await report.open()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.setblocking(False)
        await asyncio.get_running_loop().sock_connect(silent, str(tmp_path / SOCKET_NAME))
        assert await asyncio.to_thread(fetch_report, tmp_path) == REPORT
        async with asyncio.timeout(5):
            await report.close()


def test_no_server_is_no_report(tmp_path: Path) -> None:
    assert fetch_report(tmp_path) is None


async def test_folder_with_too_long_a_name_goes_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    report = ReportSocket(folder, lambda: REPORT)
    await report.open()
    assert "no report for a support bundle" in caplog.text
    assert await asyncio.to_thread(fetch_report, folder) is None
    await report.close()
