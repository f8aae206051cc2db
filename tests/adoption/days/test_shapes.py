"""Repositories of seventeen shapes, from their Git origin to a day that is recorded, proven, restored and replayed, with data that landed in S3."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from adopted import Adopted, RanDay, contents, land
from shape import NAMES, Shape
from stack_model import Stack
from team_server import FEEDS, TeamServer

from retrain.work.environments.environment import Environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# `make test` runs these two; `make test-adoption` runs all.
_IN_MAKE_TEST = ("csv_sample", "fetching")


@pytest.fixture(scope="session")
def landed_before(s3) -> dict[str, list[str]]:
    """The days of the producers without a marker: they land before all tests, because a day has to be quiet for a while."""
    days: dict[str, list[str]] = {name: [] for name in NAMES}
    for shape in map(Shape, NAMES):
        if shape.bucket:
            s3.create_bucket(Bucket=shape.bucket)
        if shape.quiet_minutes:
            days[shape.name] = list(shape.landed)
            for day in days[shape.name]:
                land(s3, shape, shape.pipeline["raw"]["url"], day)
    return days


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name in _IN_MAKE_TEST else pytest.mark.slow) for name in NAMES],
)
def adopted(
    request: pytest.FixtureRequest,
    s3,
    mlflow_server: Stack,  # noqa: ARG001 - it has to be up
    source: TeamServer,
    environments: Path,
    deployment_dvc: Environment,  # noqa: ARG001 - built once for all
    landed_before: dict[str, list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Adopted]:
    """A shape's repository, deployed."""
    shape = Shape(request.param)
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp(shape.name)
        lab = request.getfixturevalue("lab") if shape.has_lab else None
        yield Adopted.start(shape, folder, s3, source, lab, environments, patch, landed_before[shape.name])


@pytest.fixture(scope="module")
def first(adopted: Adopted) -> RanDay:
    """The first of the shape's two days."""
    day, _ = adopted.shape.days
    adopted.land(day)
    return adopted.run(day)


@pytest.fixture(scope="module")
def second(adopted: Adopted, first: RanDay) -> RanDay:
    """The day after it, with the same release and the same caches."""
    _, day = adopted.shape.days
    assert first.record.partition < day
    adopted.land(day)
    return adopted.run(day)


def test_each_day_s_numbers_are_those_of_the_data_that_landed(adopted: Adopted, first: RanDay, second: RanDay) -> None:
    """On the second day, with all caches filled by the first."""
    for ran in (first, second):
        expected = adopted.shape.days[ran.record.partition]
        assert ran.record.metrics == expected.metrics
        made = {path: text.decode() for path, text in ran.files.items() if path in expected.model}
        assert made == expected.model
    assert first.record.run_key != second.record.run_key
    assert first.record.outputs != second.record.outputs


def test_the_day_s_files_are_where_the_stages_read_them_and_the_release_s_own_are_gone(
    adopted: Adopted, first: RanDay, second: RanDay
) -> None:
    for ran in (first, second):
        expected = adopted.shape.days[ran.record.partition]
        assert sorted(set(ran.files) - set(expected.model) - adopted.shape.named("tracked")) == sorted(expected.laid)
        assert not set(expected.replaced) & set(ran.files)
        said = " ".join(ran.reproduced.prepared)
        assert [path for path in (*adopted.shape.inputs, *expected.replaced) if path not in said] == []


def test_the_run_says_which_params_it_has_set_to_the_day(adopted: Adopted, first: RanDay, second: RanDay) -> None:
    for ran in (first, second):
        expected = adopted.shape.days[ran.record.partition].set
        said = [line.partition(",")[0] for line in ran.reproduced.prepared if re.match(r"\S+: \S+ is ", line)]
        assert said == [f"{name.replace(':', ': ')} is {value}" for name, value in expected.items()]


def test_every_output_is_proven_on_the_remote(adopted: Adopted, first: RanDay) -> None:
    found = adopted.answer("verify", first.record.partition)
    assert (found["sound"], found["runs"]) == (True, 1)
    assert found["proven"] == first.record.objects == first.pushed.objects > 0


def test_a_model_of_one_file_gets_a_version_each_day(adopted: Adopted, first: RanDay, second: RanDay) -> None:
    """A shape without `tracking.model` has none."""
    has_model = adopted.deployment.tracking.model is not None
    versions = [ran.recorded.model_version for ran in (first, second)]
    assert versions == (["1", "2"] if has_model else [None, None])


