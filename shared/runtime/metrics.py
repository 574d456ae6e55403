"""Metrics for `GET /metrics`, counted from our own log lines.

`schemas/metrics.json` says which lines a metric reads, which member of them is its value, and which are its labels.
Terraform makes log-based metrics of the same table, so both count the same things: there is no second place where
anything is counted. Where several processes serve one port, `PROMETHEUS_MULTIPROC_DIR` names the folder they share.
"""

import asyncio
import os
from collections.abc import Callable, Hashable, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from shared.runtime.http import refusal

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    Metric = Counter | Gauge | Histogram

TABLE: Final = Path(__file__).parents[2] / "schemas" / "metrics.json"
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
# Different values of one label; the rest are OTHER: each value is a series of its own, kept for good.
MOST_VALUES: Final = 500
OTHER: Final = "other"
Line = MutableMapping[str, Any]


class Metrics:
    """A structlog processor that counts lines and passes them on. One a process: the library's series are."""

    def __init__(self, table: Path = TABLE) -> None:
        """Declare every metric of the table."""
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - only where /metrics is asked for

        declared: Mapping[str, Mapping[str, Any]] = orjson.loads(table.read_bytes())["metrics"]
        self._registry = CollectorRegistry()
        metrics = {name: _metric(name, one, self._registry) for name, one in declared.items()}
        self._connections: Any = metrics["upstream_database_connections"]
        self._readers: dict[str, tuple[Callable[[Line], None], ...]] = {}
        for name, one in declared.items():
            if "log" in one:
                read = _reader(one, metrics[name])
                for event in one["log"]["events"]:
                    self._readers[event] = (*self._readers.get(event, ()), read)

    def __call__(self, _logger: object, _method: str, line: Line) -> Line:
        """Count a line for each metric that reads it."""
        for read in self._readers.get(line.get("event", ""), ()):
            read(line)
        return line

    def connections_changed(self, by: int) -> None:
        """Note that a connection to the record was opened or closed: no line says so."""
        self._connections.inc(by)

    async def page(self, request: Request) -> Response:
        """Answer `GET /metrics` in Prometheus' text format."""
        if request.method not in ("GET", "HEAD"):
            return refusal("method_not_allowed", {"Allow": "GET, HEAD"})
        from prometheus_client import CONTENT_TYPE_LATEST  # noqa: PLC0415 - loaded already

        text = await asyncio.to_thread(self.exposed)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def exposed(self) -> bytes:
        """Return every series there is: of all processes that share the folder, else of this one."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - loaded already

        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._registry)
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - only where it is so

        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class _Series:
    """One metric's series, found by the members of a line that are its labels."""

    def __init__(self, declared: Mapping[str, Any], metric: "Metric") -> None:
        self.members = tuple(declared["log"]["labels"].values())
        self._metric = metric
        self._method = {"counter": "inc", "histogram": "observe", "gauge": "set"}[declared["kind"]]
        self._known: dict[tuple[object, ...], Callable[..., None]] = {}
        self._seen: tuple[set[str], ...] = tuple(set() for _ in self.members)

    def of(self, line: Line) -> Callable[..., None]:
        """Return what counts in the line's series."""
        key = tuple(map(line.get, self.members))
        try:
            return self._known[key]
        except (KeyError, TypeError):  # not seen before, or no label that anybody would write
            return self._find(key)

    def _find(self, key: tuple[object, ...]) -> Callable[..., None]:
        said = [_text(value) for value in key]
        labels = [_bounded(value, seen) for value, seen in zip(said, self._seen, strict=True)]
        count: Callable[..., None] = getattr(
            self._metric.labels(*labels) if labels else self._metric, self._method
        )
        if labels == said and all(isinstance(value, Hashable) for value in key):
            self._known[key] = count
        return count


def _reader(declared: Mapping[str, Any], metric: "Metric") -> Callable[[Line], None]:
    """Return what reads a line into a metric. A line without the value is not read, as Cloud Logging does not."""
    series = _Series(declared, metric).of
    member = declared["log"].get("value")
    if member is None:
        return lambda line: series(line)()

    def observe(line: Line) -> None:
        if isinstance(value := line.get(member), (int, float)):
            series(line)(value)

    return observe


def _bounded(value: str, seen: set[str]) -> str:
    if value not in seen and len(seen) >= MOST_VALUES:
        return OTHER
    seen.add(value)
    return value


def _text(value: object) -> str:
    """Return a label's value. A member that a line does not have is empty, as it is to Cloud Logging."""
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)


def _metric(name: str, declared: Mapping[str, Any], registry: "CollectorRegistry") -> "Metric":
    from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - only where /metrics is asked for

    description, labels = declared["description"], declared["labels"]
    match declared["kind"]:
        case "counter":
            return Counter(name, description, labels, registry=registry)
        case "histogram":
            return Histogram(name, description, labels, buckets=declared["buckets"], registry=registry)
        case "gauge" if (
            "log" in declared
        ):  # a measure of the whole system: the newest counts, whoever took it
            return Gauge(name, description, labels, registry=registry, multiprocess_mode="mostrecent")
        case "gauge":
            return Gauge(name, description, labels, registry=registry, multiprocess_mode="livesum")
        case other:
            raise ValueError(f"{name}: {other} is no kind of metric")
