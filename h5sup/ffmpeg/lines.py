"""Cut what a process says on standard error into lines, within bounds, and hide what is secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from h5sup.base.logs import redact

MAX_LINE_BYTES = 1000
MAX_LINES_PER_CHUNK = 200  # of a flood only the newest lines of each chunk are looked at
SHORT_SECRET = 4  # shorter ones are hidden as whole words only, or nothing stays readable


class LineSplitter:
    """Turns arbitrarily cut chunks into whole lines; long ones lose their end."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that `chunk` completed."""
        *lines, rest = (self._rest + chunk).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[:MAX_LINE_BYTES]
        return [text for line in lines[-MAX_LINES_PER_CHUNK:] if (text := _text(line))]

    def end(self) -> list[str]:
        """Return what is left when nothing more comes."""
        rest, self._rest = self._rest, b""
        return [text] if (text := _text(rest)) else []


def build_redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that hides passwords in URLs and each of `secrets` wherever it stands."""
    patterns = [
        rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < SHORT_SECRET else re.escape(secret)
        for secret in sorted(set(secrets), key=len, reverse=True)
        if secret
    ]
    if not patterns:
        return redact
    literal = re.compile("|".join(patterns))
    return lambda text: literal.sub("***", redact(text))


def _text(line: bytes) -> str:
    return line[:MAX_LINE_BYTES].decode(errors="replace").strip()