@pytest.mark.usefixtures("second")
def test_a_restored_day_has_the_same_bytes_and_the_data_that_it_was_made_of(
    adopted: Adopted, first: RanDay, tmp_path: Path
) -> None:
    """After the second day, into an empty folder."""
    asked = adopted.requests
    day, to = first.record.partition, tmp_path / "day"
    adopted.answer("restore", day, str(to), "--no-environment")
    project = to / adopted.shape.project
    assert adopted.files_of(project, day) == first.files
    not_kept = adopted.shape.named("not_kept")
    kept = {path: recorded for path, recorded in first.record.outputs.items() if path not in not_kept}
    assert {path for path in first.record.outputs if (project / path).exists()} == kept.keys()
    for path, recorded in kept.items():
        if not recorded.endswith(".dir"):
            assert md5((project / path).read_bytes(), usedforsecurity=False).hexdigest() == recorded, path
    assert not [path for path in adopted.shape.days[day].replaced if (project / path).exists()]
    assert adopted.requests == asked


@pytest.mark.usefixtures("second")
def test_a_replay_without_any_cache_computes_every_output_again(adopted: Adopted, first: RanDay) -> None:
    """Only what a stage fetched is taken from the record. Stages that cannot repeat themselves are named."""
    asked, random = adopted.requests, adopted.shape.named("not_repeatable")
    found = adopted.answer("replay", first.record.partition)
    assert {each["name"] for each in found["stages"] if each["verdict"] == "not_repeatable"} == random
    assert (found["well"], found["same"]) == (True, not random)
    assert {each["path"] for each in found["outputs"]} == set(first.record.outputs)
    assert adopted.requests == asked


def test_the_same_day_again_is_the_same_run_and_no_stage_is_executed(
    adopted: Adopted, first: RanDay, second: RanDay
) -> None:
    """A clear of the whole run, after another day has run."""
    asked = adopted.requests
    again = adopted.run(first.record.partition, dag_run="cleared")
    assert again.record == first.record
    assert set(again.reproduced.executed) == adopted.shape.named("executed_again")
    assert (first.recorded.new, second.recorded.new, again.recorded.new) == (True, True, False)
    assert (again.files, adopted.requests) == (first.files, asked)


def test_what_the_team_s_own_remotes_have_comes_from_our_store_on_the_second_day(
    adopted: Adopted, first: RanDay, second: RanDay
) -> None:
    tracked = adopted.shape.named("tracked")
    assert tracked <= set(first.files)
    assert {path: first.files[path] for path in tracked} == {path: second.files[path] for path in tracked}
    assert set(adopted.asked[first.asked : second.asked]) <= set(FEEDS)


def test_a_stage_that_is_no_target_never_runs(adopted: Adopted, first: RanDay, second: RanDay) -> None:
    del first, second
    assert "/deploy" not in adopted.source.asked


def test_a_secret_is_in_no_file_of_the_ledger(adopted: Adopted, s3: S3Client, first: RanDay) -> None:
    """The stages print theirs."""
    bucket, key = os.environ["RETRAIN_LEDGER_BUCKET"], f"ledger/{adopted.shape.name}/"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    bodies = b"".join(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed)
    assert first.record.run_key.encode() in bodies
    assert [text for text in adopted.shape.secrets if text.encode() in bodies] == []


def test_both_days_are_in_the_history_once(adopted: Adopted, first: RanDay, second: RanDay) -> None:
    listed = adopted.answer("history")
    assert [(line["run_key"], line["status"]) for line in listed] == [
        (ran.record.run_key, "live") for ran in (first, second)
    ]
    assert adopted.answer("history", "--stale") == []


def test_nothing_was_written_to_the_origin(adopted: Adopted, first: RanDay, second: RanDay) -> None:
    assert first.record.commit == second.record.commit == adopted.origin.git("rev-parse", "HEAD")
    assert adopted.origin.refs() == adopted.begun_with


def test_every_shape_says_which_files_it_lays_and_which_it_replaces() -> None:
    for name in NAMES:
        shape = Shape(name)
        in_git = contents(shape.folder / "repository", ["."])
        for day in shape.days.values():
            assert bool(day.laid) == bool(shape.inputs), name
            assert set(day.replaced) <= set(in_git), name
