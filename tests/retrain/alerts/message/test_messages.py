"""Messages: complete when all is known, honest when it is not, within Slack's limits, and safe from texts in the data."""

from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "infra" / "local"))

from alert_examples import examples  # noqa: E402
from signal_templates import ADDRESSES  # noqa: E402
from slack_standin.mrkdwn import to_html  # noqa: E402
from slack_standin.rules import check_message  # noqa: E402

from retrain.alerts.incident import Entry, Incident, Situation  # noqa: E402
from retrain.alerts.kinds import QUIET, Kind  # noqa: E402
from retrain.alerts.message import messages  # noqa: E402
from retrain.alerts.message.messages import Message  # noqa: E402
from retrain.alerts.message.next_action import rerun  # noqa: E402
from retrain.alerts.message.trouble import AFTER_RECORD  # noqa: E402
from retrain.alerts.signal import Key, Step  # noqa: E402

EXAMPLES = examples()
OPEN = [pytest.param(example.open, id=name) for name, example in EXAMPLES.items()]
RESOLVED = [pytest.param(example.resolved, id=name) for name, example in EXAMPLES.items()]
HOSTILE = [
    "<!channel>",
    "<!here|x> <@U123> <#C123|general> <!subteam^S1>",
    "@channel @here #general",
    "<https://evil.example/|Runbook>",
    "&lt;!channel&gt;",
    "*bold* _italic_ ~strike~ `code`",
    "``` *out of the block* ```",
    "`",
    "*",
    "_ * ~ ` > < & |",
    "> a quote",
    "&gt; a quote",
    "x\n> a quote\n* a list",
    ":rotating_light: :red_circle:",
    "{day} {0} %s ${HOME}",
    "\u202eturned round \u200b\u0000\ud800\ue000",
    "𝕏" * 4000,
    "&" * 4000,
    "<" * 4000,
    "`" * 4000,
    "a" * 50_000,
    "line\n" * 5000,
    " ",
    "",
]
NAMES = [
    "cause evidence stage tries task release dag_run log_url next expected_at marker severity confidence since days_open",
    "mlflow_url metric value limit history reason what id from to total done running failed state version tag commit kind",
]


def texts(message: Message) -> list[str]:
    found = [message.text]
    for block in message.blocks:
        found += [block["text"]["text"]] if "text" in block else [e["text"] for e in block["elements"]]
    return found


def told(message: Message) -> str:
    return "\n".join(texts(message))


def slack_takes(message: Message) -> None:
    """Fails with the error that Slack would answer."""
    check_message(message.text, message.blocks, None, None, lambda _: False)


def all_messages(incident: Incident) -> list[Message]:
    replies = [messages.reply(incident, entry, ADDRESSES) for entry in incident.entries]
    return [messages.top(incident, ADDRESSES), *replies]


def made(kind: Kind, text: Any, *, resolved: bool = False, **own: str) -> Incident:
    """An incident of a kind that says `text` wherever data can stand; `own` are facts in words of ours."""
    facts = {name: text for line in NAMES for name in line.split()} | own
    facts |= {
        "reasons": [text, text],
        "interval": [text, 2.0],
        "baselines": {str(text): text, "pair_median": 4.7},
        "features": [{"name": text, "kind": text, "measure": text, "value": 0.5, "limit": 0.2}] * 3,
        "rows": {"current": text, "reference": 100},
        "health": {str(text): text, "scheduler": {"status": text, "age": 12.0}},
        "champion": {"version": text, "partition": text, "age_days": 3},
        "challenger": {"version": text, str(text): 5.0},
    }
    entries = [
        Entry("1", "2020-03-18T06:00:00+00:00", Step.TROUBLE, str(text), facts),
        Entry("2", "2020-03-18T07:00:00+00:00", Step.GOOD, str(text), {"dag_run": text}),
    ]
    return Incident(
        Key(str(text), kind, str(text)),
        "2020-03-18T06:00:00+00:00",
        str(text),
        facts,
        {str(text): False, "2020-03-05": False},
        tuple(entries if resolved else entries[:1]),
        "2020-03-18T07:00:00+00:00" if resolved else None,
        Situation(str(text), str(text), str(text), str(text), str(text), str(text)),
    )


