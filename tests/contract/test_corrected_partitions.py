"""A day that is landed again, through the functions that the tasks call and the commands that people type, on real S3 and MLflow servers."""

from __future__ import annotations

import pytest
from adding_team import DAY, NEXT, Team
from foreign_pipeline import PIPELINE
from stack_model import REGION

from retrain.airflow.adapters import services
from retrain.commands.command_line import main
from retrain.errors import DataRefusedError, OverwrittenError
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run
from retrain.work.dvc.reproduction import Reproduction

pytestmark = pytest.mark.slow


@pytest.fixture
def team(request, either_server, connection, environments, tmp_path, monkeypatch):
    request.getfixturevalue("mlflow_server")
    request.getfixturevalue("deployment_dvc")
    account = {"login": either_server.access_key, "password": either_server.secret_key}
    extra = {"endpoint_url": either_server.url, "region_name": REGION}
    connection("aws_default", conn_type="aws", **account, extra=extra)
    return Team.start(tmp_path, request.node.name, either_server.client(), environments, monkeypatch)


def keep_versions(team):
    team.client.put_bucket_versioning(Bucket=team.bucket, VersioningConfiguration={"Status": "Enabled"})


def test_a_corrected_day_supersedes_its_entry_makes_later_days_stale_and_both_can_be_had(team, tmp_path):
    keep_versions(team)
    team.land(DAY, 1)
    team.land(NEXT, 10)
    first, later = team.run(DAY), team.run(NEXT)
    assert team.answer("history", "--stale") == []
    team.land(DAY, 2)
    stale = team.answer("history", "--stale")
    assert [(line["partition"], line["stale"]) for line in stale] == [(DAY, [DAY]), (NEXT, [DAY])]

    corrected = team.run(DAY)
    assert first.raw_versioned
    assert corrected.run_key != first.run_key
    lines = {line["run_key"]: (line["status"], line["superseded_by"]) for line in team.answer("history")}
    assert lines == {
        first.run_key: ("superseded", corrected.run_key),
        corrected.run_key: ("live", None),
        later.run_key: ("live", None),
    }
    assert [(line["run_key"], line["stale"]) for line in team.answer("history", "--stale")] == [(later.run_key, [DAY])]

    assert team.restored(tmp_path / "newest") == ("2", "2")
    assert team.restored(tmp_path / "superseded", "--run-key", first.run_key[:12]) == ("1", "1")
    assert team.answer("replay", DAY, "--run-key", first.run_key[:12])["same"] is True


def test_a_bucket_without_versions_works_and_what_is_overwritten_there_is_told_by_name(team, tmp_path, capsys):
    team.land(DAY, 1)
    record = team.run(DAY)
    assert record.raw_versioned is False
    assert team.restored(tmp_path / "before") == ("1", "1")

    team.land(DAY, 2)
    overwritten = f"s3://{team.bucket}/raw/dt={DAY}/part-0.parquet"
    assert main(["--pipeline", PIPELINE, "replay", DAY]) == 1
    said = capsys.readouterr().err
    for part in ("OverwrittenError", overwritten, "keeps no versions", "make restore"):
        assert part in said
    # What was recorded is on the remote, raw objects included: it needs none of the bucket's.
    assert team.restored(tmp_path / "after") == ("1", "1")


def test_what_is_overwritten_before_it_is_read_refuses_the_run_with_its_name(team):
    team.land(DAY, 1)
    with pytest.raises(DataRefusedError, match=rf"s3://{team.bucket}/raw/dt={DAY}/part-0\.parquet .*overwritten"):
        team.run(DAY, after_resolve=lambda: team.land(DAY, 2))
    assert team.answer("history") == []


def test_what_is_overwritten_refuses_the_run_although_its_stage_does_not_look_and_again_out_of_the_cache(
    team, monkeypatch
):
    """Another team's stage may read whatever is there, and the first attempt has cached what it made of the new bytes."""
    team.land(DAY, 1)
    reach = services(team.deployment)
    run = resolve_run(reach, DAY, "v1.0.0", f"run of {DAY}", "daily")
    reproduced = Reproduction.run

    def while_it_runs(reproduction, targets=()):
        reproduced(reproduction, targets)
        team.land(DAY, 2)

    monkeypatch.setattr(Reproduction, "run", while_it_runs)
    for _ in range(2):
        with pytest.raises(OverwrittenError, match=rf"s3://{team.bucket}/raw/dt={DAY}/part-0\.parquet \(1 objects"):
            reproduce(services(team.deployment), run)
