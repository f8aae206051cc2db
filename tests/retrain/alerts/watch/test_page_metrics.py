"""The metrics that Prometheus reads from the watch, and the names that its alert rules and the dashboard use."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from retrain.alerts.kinds import QUIET, Kind
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch.page.metrics import WatchMetrics
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.slack.plan import SlackMark
from retrain.alerts.watch.watch import Watch
from retrain.deployment.pipeline_file import Deployment

ROOT = Path(__file__).resolve().parents[4]
MONITORING = ROOT / "infra" / "monitoring"
FAILED = Signal("f", "2020-03-18T05:50:00", Step.TROUBLE, "ours", Kind.TASK_FAILED, "push", "2020-03-17", "push")


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    settings = WatchSettings.of({"RETRAIN_ALERTS": str(tmp_path / "alerts"), "RETRAIN_SLACK_CHANNEL": "#ours"})
    return Watch(replace(settings, pipelines=tmp_path), now=lambda: datetime(2020, 3, 18, 6, tzinfo=UTC))


def samples(watch: Watch) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(WatchMetrics(watch).text().decode()):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def value(watch: Watch, name: str, **labels: str) -> float:
    (found,) = [value for sample, its, value in samples(watch) if sample == name and its == labels]
    return found


def test_prometheus_reads_whether_messages_can_be_delivered(watch: Watch) -> None:
    assert value(watch, "retrain_watch_delivers") == 1
    watch.parts["signals"].error = "OSError: No space left on device"
    watch.state.configuration.broken = {"ours": "ours.yaml: slack.channel"}
    assert value(watch, "retrain_watch_delivers") == 0
    assert value(watch, "retrain_watch_problems") == value(watch, "retrain_watch_attention") == 1
    assert value(watch, "retrain_watch_part_fails", part="signals") == 1
    assert value(watch, "retrain_watch_part_fails", part="slack") == 0


def test_each_part_counts_its_turns_and_the_seconds_since_the_last_one(watch: Watch) -> None:
    before = {labels["part"] for name, labels, _ in samples(watch) if name == "retrain_watch_part_seconds_since_turn"}
    assert before == set(), "no part has worked yet"
    watch.parts["situation"].take_turn()
    assert value(watch, "retrain_watch_part_turns_total", part="situation") == 1
    assert value(watch, "retrain_watch_part_turns_total", part="slack") == 0
    assert value(watch, "retrain_watch_part_seconds_since_turn", part="situation") >= 0


def test_open_incidents_are_counted_by_pipeline_and_kind_with_zeros_for_the_other_kinds(watch: Watch) -> None:
    watch.state.book.fold(FAILED)
    counted = {labels["kind"]: v for name, labels, v in samples(watch) if name == "retrain_incidents_open"}
    assert counted == {kind: float(kind is Kind.TASK_FAILED) for kind in set(Kind) - QUIET}
    assert value(watch, "retrain_incidents_untold") == 1
    watch.state.slack_marks.save(SlackMark(watch.state.book.open()[0].id, "C1", "#ours", "1584510600.0"))
    assert value(watch, "retrain_incidents_untold") == 0


def test_signals_that_wait_are_counted_with_the_age_of_the_oldest(watch: Watch) -> None:
    assert value(watch, "retrain_watch_signals_waiting") == 0
    watch.state.outbox.put(FAILED)
    assert value(watch, "retrain_watch_signals_waiting") == 1
    assert value(watch, "retrain_watch_signals_oldest_seconds") >= 0


def test_the_time_of_a_channels_last_message_outlives_a_restart(watch: Watch) -> None:
    mark = SlackMark("a", "C1", "#ours", "1584510600.000100", replies={"x": "1584510700.000200", "refused": ""})
    watch.state.slack_marks.save(mark)
    watch.second_channel.channel.tally.delivered["address 1"] += 1
    again = Watch(watch.state.settings, now=watch.state.now)
    assert value(again, "retrain_watch_last_delivery_timestamp_seconds", channel="#ours") == 1584510700
    assert value(again, "retrain_watch_messages_delivered_total", channel="#ours") == 0


def test_a_label_with_quotes_backslashes_and_line_breaks_is_read_back_as_it_is(watch: Watch) -> None:
    name = 'a "quoted" \\ name\nof two lines'
    watch.state.book.fold(replace(FAILED, pipeline=name))
    assert value(watch, "retrain_incidents_open", pipeline=name, kind="task_failed") == 1


def test_the_shared_volume_has_what_its_limit_leaves_and_runs_need_what_their_pipeline_s_file_says(
    watch: Watch, tmp_path: Path, deployment: Deployment
) -> None:
    disk = shutil.disk_usage(tmp_path)
    settings = replace(watch.state.settings, volume=tmp_path)
    limited = Watch(replace(settings, volume_limit=disk.used // 2), now=watch.state.now)
    assert value(limited, "retrain_volume_free_bytes") == value(limited, "retrain_volume_needed_bytes") == 0
    assert value(limited, "retrain_volume_limit_bytes") == disk.used // 2
    unlimited = Watch(settings, now=watch.state.now)
    unlimited.state.configuration.deployments = {"ours": deployment}
    assert value(unlimited, "retrain_volume_limit_bytes") == disk.total
    assert value(unlimited, "retrain_volume_needed_bytes") == deployment.limits.min_free_disk_mb * 2**20


def used() -> set[str]:
    """The names of the watch's metrics in the alert rules and on the dashboard."""
    groups = yaml.safe_load((MONITORING / "prometheus" / "alerts.yml").read_text())["groups"]
    panels = json.loads((MONITORING / "grafana" / "dashboards" / "retrain.json").read_text())["panels"]
    queries = [rule["expr"] for group in groups for rule in group["rules"]]
    queries += [target["expr"] for panel in panels for target in panel["targets"]]
    return {name for query in queries for name in re.findall(r"\bretrain_\w+", query)}


def served(watch: Watch) -> set[str]:
    for part in ("configuration", "situation"):
        watch.parts[part].take_turn()
    watch.state.book.fold(FAILED)
    watch.state.slack_marks.save(SlackMark("a", "C1", "#ours", "1584510600.000100"))
    return {name for name, _, _ in samples(watch)}


def test_the_watch_serves_every_metric_that_the_rules_and_the_dashboard_ask_for(watch: Watch) -> None:
    assert "retrain_watch_delivers" in used()
    assert used() <= served(watch)


def test_the_docs_list_every_metric_of_the_watch_and_no_other(watch: Watch) -> None:
    section = (ROOT / "infra" / "docs" / "alerts.md").read_text().partition("## Its metrics")[2]
    named = re.findall(r"`(retrain_\w+)`", "".join(re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)))
    assert sorted(named) == sorted(served(watch))
