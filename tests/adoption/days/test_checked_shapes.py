"""What `make check` says of the repositories, before there is a pipeline's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from shape import NAMES, Shape
from team_origin import isolated_git
from team_places import TeamPlaces
from team_server import TeamServer

from retrain.adoption import proposed_file
from retrain.adoption.examination import examine
from retrain.adoption.observation import Effect
from retrain.deployment.pipeline_file import Deployment
from retrain.work.environments.environment import Environment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", NAMES)
def test_a_run_would_start_and_the_proposed_file_lays_and_fetches_what_the_team_s_own_does(
    request: pytest.FixtureRequest,
    name: str,
    source: TeamServer,
    environments: Path,
    deployment_dvc: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert deployment_dvc.has_dvc_on_s3
    isolated_git(tmp_path / "engineer", monkeypatch)
    asked, shape = source.requests, Shape(name)
    lab = request.getfixturevalue("lab") if shape.has_lab else None
    places = TeamPlaces(shape, source, tmp_path, lab)
    origin = places.publish(places.furnish())
    found = examine(str(origin.path), origin.git("rev-parse", "HEAD"), environments)
    # A value that only the team knows, such as a token, stops the proposed file until it is there.
    unknown, stops = shape.named("unknown"), [each for each in found.observations if each.effect is Effect.STOPS]
    assert [each.line for each in stops if each.topic not in unknown] == []
    assert {each.topic for each in stops} == unknown
    assert found.would_start is (not unknown)
    proposed: Deployment = proposed_file.valid(name, proposed_file.render(name, found.proposal, found.commit))
    # A team may lay a folder where the proposal lays its files one by one.
    laid = {top for top in shape.inputs for each in proposed.inputs if f"{each.path}/".startswith(f"{top}/")}
    assert (laid, len(proposed.inputs) >= len(laid)) == (set(shape.inputs), True)
    more = [each.path for each in proposed.inputs if not any(f"{each.path}/".startswith(f"{top}/") for top in laid)]
    assert more == []
    assert list(proposed.fetch) == shape.pipeline.get("fetch", [])
    theirs = {"folder": ".", "tags": None, "prereleases": False} | shape.pipeline["repository"]
    theirs |= {"environment": theirs.get("environment", theirs["folder"])} | shape.document.get("proposed", {})
    own = proposed.repository
    found_keys = {
        "folder": own.folder,
        "environment": own.packages_folder,
        "tags": own.tags,
        "prereleases": own.prereleases,
    }
    assert found_keys == {key: theirs[key] for key in found_keys}
    assert source.requests == asked
