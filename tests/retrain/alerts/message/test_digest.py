"""The daily digest lists incidents, promotions, releases and silences, and is not sent when there is nothing to say."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "infra" / "local"))

from alert_examples import examples, silences  # noqa: E402
from example_signals import notes  # noqa: E402
from signal_templates import ADDRESSES  # noqa: E402
from slack_standin.mrkdwn import to_html  # noqa: E402
from slack_standin.rules import check_message  # noqa: E402

from retrain.alerts.kinds import Kind  # noqa: E402
from retrain.alerts.message.digest import digest  # noqa: E402
from retrain.alerts.message.messages import Message  # noqa: E402
from retrain.alerts.signal import Signal, Step  # noqa: E402
from retrain.alerts.silences import Silences, read  # noqa: E402

DAY = date(2020, 3, 18)
EXAMPLES = examples()


def told(message: Message | None) -> str:
    assert message is not None
    check_message(message.text, message.blocks, None, None, lambda _: False)
    return "\n".join([message.text, *(block["text"]["text"] if "text" in block else "…" for block in message.blocks)])


def test_a_day_with_nothing_to_say_has_no_digest() -> None:
    assert digest(DAY, [], [], [], Silences(), ADDRESSES) is None


def test_it_lists_promotions_releases_and_finished_backfills() -> None:
    text = told(digest(DAY, notes(), [], [EXAMPLES[Kind.BACKFILL].resolved], Silences(), ADDRESSES))
    assert "version 8 of 2020-03-16 after 7: mae 4.391 beats the champion's 4.502" in text
    assert "v1.3.0 (`9f2c1e7d4b6a`) after v1.2.0" in text
    assert "Backfill 2020-03-02 to 03-15: 11 of 14, 3 failed" in text


def test_it_lists_open_incidents_with_their_age_and_resolved_ones_with_their_length() -> None:
    opened, ended = EXAMPLES[Kind.DRIFT_DETECTED].open, EXAMPLES[Kind.TASK_FAILED].resolved
    text = told(digest(DAY, [], [opened], [ended], Silences(), ADDRESSES))
    assert "5 features drifted on 2020-03-17 (2 days) · trip_duration, since 2020-03-17 06:15 UTC (1 day 17 h)" in text
    assert (
        "✅ reproduce failed for 2020-03-17 (2 days) · trip_duration, after 1 day 2 h; still without a model: 1 day"
        in text
    )


def test_it_lists_silences_in_force_with_issue_and_end_expired_ones_and_broken_ones() -> None:
    text = told(digest(DAY, [], [], [], silences(), ADDRESSES))
    in_force, _, others = text.partition("Expired silences")
    assert "promotion_refused of trip_duration to 2020-03-31" in in_force
    assert "<https://git.example.org/retrain/issues/31|Issue>" in in_force
    assert "data_late of trip_duration to 2020-03-15" in others
    assert "entry 3: since: Field required; expires: Field required" in others


@pytest.mark.parametrize("text", ["<!channel> *x* `y` <https://evil.example|z>", "&" * 5000, "\ud800\n> quote"])
def test_any_text_in_notes_and_reasons_is_taken_by_slack_and_mentions_nobody(text: str) -> None:
    facts = dict.fromkeys(("version", "from", "partition", "reason", "tag", "commit"), text)
    many = [
        Signal(str(number), "2020-03-18", Step.NOTE, text, kind, facts=facts)
        for number in range(40)
        for kind in (Kind.PROMOTED, Kind.RELEASED)
    ]
    silence = silences().entries[0].model_copy(update={"reason": text, "subject": text})
    quiet = Silences((silence,) * 30, (text,) * 30)
    message = digest(DAY, many, [], [], quiet, ADDRESSES)
    shown = told(message)
    assert "<!" not in shown
    assert 'class="mention' not in to_html(shown)
    assert "more" in shown


def test_a_silences_file_that_is_not_yaml_is_named() -> None:
    assert "not YAML" in told(digest(DAY, [], [], [], read("- ["), ADDRESSES))
