"""What `/metrics` says of events and of where they go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from h5sup.events.hub import Hub
from h5sup.events.wire import NAMES
from h5sup.metrics.exposition import Family, Sample


class Delivering(Protocol):
    """One webhook."""

    @property
    def delivered(self) -> int:
        """Events that arrived."""

    @property
    def given_up(self) -> int:
        """Events that never will."""


class Connected(Protocol):
    """The connection to a broker."""

    @property
    def is_connected(self) -> bool:
        """Whether it is there."""


def collect_events(
    hub: Hub, webhooks: Sequence[Delivering], broker: Connected | None
) -> Iterator[Family]:
    """Yield what happened and how much of it arrived."""
    yield Family(
        name="events",
        help="Events told, by type.",
        labels=("type",),
        samples=[Sample(hub.told[kind], (name,)) for kind, name in NAMES.items()],
        kind="counter",
    )
    yield Family(
        name="events_dropped",
        help="Events that slow subscribers lost.",
        samples=[Sample(hub.dropped)],
        kind="counter",
    )
    yield Family(
        name="webhook_delivered",
        help="Events a webhook took, by its place in config.json.",
        labels=("webhook",),
        samples=[Sample(one.delivered, (str(index),)) for index, one in enumerate(webhooks)],
        kind="counter",
    )
    yield Family(
        name="webhook_given_up",
        help="Events a webhook refused, or did not take in time.",
        labels=("webhook",),
        samples=[Sample(one.given_up, (str(index),)) for index, one in enumerate(webhooks)],
        kind="counter",
    )
    if broker is not None:
        yield Family(
            name="mqtt_connected",
            help="1 while the MQTT broker is connected.",
            samples=[Sample(broker.is_connected)],
        )
