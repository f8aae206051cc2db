"""An end of refused promotions says what really happened."""

from __future__ import annotations

import pytest

from retrain.alerts import verdicts
from retrain.alerts.facts import PromotionFacts
from retrain.alerts.incident import Incident, apply
from retrain.alerts.message import messages
from retrain.alerts.message.messages import PageAddresses
from retrain.alerts.message.plain_text import to_text
from retrain.alerts.signal import Step
from retrain.run.run_spec import RunSpec

ADDRESSES = PageAddresses("http://airflow.test", "http://mlflow.test", "http://runbooks.test")
LOST = "mae 4.10 does not beat the champion's 4.05."
WON = "mae 3.90 beats the champion's 4.05."


def spec(day: str) -> RunSpec:
    return RunSpec("ours", day, "v1.0.0", "a" * 40, "d" * 64)


def ended(reason: str, *, promoted: bool) -> Incident:
    """Refused on the 17th, ended on the 18th."""
    refused = PromotionFacts(reason="The baseline of last week wins.", metric="mae", baselines={"last_week": 3.8})
    trouble = verdicts.of_promotion(
        spec("2020-03-17"), "2020-03-18T06:00:00.000+00:00", refused, alert=True, promoted=False
    )
    facts = PromotionFacts(reason=reason, metric="mae", champion=None)
    end = verdicts.of_promotion(
        spec("2020-03-18"), "2020-03-19T06:00:00.000+00:00", facts, alert=False, promoted=promoted
    )
    assert end.step is Step.GOOD
    (opened,) = apply([], trouble)
    (over,) = apply([opened], end)
    assert not over.open
    return over


def told(incident: Incident) -> list[str]:
    """The message, and the last line of its thread."""
    reply = messages.reply(incident, incident.entries[-1], ADDRESSES)
    return [to_text(messages.top(incident, ADDRESSES)), to_text(reply)]


@pytest.mark.parametrize("text", [0, 1], ids=["the message", "the thread"])
def test_a_model_that_only_loses_to_the_champion_is_not_said_to_be_promoted(text: int) -> None:
    said = told(ended(LOST, promoted=False))[text]
    assert "was promoted" not in said
    assert "The model of 2020-03-18 was not promoted: mae 4.10 does not beat the champion's 4.05" in said


@pytest.mark.parametrize("text", [0, 1], ids=["the message", "the thread"])
def test_a_model_that_was_promoted_is_said_to_be(text: int) -> None:
    assert "The model of 2020-03-18 was promoted" in told(ended(WON, promoted=True))[text]
