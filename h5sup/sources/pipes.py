"""Both ends of the pipes between h5sup and an ffmpeg: read as it comes, write without waiting."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress

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
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def close(self) -> None:
        """Stop reading; a child that still writes gets EPIPE and ends. Safe to call twice."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._on_chunk(chunk)
        else:
            self.close()


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
