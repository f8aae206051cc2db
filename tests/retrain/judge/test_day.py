import json
from dataclasses import replace
from typing import Any

import pytest

from retrain.deployment.policies import Drift, Performance, Policies
from retrain.errors import ReportError
from retrain.judge.day import Day, Error, MeasuredFeature, read

DRIFT = Drift(report="reports/drift.json")
ERROR = Performance(metrics="reports/metrics.json", model="model", metric="mae", baselines=("pair_median",))
BOTH = Policies(drift=DRIFT, performance=ERROR)
METRICS = {
    "rows": 112,
    "model": {"mae": 4.0, "mae_low": 3.5, "mae_high": 4.5},
    "pair_median": {"mae": 4.7},
}


def report(**change: Any) -> dict[str, Any]:
    """What another team's pipeline may write: nothing that is optional."""
    return {
        "schema_version": 1,
        "partition": "2020-03-17",
        "rows": {"current": 112, "reference": 1300},
        "features": [{"name": "speed", "kind": "target", "value": 0.75, "limit": 0.2}],
        **change,
    }


def test_a_report_without_the_optional_fields_is_read() -> None:
    day = read("2020-03-17", BOTH, report(), METRICS)
    assert day.features == (MeasuredFeature("speed", "target", 0.75, 0.2, "psi", None, None),)
    assert day.by_day == {}


def test_rows_of_each_reference_day_importance_and_bins_are_read_where_they_are_told() -> None:
    told = {"name": "zone", "kind": "input", "value": 0.1, "limit": 0.25, "importance": 0.46, "bins": 11}
    rows = {"current": 112, "reference": 1300, "by_day": {"2020-03-10": 600, "2020-03-03": 700}}
    day = read("2020-03-17", BOTH, report(features=[told], rows=rows), METRICS)
    assert day.features == (MeasuredFeature("zone", "input", 0.1, 0.25, "psi", 0.46, 11),)
    assert day.by_day == {"2020-03-10": 600, "2020-03-03": 700}


def test_a_feature_without_a_value_has_nothing_to_say() -> None:
    nothing = {"name": "speed", "kind": "target", "value": None, "limit": 0.2}
    assert read("2020-03-17", BOTH, report(features=[nothing]), METRICS).features == ()


def test_the_error_comes_with_its_interval_if_there_is_one_and_with_its_baselines() -> None:
    assert read("2020-03-17", BOTH, report(), METRICS).error == Error("mae", 4.0, 3.5, 4.5)
    bare = read("2020-03-17", BOTH, report(), {**METRICS, "model": {"mae": 4.0}})
    assert (bare.error, bare.baselines) == (Error("mae", 4.0), {"pair_median": 4.7})


def test_without_a_section_performance_no_metrics_are_needed() -> None:
    assert read("2020-03-17", Policies(drift=DRIFT), report(), None).error is None


def test_a_pipeline_without_a_drift_report_still_has_an_error() -> None:
    day = read("2020-03-17", Policies(performance=ERROR), None, METRICS)
    assert (day.rows, day.features, day.error) == (112, (), Error("mae", 4.0, 3.5, 4.5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"schema_version": 2}, "schema_version 2", id="a newer schema"),
        pytest.param({"partition": "2020-03-16"}, "2020-03-16", id="another day's report"),
        pytest.param({"rows": {}}, "current", id="no row counts"),
        pytest.param({"rows": 3}, "contract", id="rows that are no counts"),
        pytest.param({"features": [{"name": "speed"}]}, "value", id="a feature without a value"),
        pytest.param(
            {"features": [{"name": "a", "kind": "b", "value": 1, "limit": 0}]}, "a: limit is 0", id="no limit"
        ),
        pytest.param({"rows": {"current": float("inf"), "reference": 9}}, "contract", id="endless rows"),
    ],
)
def test_a_report_that_breaks_the_contract_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ReportError, match=said):
        read("2020-03-17", BOTH, report(**change), METRICS)


@pytest.mark.parametrize(
    "metrics", [{}, {**METRICS, "model": 4.0}, {**METRICS, "pair_median": {}}, {**METRICS, "model": {"mae": "low"}}]
)
def test_metrics_that_lack_the_error_or_a_baseline_are_refused_by_file(metrics: dict[str, Any]) -> None:
    with pytest.raises(ReportError, match=r"reports/metrics\.json"):
        read("2020-03-17", BOTH, report(), metrics)


def test_a_day_comes_back_from_the_ledger_as_it_was_kept() -> None:
    day = read("2020-03-17", BOTH, report(), METRICS)
    for kept in (day, replace(day, error=None, baselines={})):
        assert Day.from_dict(json.loads(json.dumps(kept.to_dict())), "it") == kept


@pytest.mark.parametrize("none", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["value", "limit", "importance"])
def test_a_feature_whose_number_is_none_is_refused_by_its_name(where: str, none: float) -> None:
    speed = {"name": "speed", "kind": "input", "value": 0.75, "limit": 0.2, "importance": 0.4, where: none}
    with pytest.raises(ReportError, match=rf"reports/drift\.json.*speed: {where} is {none}"):
        read("2020-03-17", BOTH, report(features=[speed]), METRICS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": {"mae": float("nan")}}, "mae is nan"),
        ({"model": {"mae": 4.0, "mae_low": float("-inf")}}, "mae_low is -inf"),
        ({"pair_median": {"mae": float("inf")}}, r"pair_median\.mae is inf"),
    ],
)
def test_an_error_that_is_no_number_is_refused_and_never_calm(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ReportError, match=rf"reports/metrics\.json.*{said}.*diverged"):
        read("2020-03-17", BOTH, report(), {**METRICS, **change})


@pytest.mark.parametrize("version", [0, 2, None, "1", 1.5])
def test_a_kept_day_of_no_version_up_to_this_one_is_refused(version: object) -> None:
    kept = read("2020-03-17", BOTH, report(), METRICS).to_dict()
    with pytest.raises(ReportError, match="judged/x has schema_version"):
        Day.from_dict({**kept, "schema_version": version}, "judged/x")


@pytest.mark.parametrize("change", [{"schema_version": 9}, {"features": None}, {"odd": 1}])
def test_a_kept_day_that_is_none_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ReportError, match="judged/x"):
        Day.from_dict({**read("2020-03-17", BOTH, report(), METRICS).to_dict(), **change}, "judged/x")
