"""Fixtures every test may use."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

from tests.fakes.clips import Clips

LEAK_GRACE_S = 3.0  # a killed child and its pipes need a moment to go

settings.register_profile("h5sup", deadline=None)  # a busy machine breaks no promise of the code
settings.load_profile("h5sup")


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail any test whose h5sup code blocks the event loop (file I/O, time.sleep ...)."""
    with blockbuster_ctx("h5sup") as checker:
        checker.functions["threading.Lock.acquire"].deactivate()  # thread pools take one
        yield checker


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """Return ffmpeg's path; a machine without it can't test h5sup."""
    return shutil.which("ffmpeg") or pytest.fail("ffmpeg is not installed")


@pytest.fixture(scope="session")
def ffprobe() -> str:
    """Return ffprobe's path."""
    return shutil.which("ffprobe") or pytest.fail("ffprobe is not installed")


@pytest.fixture(scope="session")
def clips(pytestconfig: pytest.Config, ffmpeg: str) -> Clips:
    """Return the clips of tests/fakes/clips.py, kept in pytest's cache between runs."""
    return Clips(pytestconfig.cache.mkdir("clips"), ffmpeg)


@pytest.fixture(autouse=True)
def leak_check(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a media test that leaves a child process or an open file descriptor behind."""
    if "media" not in request.node.path.parts:
        yield
        return
    children, descriptors = child_processes(), open_descriptors()
    yield
    deadline = time.monotonic() + LEAK_GRACE_S
    while leaks := find_leaks(children, descriptors):
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {leaks}")
        gc.collect()
        time.sleep(0.02)


def find_leaks(children: set[int], descriptors: dict[int, str]) -> list[str]:
    """Return what exists now and did not before, in words."""
    leaks = []
    for pid in child_processes() - children:
        with suppress(psutil.Error):
            leaks.append(f"process {pid} ({' '.join(psutil.Process(pid).cmdline())[:200]})")
    now = open_descriptors()
    if len(now) > len(descriptors):
        leaks += [f"fd {fd} -> {now[fd]}" for fd in now.keys() - descriptors.keys()]
    return leaks


def child_processes() -> set[int]:
    """Return the ids of all descendants of this process."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


def open_descriptors() -> dict[int, str]:
    """Return what each open file descriptor refers to."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own descriptor is gone by now
            found[int(entry.name)] = str(entry.readlink())
    return found
