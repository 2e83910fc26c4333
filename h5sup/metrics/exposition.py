"""What `/metrics` answers: families of samples, collected when somebody asks.

Nothing is counted here. Each service keeps its own figures; app/figures.py lists whom to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

MIME = CONTENT_TYPE_PLAIN_0_0_4
PREFIX = "h5sup_"

Kind = Literal["gauge", "counter"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure; `labels` in the family's order."""

    value: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Figures of one kind; the name goes without prefix and, for counters, without `_total`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    samples: Iterable[Sample] = ()
    kind: Kind = "gauge"


Collect = Callable[[], Iterable[Family]]


class Exposition:
    """Everything that is measured. `add()` comes before the first `render()`."""

    def __init__(self) -> None:
        self._collects: list[Collect] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def add(self, collect: Collect) -> None:
        """Ask this one, too."""
        self._collects.append(collect)

    def render(self) -> bytes:
        """Return Prometheus's text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what prometheus-client wants."""
        for collect in self._collects:
            for family in collect():
                yield _metric(family)


def _metric(family: Family) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(PREFIX + family.name, family.help, labels=family.labels)
    for sample in family.samples:
        metric.add_metric(sample.labels, sample.value)
    return metric
