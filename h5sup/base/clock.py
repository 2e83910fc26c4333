"""Wall time, always aware and in UTC; durations come from the event loop's clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the wall time."""
    return datetime.now(UTC)


def iso_ms(moment: datetime) -> str:
    """Return ISO 8601 with milliseconds and `Z`, as browsers parse it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
