"""The watch's state and counts in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from retrain.alerts.kinds import QUIET, Kind
from retrain.alerts.watch.page.view import ChannelLine
from retrain.alerts.watch.page.whereabouts import channel_lines, second_lines, signals_waiting
from retrain.alerts.watch.watch import Watch
from retrain.work.volume import space

MEDIA_TYPE = "text/plain; version=0.0.4"


class WatchMetrics(Collector):
    """Collects the metrics of a watch when they are asked for. No server is asked."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def text(self) -> bytes:
        """All metrics, with label values escaped."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not collect a first time to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Each metric with its present values."""
        yield from self._health()
        yield from self._volume()
        yield from self._parts()
        yield from self._incidents()
        yield from _channels([*channel_lines(self._watch), *second_lines(self._watch)])

    def _health(self) -> Iterator[Metric]:
        health, waiting = self._watch.health(), signals_waiting(self._watch)
        silences, today = self._watch.state.configuration.silences, self._watch.state.now().date()
        in_force = sum(silence.in_force(today) for silence in silences.entries)
        for name, said, value in (
            ("retrain_watch_delivers", "1 while messages can be delivered, else 0", int(not health.problems)),
            ("retrain_watch_problems", "Reasons why messages cannot be delivered", len(health.problems)),
            ("retrain_watch_attention", "Findings that hold no message back", len(health.attention)),
            ("retrain_watch_signals_waiting", "Signals in the outbox that are not read yet", waiting.count),
            ("retrain_watch_signals_oldest_seconds", "Age of the oldest of them", waiting.oldest_seconds),
            ("retrain_watch_silences", "Silences that are in force", in_force),
        ):
            yield GaugeMetricFamily(name, said, value)

    def _volume(self) -> Iterator[Metric]:
        """The space on the volume that all workers share. `needed` is what the pipeline that needs most wants free."""
        settings = self._watch.state.settings
        found = space(settings.volume or settings.folder, settings.volume_limit)
        deployments = self._watch.state.configuration.deployments.values()
        needed = max((deployment.limits.min_free_disk_mb for deployment in deployments), default=0) * 2**20
        for name, said, value in (
            ("retrain_volume_used_bytes", "Bytes used on the shared volume", found.used),
            ("retrain_volume_free_bytes", "Bytes that may still be written", found.free),
            ("retrain_volume_limit_bytes", "Its size, or RETRAIN_HOME_LIMIT_GB if that is less", found.limit),
            ("retrain_volume_needed_bytes", "Bytes that must be free for a run to start", needed),
        ):
            yield GaugeMetricFamily(name, said, value)

    def _parts(self) -> Iterator[Metric]:
        since = GaugeMetricFamily(
            "retrain_watch_part_seconds_since_turn", "Seconds since the part's last turn ended", labels=["part"]
        )
        fails = GaugeMetricFamily(
            "retrain_watch_part_fails", "1 while the part fails or hangs, else 0", labels=["part"]
        )
        turns = CounterMetricFamily(
            "retrain_watch_part_turns_total", "Turns of the part since the start", labels=["part"]
        )
        for part in self._watch.parts.values():
            ago = part.seconds_ago
            if ago is not None:
                since.add_metric([part.name], ago)
            fails.add_metric([part.name], int(bool(part.trouble)))
            turns.add_metric([part.name], part.turns)
        yield from (since, fails, turns)

    def _incidents(self) -> Iterator[Metric]:
        """Open incidents by pipeline and kind: zeros too, so that a graph shows when there were none."""
        state = self._watch.state
        known, today = state.book.open(), state.now().date()
        pipelines = {*state.configuration.deployments, *(incident.key.pipeline for incident in known)}
        opened = Counter((incident.key.pipeline, incident.key.kind) for incident in known)
        family = GaugeMetricFamily("retrain_incidents_open", "Open incidents", labels=["pipeline", "kind"])
        for pipeline in sorted(pipelines):
            for kind in Kind:
                if kind not in QUIET:
                    family.add_metric([pipeline, kind], opened[pipeline, kind])
        yield family
        quiet = [i for i in known if state.configuration.is_silenced(i, today)]
        untold = [i for i in known if i not in quiet and not state.slack_marks.of(i.id).ts]
        yield GaugeMetricFamily("retrain_incidents_silenced", "Open incidents that are silenced", len(quiet))
        yield GaugeMetricFamily("retrain_incidents_untold", "Open incidents, not silenced, not in Slack", len(untold))


def _channels(lines: list[ChannelLine]) -> Iterator[Metric]:
    labels = ["channel"]
    delivered = CounterMetricFamily(
        "retrain_watch_messages_delivered_total",
        "Messages, updates, replies and pictures that the channel took since the start",
        labels=labels,
    )
    refused = CounterMetricFamily(
        "retrain_watch_messages_refused_total",
        "Contents that the channel refused for good since the start",
        labels=labels,
    )
    failed = CounterMetricFamily(
        "retrain_watch_messages_failed_total", "Tries that failed since the start; they are repeated", labels=labels
    )
    for line in lines:
        delivered.add_metric([line.name], line.delivered)
        refused.add_metric([line.name], line.refused)
        failed.add_metric([line.name], line.failed)
    yield from (delivered, refused, failed)
    last = GaugeMetricFamily(
        "retrain_watch_last_delivery_timestamp_seconds", "When the channel last took a message", labels=labels
    )
    for line in lines:
        if line.last:
            last.add_metric([line.name], datetime.fromisoformat(line.last).timestamp())
    yield last
