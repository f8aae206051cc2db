"""Which keys of a pipeline's file make another run, and that a file without them makes the run that it always made."""

from __future__ import annotations

from typing import Any

from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.run_settings import RunSettings
from retrain.run.manifest import Manifest, RawObject
from retrain.run.run_spec import RunSpec

OBJECTS = (RawObject("dt=2020-03-05/a.csv", "e" * 32, 10, "1"),)
# As the deployment at 899b122 wrote it.
OF_OLD = """{
 "objects": [
  {
   "etag": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
   "key": "dt=2020-03-05/a.csv",
   "size": 10,
   "version_id": "1"
  }
 ],
 "partition": "2020-03-05",
 "pipeline": "p",
 "root": "s3://raw-bucket/raw/yellow",
 "schema_version": 1
}
"""
INPUT: dict[str, Any] = {"path": "data/raw"}


def changed(deployment: Deployment, **keys: Any) -> Deployment:
    whole = deployment.model_dump()
    return Deployment.model_validate(
        {**whole, **keys, "repository": {**whole["repository"], **keys.get("repository", {})}}
    )


def manifest(deployment: Deployment, refetch: int = 0, lock: str | None = None) -> Manifest:
    return Manifest("p", "2020-03-05", "s3://raw-bucket/raw/yellow", OBJECTS, deployment.run_settings(refetch, lock))


def run_key(deployment: Deployment, refetch: int = 0) -> str:
    return RunSpec("p", "2020-03-05", "v1.0.0", "a" * 40, manifest(deployment, refetch).digest).run_key


def test_without_settings_the_manifest_has_the_bytes_that_it_always_had(deployment: Deployment) -> None:
    assert manifest(deployment).to_json() == OF_OLD


CHANGES: tuple[dict[str, Any], ...] = (
    {"inputs": [INPUT]},
    {"inputs": [{**INPUT, "path": "data/other"}]},
    {"inputs": [{**INPUT, "names": "flat"}]},
    {"inputs": [{**INPUT, "days": "partition"}]},
    {"inputs": [{**INPUT, "objects": "*.csv"}]},
    {"inputs": [INPUT, {"path": "more"}]},
    {"params": {"params.yaml": {"a": "{partition}"}}},
    {"params": {"params.yaml": {"a": 1}}},
    {"params": {"params.yaml": {"a": True}}},
    {"params": {"params.yaml": {"a": 1.0}}},
    {"params": {"params.yaml": {"a": "1"}}},
    {"params": {"other.yaml": {"a": 1}}},
    {"fetch": ["download"]},
    {"repository": {"folder": "ml"}},
    {"targets": "all"},
    {"targets": ["train"]},
    {"targets": ["train", "evaluate"]},
    {"packages": {"python": "3.12"}},
    {"packages": {"as_of": "today"}},
    {"packages": {"as_of": "2024-01-01"}},
    {"packages": {"extras": ["plot"]}},
    {"packages": {"groups": ["plot"]}},
    {"env": {"SEED": "1"}},
    {"env": {"SEED": "2"}},
)


def test_every_key_that_can_change_the_bytes_of_a_run_makes_another_run(deployment: Deployment) -> None:
    keys = [run_key(deployment), *(run_key(changed(deployment, **each)) for each in CHANGES)]
    assert [key for key in keys if keys.count(key) > 1] == []


def test_the_layout_of_the_raw_partitions_and_a_deliberate_refetch_make_another_run(deployment: Deployment) -> None:
    other = changed(deployment, raw={**deployment.model_dump()["raw"], "partition": "ds={partition}"})
    keys = {run_key(deployment), run_key(other), run_key(deployment, 1), run_key(deployment, 2)}
    assert len(keys) == 4


def test_another_supplied_lock_makes_another_run(deployment: Deployment) -> None:
    digests = {manifest(deployment, lock=lock).digest for lock in (None, "a" * 64, "b" * 64)}
    assert len(digests) == len([None, "a", "b"])


def test_keys_that_change_no_byte_make_no_other_run(deployment: Deployment) -> None:
    raw = deployment.model_dump()["raw"]
    cases: tuple[dict[str, Any], ...] = (
        {"static": ["zones"]},
        {"raw": {**raw, "marker": "_DONE"}},
        {"tags": ["x"]},
        {"owner": "them"},
        {"queue": "theirs"},
        {"secrets": {"TOKEN": {"connection": "their_api"}}},
        {"remotes": {"theirs": {"connection": "their_aws"}}},
        {"repository": {"connection": "team_git", "tags": "{version}", "prereleases": True}},
    )
    for keys in cases:
        assert run_key(changed(deployment, **keys)) == run_key(deployment), keys


def test_settings_survive_the_manifest(deployment: Deployment) -> None:
    keys = {
        "inputs": [{**INPUT, "names": "{partition}-{name}"}],
        "params": {"p.yaml": {"a": 1, "b": "x", "c": True, "d": 0.5}},
        "repository": {"folder": "ml"},
        "targets": ["train"],
        "packages": {"python": "3.12", "as_of": "2024-01-01", "extras": ["plot"], "groups": ["train"]},
        "env": {"SEED": "1"},
    }
    written = manifest(changed(deployment, **keys), lock="a" * 64)
    read = Manifest.from_json(written.to_json().encode(), "it")
    assert (read, read.to_json()) == (written, written.to_json())
    assert isinstance(read.settings, RunSettings)