def test_there_is_an_example_of_every_kind_that_makes_a_message() -> None:
    assert {Kind(name.removesuffix("_airflow")) for name in EXAMPLES} == set(Kind) - QUIET


@pytest.mark.parametrize("incident", [*OPEN, *RESOLVED])
def test_slack_takes_every_message(incident: Incident) -> None:
    for message in all_messages(incident):
        slack_takes(message)


@pytest.mark.parametrize("incident", [*OPEN, *RESOLVED])
def test_the_first_line_fits_a_lock_screen_and_names_pipeline_and_day(incident: Incident) -> None:
    first = messages.top(incident, ADDRESSES).text.splitlines()[0]
    assert len(first) <= 68
    assert incident.key.pipeline in first or "all pipelines" in first
    if incident.partitions:
        assert "2020-03-" in first


@pytest.mark.parametrize("incident", OPEN)
def test_an_open_message_says_the_impact_the_next_action_and_where_to_read(incident: Incident) -> None:
    message = messages.top(incident, ADDRESSES)
    text = told(message)
    assert "*Next:*" in text
    assert f"{ADDRESSES.runbooks}/{incident.key.kind}|Runbook" in text
    assert "Open since 2020-03-" in text
    if incident.key.kind is not Kind.BACKFILL and incident.partitions:
        assert "Consumers" in message.text


@pytest.mark.parametrize("incident", RESOLVED)
def test_a_resolved_message_says_so_first_and_how_long_it_lasted(incident: Incident) -> None:
    message = messages.top(incident, ADDRESSES)
    assert message.text.startswith(("✅ Resolved:", "✅ Backfill", "⚠️ Backfill"))
    assert re.search(r"Lasted \d+ (min|h|day)", message.text)
    assert "Open since" not in told(message)


@pytest.mark.parametrize("kind", [Kind.TASK_FAILED, Kind.DATA_REJECTED, Kind.PUSH_UNPROVEN, Kind.RELEASE_REFUSED])
def test_a_failure_says_whose_it_is_what_stands_and_what_to_do(kind: Kind) -> None:
    incident = EXAMPLES[kind].open
    assert incident.situation
    text = told(messages.top(incident, ADDRESSES))
    for part in (
        f"Cause: {incident.facts['cause']}",
        str(incident.facts["evidence"]),
        "Nothing recorded is lost",
        f"Last good run: {incident.situation.last_good}, recorded 2020-03-1",
        f"stay on model version {incident.situation.champion} of {incident.situation.champion_partition}",
        "|Log>",
        "clear `",
    ):
        assert part in text, part


def test_a_drift_message_says_what_kind_of_drift_it_is_and_its_thread_each_value_with_its_limit() -> None:
    incident = EXAMPLES[Kind.DRIFT_DETECTED].open
    assert "Target drift: speed 0.75 (limit 0.20)" in told(messages.top(incident, ADDRESSES))
    thread = told(messages.reply(incident, incident.entries[-1], ADDRESSES))
    assert "*speed* (target): PSI 0.75, limit 0.20" in thread
    assert "*passenger_count* (input): PSI 0.22, limit 0.20" in thread


@pytest.mark.parametrize(
    ("kind", "shown"),
    [(Kind.DRIFT_DETECTED, "*speed* (target): PSI 0.75"), (Kind.PERFORMANCE_DROPPED, "*MAE:* 5.02, limit 4.61")],
)
def test_a_policy_without_sentences_still_shows_its_values(kind: Kind, shown: str) -> None:
    incident = EXAMPLES[kind].open
    silent = replace(incident, facts={**incident.facts, "reasons": []})
    assert shown in told(messages.top(silent, ADDRESSES))


def test_only_features_over_their_limit_are_counted_in_the_headline() -> None:
    incident = EXAMPLES[Kind.DRIFT_DETECTED].open
    features = [*incident.facts["features"], {"name": "calm", "kind": "input", "value": 0.1, "limit": 0.2}]
    shown = messages.top(replace(incident, facts={**incident.facts, "features": features}), ADDRESSES)
    assert "5 features drifted" in shown.text


