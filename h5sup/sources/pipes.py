"""Both ends of the pipes between h5sup and an ffmpeg: read as it comes, write without waiting.

A turn of the event loop costs several times what a fragment does. So while nobody watches, media
gathers in the pipe and is taken a quarter of a second's worth at once, as `idle.py` says.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from h5sup.sources.idle import IDLE_S, next_tick

READ_BYTES = 128 * 1024
PIPE_BYTES = 1024 * 1024  # a 4K key frame must not stop ffmpeg; the usual cap for users


def open_pipe() -> tuple[int, int]:
    """Return (read end, write end), large enough for a key frame."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):  # over the user's allowance: the default size does, only slower
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reader, writer


class PipeReader:
    """Hands what comes out of a pipe to a callback until its end. Owned by one attempt."""

    def __init__(self, fd: int, on_chunk: Callable[[bytes], None]) -> None:
        self._fd = fd
        self._on_chunk = on_chunk
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._may_rest = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) >= PIPE_BYTES
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def set_watched(self, is_watched: bool) -> None:
        """Read as it comes while somebody watches, else now and then; takes what is there."""
        self._cancel_timer()
        self.take()
        if self._fd < 0:
            return
        if is_watched or not self._may_rest:
            self._loop.add_reader(self._fd, self._read)
        else:
            self._loop.remove_reader(self._fd)
            self._rest()

    def take(self) -> None:
        """Hand on what is in the pipe, but don't follow a flood for ever."""
        for _ in range(PIPE_BYTES // READ_BYTES):
            if self._fd < 0 or not self._read():
                return

    def close(self) -> None:
        """Stop reading; a child that still writes gets EPIPE and ends. Safe to call twice."""
        if self._fd >= 0:
            self._cancel_timer()
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _rest(self) -> None:
        self._timer = self._loop.call_at(next_tick(self._loop.time(), IDLE_S), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.take()
        if self._fd >= 0:
            self._rest()

    def _read(self) -> bool:
        """Hand on one chunk; return whether there may be more."""
        try:
            chunk = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return False
        if chunk:
            self._on_chunk(chunk)
        else:
            self.close()
        return len(chunk) == READ_BYTES

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class PipeWriter:
    """Writes to a pipe as far as it takes it and keeps the rest, up to a bound."""

    def __init__(self, fd: int, limit_bytes: int) -> None:
        self.pending_bytes = 0
        self._fd = fd
        self._limit_bytes = limit_bytes
        self._pending: deque[memoryview] = deque()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)

    @property
    def is_closed(self) -> bool:
        """Return whether the reader is gone or close() was called."""
        return self._fd < 0

    def has_room(self, size_bytes: int) -> bool:
        """Return whether a write of this size stays within the bound."""
        return self.pending_bytes + size_bytes <= self._limit_bytes

    def write(self, data: bytes) -> None:
        """Write or keep the data; dropped when the pipe is closed."""
        if self._fd < 0:
            return
        self._pending.append(memoryview(data))
        self.pending_bytes += len(data)
        if len(self._pending) == 1:
            self._flush()

    def close(self) -> None:
        """Close our end: the child reads the end of its input. Safe to call twice."""
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._pending.clear()
            self.pending_bytes = 0

    def _flush(self) -> None:
        try:
            while self._pending:
                view = self._pending[0]
                sent = os.write(self._fd, view)
                self.pending_bytes -= sent
                if sent < len(view):
                    self._pending[0] = view[sent:]
                else:
                    self._pending.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._fd, self._flush)
        except OSError:  # the child is gone; its supervisor sees that too
            self.close()
        else:
            self._loop.remove_writer(self._fd)
