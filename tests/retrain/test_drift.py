from typing import Any

import pytest

from retrain import drift
from retrain.deployment import Drift
from retrain.errors import ReportError

POLICY = Drift(report="reports/drift.json", alert_on=("speed", "duration", "distance"), min_drifted=2)


def document(**values: float | None) -> dict[str, Any]:
    features = [
        {"name": name, "kind": "target", "measure": "psi", "value": value, "limit": 0.2}
        for name, value in values.items()
    ]
    return {
        "schema_version": 1,
        "partition": "2020-03-17",
        "rows": {"current": 112, "reference": 1300},
        "features": features,
    }


def judged(**values: float | None) -> drift.Verdict:
    return drift.judge(drift.read(document(**values), "drift.json", "2020-03-17"), POLICY)


def test_two_features_over_their_limits_alert_the_farthest_first() -> None:
    verdict = judged(speed=0.3, duration=0.6, distance=0.1)
    assert verdict.alert
    assert [f.name for f in verdict.drifted] == ["duration", "speed"]


def test_one_feature_alone_does_not_wake_anybody() -> None:
    assert not judged(speed=0.9).alert


def test_a_feature_at_its_limit_has_not_drifted() -> None:
    assert not judged(speed=0.2, duration=0.2).alert


def test_features_that_the_policy_does_not_name_are_shown_but_do_not_count() -> None:
    verdict = judged(speed=0.3, pickup_zone=0.9)
    assert not verdict.alert
    assert [f.name for f in verdict.drifted] == ["pickup_zone", "speed"]


def test_a_day_without_a_reference_has_nothing_to_say() -> None:
    assert judged(speed=None) == drift.Verdict(alert=False, drifted=())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"schema_version": 2}, "schema_version 2", id="a newer schema"),
        pytest.param({"partition": "2020-03-16"}, "2020-03-16", id="another day's report"),
        pytest.param({"rows": {}}, "current", id="no row counts"),
        pytest.param({"features": [{"name": "speed"}]}, "value", id="a feature without a value"),
    ],
)
def test_a_report_that_breaks_the_contract_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ReportError, match=said):
        drift.read({**document(speed=0.3), **change}, "drift.json", "2020-03-17")