def test_a_performance_message_shows_the_interval_the_limit_and_the_baselines() -> None:
    incident = EXAMPLES[Kind.PERFORMANCE_DROPPED].open
    assert "confidence interval 4.43 to 5.69 (limit 4.61)" in told(messages.top(incident, ADDRESSES))
    thread = told(messages.reply(incident, incident.entries[0], ADDRESSES))
    assert "*MAE:* 5.02, limit 4.61 (interval 4.43 to 5.69)" in thread
    assert "*Baseline pair_median:* 4.78" in thread


def test_days_left_without_a_model_are_named_with_the_command_that_runs_them() -> None:
    text = told(messages.top(EXAMPLES[Kind.BACKFILL].resolved, ADDRESSES))
    assert "Still without a model: 2020-03-04, 2020-03-05, 2020-03-09" in text
    assert "--from-date 2020-03-04 --to-date 2020-03-05T23:59" in text
    assert "--from-date 2020-03-09 --to-date 2020-03-09T23:59" in text


@pytest.mark.parametrize("kind", [Kind.DRIFT_DETECTED, Kind.PERFORMANCE_DROPPED, Kind.PROMOTION_REFUSED])
def test_days_that_were_recorded_all_the_same_are_not_to_be_run_again(kind: Kind) -> None:
    assert "backfill create" not in told(messages.top(EXAMPLES[kind].resolved, ADDRESSES))


@pytest.mark.parametrize("task", AFTER_RECORD)
def test_a_failure_after_the_record_says_that_the_model_is_there(task: str) -> None:
    incident = EXAMPLES[Kind.TASK_FAILED].open
    after = replace(incident, task=task, facts={**incident.facts, "task": task})
    assert "trained, stored and recorded" in messages.top(after, ADDRESSES).text


def test_data_that_came_after_the_run_gave_up_still_wants_a_hand() -> None:
    late = EXAMPLES[Kind.DATA_LATE].resolved
    waited = replace(
        late.entries[0], facts={**late.entries[0].facts, "dag_run": "r", "next": "Clear `wait_for_partition`."}
    )
    gave_up = replace(late, entries=(waited, late.entries[1]))
    assert "*Next:* Clear `wait_for_partition`." in told(messages.top(gave_up, ADDRESSES))
    assert "*Next:*" not in told(messages.top(late, ADDRESSES))


def test_late_data_names_its_marker_and_without_one_what_is_awaited() -> None:
    late = EXAMPLES[Kind.DATA_LATE].open
    facts = {name: value for name, value in late.facts.items() if name != "marker"}
    words = "objects of s3://raw/dt=2020-03-17, and then none for 30 minutes"
    assert "Marker: `s3://retrain-raw/raw/yellow/dt=2020-03-17/_SUCCESS`" in told(messages.top(late, ADDRESSES))
    quiet = told(messages.top(replace(late, facts={**facts, "awaited": words}), ADDRESSES))
    assert f"Awaited: `{words}`" in quiet
    assert "Marker" not in quiet


def test_missing_facts_are_shown_as_unknown() -> None:
    for kind in Kind:
        bare = Incident(Key("p", kind, ""), "2020-03-18T06:00:00+00:00", None, {})
        message = messages.top(bare, ADDRESSES)
        slack_takes(message)
        assert "None" not in told(message)
        assert "not known" in told(message) or kind in QUIET | {Kind.BACKFILL, Kind.PIPELINE_SILENT}
    assert "Cause: UNKNOWN" in told(
        messages.top(Incident(Key("p", Kind.TASK_FAILED, "push"), "x", "push", {}), ADDRESSES)
    )


def test_an_unchanged_incident_gives_an_unchanged_message() -> None:
    again = examples()
    for name, example in EXAMPLES.items():
        assert messages.top(example.open, ADDRESSES) == messages.top(again[name].open, ADDRESSES)


