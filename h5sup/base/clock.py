"""Wall time, always aware and in UTC; durations come from the event loop's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the wall time."""
    return datetime.now(UTC)


def iso_ms(moment: datetime) -> str:
    """Return ISO 8601 with milliseconds and `Z`, as browsers parse it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_us(moment: datetime) -> int:
    """Return whole microseconds since 1970; unlike `timestamp()` this never rounds."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_us(moment_us: int, zone: tzinfo = UTC) -> datetime:
    """Return the moment that lies so many microseconds after 1970."""
    return (EPOCH + timedelta(microseconds=moment_us)).astimezone(zone)


class ServerZone(tzinfo):
    """This machine's own zone, its changes of the hour included: an offset would forget them."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """Return how far east of Greenwich the wall clock stands."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:
        """Return nothing: the offset says it all."""
        del dt
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Return the zone's short name."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """Return the wall clock of a moment that is given in UTC."""
        local = dt.replace(tzinfo=UTC).astimezone()
        first = local.replace(tzinfo=None).astimezone()  # of an hour that comes twice
        return local.replace(tzinfo=self, fold=int(first.utcoffset() != local.utcoffset()))
