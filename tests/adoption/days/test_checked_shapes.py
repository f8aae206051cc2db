"""What `make check` says of the repositories, before there is a pipeline's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from changing_source import ChangingSource
from shape import NAMES, Shape
from team_origin import Origin, isolated_git

from retrain.adoption import proposed_file
from retrain.adoption.examination import examine
from retrain.adoption.observation import Effect
from retrain.deployment.pipeline_file import Deployment
from retrain.work.environments.environment import Environment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", NAMES)
def test_a_run_would_start_and_the_proposed_file_lays_and_fetches_what_the_team_s_own_does(
    name: str,
    source: ChangingSource,
    environments: Path,
    deployment_dvc: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert deployment_dvc.has_dvc_on_s3
    isolated_git(tmp_path / "engineer", monkeypatch)
    asked, shape = source.requests, Shape(name)
    origin = Origin.create(tmp_path, shape.files(source.url), name)
    origin.release("v1.0.0")
    found = examine(str(origin.path), "v1.0.0", environments)
    assert [each.line for each in found.observations if each.effect is Effect.STOPS] == []
    assert found.would_start
    proposed: Deployment = proposed_file.valid(name, proposed_file.render(name, found.proposal, found.commit))
    # A team may lay a folder where the proposal lays its files one by one.
    laid = {top for top in shape.inputs for each in proposed.inputs if f"{each.path}/".startswith(f"{top}/")}
    assert (laid, len(proposed.inputs) >= len(laid)) == (set(shape.inputs), True)
    assert [
        each.path for each in proposed.inputs if not any(f"{each.path}/".startswith(f"{top}/") for top in laid)
    ] == []
    assert list(proposed.fetch) == shape.pipeline.get("fetch", [])
    assert proposed.repository.packages_folder == shape.pipeline["repository"].get("environment", ".")
    assert source.requests == asked