def test_a_reply_does_not_change_when_the_incident_goes_on() -> None:
    for example in EXAMPLES.values():
        for entry in example.open.entries:
            then = messages.reply(example.open, entry, ADDRESSES)
            assert then == messages.reply(example.resolved, entry, ADDRESSES)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("resolved", [False, True], ids=["open", "resolved"])
def test_any_text_in_the_data_is_taken_by_slack_and_mentions_nobody(kind: Kind, resolved: bool) -> None:
    rand = random.Random(f"{kind}{resolved}")  # noqa: S311 - a fixed seed
    mixed = ["".join(rand.choices("<>!@#*_~`|&\n :x", k=rand.randint(1, 400))) for _ in range(40)]
    for text in [*HOSTILE, *mixed]:
        for message in all_messages(made(kind, text, resolved=resolved)):
            slack_takes(message)
            json.dumps([message.text, message.blocks]).encode()
            for part in texts(message):
                part.encode()
                assert len(part.encode("utf-16-le")) // 2 <= 3000
                for control in re.findall(r"<([^>]*)", part):
                    assert control.startswith(
                        ("https://airflow.example.org", "https://mlflow.example.org", "https://git.")
                    ), part
                assert 'class="mention' not in to_html(part)


@pytest.mark.parametrize("kind", Kind)
def test_marks_in_the_data_change_nothing_of_the_layout(kind: Kind) -> None:
    def skeleton(text: str) -> list[str]:
        rendered = [
            to_html(part) for m in all_messages(made(kind, text, resolved=True, next="Wait.")) for part in texts(m)
        ]
        return [tag for part in rendered for tag in re.findall(r"</?[a-z]+", part)]

    plain = skeleton("x")
    # The page links bare addresses; Slack does not in text that is verbatim.
    for text in [t for t in HOSTILE if t.strip() and "\n" not in t and len(t) < 100 and "://" not in t]:
        assert skeleton(text) == plain, text


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    "odd", [None, True, 3, 2.5, float("nan"), float("inf"), 10**400, [], [None], {}, {"a": {}}, b"x"]
)
def test_facts_of_another_type_are_no_error(kind: Kind, odd: Any) -> None:
    for message in all_messages(made(kind, odd, resolved=True)):
        slack_takes(message)


def test_a_text_that_is_too_long_is_cut_visibly() -> None:
    incident = EXAMPLES[Kind.TASK_FAILED].open
    long = replace(incident, facts={**incident.facts, "evidence": "x" * 9000})
    assert "…```" in told(messages.top(long, ADDRESSES))


def test_an_address_that_breaks_out_of_its_link_is_bent_back() -> None:
    incident = EXAMPLES[Kind.TASK_FAILED].open
    bad = replace(incident, facts={**incident.facts, "log_url": "https://x/y|Log> <!channel> `"})
    text = told(messages.top(bad, ADDRESSES))
    assert "<https://x/y%7CLog%3E%20%3C!channel%3E%20%60|Log>" in text


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_the_rerun_commands_parse_and_run_exactly_the_missing_days(timezone: str) -> None:
    import shlex
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from airflow.cli.cli_parser import get_parser
    from airflow.sdk import DAG, CronDataIntervalTimetable
    from airflow.serialization.serialized_objects import DagSerialization

    from retrain.deployment.sections import Schedule
    from retrain.run.partition import of_interval

    with DAG(
        "p",
        schedule=CronDataIntervalTimetable("0 6 * * *", timezone=timezone),
        start_date=datetime(2018, 1, 1, tzinfo=ZoneInfo(timezone)),
    ) as dag:
        pass
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    schedule = Schedule(cron="0 6 * * *", timezone=timezone, start_date=date(2018, 1, 1))
    missing = ["2020-03-04", "2020-03-05", "2020-03-09"]
    days = []
    for command in rerun("p", ["2020-03-09", "no date", "2020-03-05", "2020-03-04"], timezone):
        asked = get_parser().parse_args(shlex.split(command)[1:])
        runs = stored.iter_dagrun_infos_between(asked.from_date, asked.to_date)
        days += [of_interval(run.data_interval.start, schedule).isoformat() for run in runs]
    assert days == missing
