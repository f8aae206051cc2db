"""The health of the watch: what its parts found, sorted by whether messages can still be delivered."""

from __future__ import annotations

from retrain.alerts.watch.health import Findings, WatchHealth, combined


def test_a_slack_that_takes_no_messages_is_a_problem_unless_the_second_channel_delivers() -> None:
    findings = [Findings(slack={"slack, #ours": "is archived"}, attention={"silence 1": "no issue"})]
    assert combined(findings, second_channel_delivers=False) == WatchHealth(
        {"slack, #ours": "is archived"}, {"silence 1": "no issue"}
    )
    assert combined(findings, second_channel_delivers=True) == WatchHealth(
        {}, {"slack, #ours": "is archived", "silence 1": "no issue"}
    )


def test_of_two_reasons_for_one_place_the_first_one_counts() -> None:
    findings = [Findings(problems={"outbox": "cannot be written"}), Findings(problems={"outbox": "3 signals wait"})]
    assert combined(findings, second_channel_delivers=True).problems == {"outbox": "cannot be written"}


def test_a_problem_stays_one_while_the_second_channel_delivers() -> None:
    findings = [Findings(problems={"signals": "OSError"})]
    assert combined(findings, second_channel_delivers=True) == WatchHealth({"signals": "OSError"}, {})
