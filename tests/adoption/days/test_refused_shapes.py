"""The same repositories with a mistake in their pipeline's file: refused with a sentence that names it, before any stage runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from adopted import Adopted
from changing_source import ChangingSource
from shape import Shape

from retrain.airflow.adapters import services
from retrain.errors import RetrainError, TrackedInputError
from retrain.inputs.errors import DayIndependentError, FetchStageError, InputNamesError, ParamsKeyError
from retrain.tasks.reproduce import reproduce
from retrain.work.environments.environment import Environment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "changed", "error", "said"),
    [
        pytest.param(
            "csv_sample",
            {"inputs": []},
            DayIndependentError,
            ("metrics.json", "evaluate", "inputs"),
            id="a sample in Git and no inputs: each day would have the sample's numbers",
        ),
        pytest.param(
            "dvc_added_sample",
            {"inputs": []},
            TrackedInputError,
            ("data/raw.csv.dvc", "train", "inputs"),
            id="a sample that DVC tracks and no inputs",
        ),
        pytest.param(
            "fetching",
            {"fetch": ["downloads"]},
            FetchStageError,
            ("downloads", "download,"),
            id="a stage that fetches under another name",
        ),
        pytest.param(
            "templated",
            {"params": {"params.json": {"data.day": "{partition}"}}},
            ParamsKeyError,
            ("params.json", "data.day"),
            id="a param that the release does not have",
        ),
        pytest.param(
            "spark_parts",
            {"inputs": [{"path": "visits", "objects": "part-*.csv", "names": "{partition}.csv"}]},
            InputNamesError,
            ("part-00000-9a4e11d2-c000.csv", "part-00001-9a4e11d2-c000.csv", "visits/2020-03-08.csv"),
            id="two files of a day under one name",
        ),
    ],
)
def test_a_mistake_in_the_pipeline_s_file_is_named_before_any_stage_runs(
    name: str,
    changed: dict[str, Any],
    error: type[RetrainError],
    said: tuple[str, ...],
    s3,
    source: ChangingSource,
    environments: Path,
    deployment_dvc: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert deployment_dvc.has_dvc_on_s3
    asked, shape = source.requests, Shape(name)
    ledger = "s3://${RETRAIN_LEDGER_BUCKET}/refused"  # in the other one the shape's tag has another commit
    team = Adopted.start(shape, tmp_path, s3, source, environments, monkeypatch, [], ledger=ledger, **changed)
    day = next(iter(shape.days))
    team.land(day)
    run = team.resolve(day, "scheduled")
    with pytest.raises(error) as caught:
        reproduce(services(team.deployment), run)
    assert [part for part in said if part not in str(caught.value)] == []
    assert team.answer("history") == []
    assert source.requests == asked
    assert [path for path in (tmp_path / "home" / "cache" / name).rglob("*") if path.is_file()] == []
