"""The raw objects that `resolve_run` fixes for a run, in the layouts in which producers write, on a real S3 server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from foreign_pipeline import Origin, isolated_git

from retrain.airflow.adapters import services
from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import NotLandedError
from retrain.run.manifest import Manifest
from retrain.run.run_spec import RunSpec
from retrain.store import bucket_settings
from retrain.tasks.resolve_run import resolve_run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY, TAG = "2020-03-09", "v1.0.0"


@pytest.fixture
def deployed(
    tmp_path: Path, s3: S3Client, bucket: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Deploys a pipeline whose raw bucket has some objects, each written after the one before."""
    isolated_git(tmp_path / "engineer", monkeypatch)
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    origin = Origin.create(tmp_path)
    origin.release(TAG, {"dvc.yaml": "stages: {}\n"})

    def deploy(raw: dict[str, object] | None, *keys: str, **more: object) -> Deployment:
        name = bucket(versioned=True)
        for key in keys:
            s3.put_object(
                Bucket=name, Key=f"raw/{key}", Body=b"" if "_SUCCESS" in key or key.endswith("/") else b"rows"
            )
        document = {
            "schema_version": 1,
            "description": "Reads what has landed.",
            "owner": "them",
            "schedule": {"cron": "0 6 * * *", "start_date": "2020-01-01"},
            "repository": {"url": str(origin.path)},
            "raw": None if raw is None else {"url": f"s3://{name}/raw", "window_days": 2, **raw},
            "store": f"s3://{name}/store",
            "ledger": f"s3://{name}/ledger",
            "tracking": {"experiment": "theirs"},
            "slack": {"channel": "#alerts"},
            **more,
        }
        file = tmp_path / "theirs.yaml"
        file.write_text(yaml.safe_dump(document))
        return load(file)

    return deploy


def resolved(deployment: Deployment) -> tuple[RunSpec, Manifest]:
    spec = resolve_run(services(deployment), DAY, TAG, "a run", "daily").spec
    return spec, services(deployment).ledger.manifest(spec)


@pytest.mark.parametrize(
    ("raw", "keys", "expected"),
    [
        pytest.param(
            {},
            [
                "dt=2020-03-07/a",
                "dt=2020-03-07/_SUCCESS",
                "dt=2020-03-08/a",
                "dt=2020-03-09/",
                "dt=2020-03-09/part-0-8a1f.parquet",
                "dt=2020-03-09/part-1-8a1f.parquet",
                "dt=2020-03-09/_committed_1",
                "dt=2020-03-09/_SUCCESS",
            ],
            ["dt=2020-03-09/part-0-8a1f.parquet", "dt=2020-03-09/part-1-8a1f.parquet"],
            id="Spark",
        ),
        pytest.param(
            {"partition": "year={year}/month={month}/day={day}", "marker": "/_SUCCESS"},
            ["year=2020/month=03/day=08/a", "year=2020/month=03/day=09/a", "_SUCCESS", "year=2020/month=03/day=10/a"],
            ["year=2020/month=03/day=08/a", "year=2020/month=03/day=09/a"],
            id="one marker of all days",
        ),
        pytest.param(
            {"partition": "orders/*/{partition}-*.csv", "marker": "/done/{partition}.ok"},
            [
                "orders/eu/2020-03-09-1.csv",
                "orders/us/2020-03-09-1.csv",
                "orders/us/2020-03-08-1.csv",
                "done/2020-03-09.ok",
            ],
            ["orders/eu/2020-03-09-1.csv", "orders/us/2020-03-09-1.csv"],
            id="files with the date in their names, and markers elsewhere",
        ),
        pytest.param(
            {"partition": "{year}/{month}/{day}", "marker": "{partition}.done"},
            ["2020/03/08/23/a", "2020/03/09/00/a", "2020/03/09/23/b", "2020/03/09/2020-03-09.done"],
            ["2020/03/09/00/a", "2020/03/09/23/b"],
            id="Firehose",
        ),
    ],
)
def test_a_run_reads_the_data_of_the_landed_days_of_its_window(
    deployed: Callable[..., Deployment], raw: dict[str, object], keys: list[str], expected: list[str]
) -> None:
    _, manifest = resolved(deployed(raw, *keys))
    assert [each.key for each in manifest.objects] == expected
    assert manifest.versioned
    assert manifest.settings.partition == raw.get("partition", "dt={partition}")


def test_data_that_is_still_coming_is_not_taken_and_by_s3_s_clock_it_is_once_the_time_is_over(
    deployed: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = deployed({"marker": None, "quiet_minutes": 30}, f"dt={DAY}/a", f"dt={DAY}/_temporary/b")
    with pytest.raises(NotLandedError, match=r"none for 30 minutes\. Clear wait_for_partition"):
        resolved(deployment)
    asked = bucket_settings.first_key

    def later(client: S3Client, url: str) -> Any:
        key, at = asked(client, url)
        return key, at + timedelta(minutes=31)

    monkeypatch.setattr(bucket_settings, "first_key", later)
    assert [each.key for each in resolved(deployment)[1].objects] == [f"dt={DAY}/a"]


def test_a_pipeline_without_raw_data_has_a_run_whose_manifest_has_no_objects(
    deployed: Callable[..., Deployment],
) -> None:
    spec, manifest = resolved(deployed(None, fetch=["download"]))
    assert (manifest.root, manifest.objects, manifest.settings.fetch) == ("", (), ("download",))
    assert spec.partition == DAY
    assert resolved(deployed(None, fetch=["download"]))[0].run_key == spec.run_key
    assert resolved(deployed(None, fetch=["load"]))[0].run_key != spec.run_key
