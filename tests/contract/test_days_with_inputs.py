"""A day whose data was laid in the checkout: run, recorded, restored, replayed, and what is left when its raw objects are gone."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from foreign_pipeline import DAY, PIPELINE, Pipeline
from laid_pipeline import SAMPLED, LaidPipeline

from retrain.airflow.adapters import services
from retrain.archive import replay, restore
from retrain.commands import restore as restore_command
from retrain.inputs.errors import RawObjectGoneError
from retrain.inputs.raw_cache import RawObjects
from retrain.results import Reproduced, Resolved
from retrain.run.manifest import Manifest
from retrain.run.run_record import RunRecord
from retrain.services import Services
from retrain.store.ledger import DESCRIPTION, ENVIRONMENT
from retrain.tasks.push import push
from retrain.work import workspace
from retrain.work.dvc.description import Description
from retrain.work.dvc.program import Dvc
from retrain.work.environments import environment

WINDOW = ("dt=2020-03-04/orders.csv", f"dt={DAY}/orders.csv")
SETTINGS = """
inputs: [{path: data/raw}, {path: data/table.csv, days: partition, names: file}]
params: {params.yaml: {data.date: "{partition}", data.year: "{year}"}}
"""
RELEASE = {
    "dvc.yaml": SAMPLED["dvc.yaml"].replace("python train.py", "python train.py ${data.date}").replace(
        "data/raw]", "data/raw, data/table.csv]"
    ),
    "data/table.csv.dvc": "outs: [{md5: 1a79a4d60de6718e8e5b326e338ae533, size: 1, hash: md5, path: table.csv}]\n",
    "data/.gitignore": "/table.csv\n",
}  # fmt: skip


@dataclass(frozen=True)
class RecordedDay:
    """A recorded run with all that it takes to have it again."""

    laid: LaidPipeline
    services: Services
    record: RunRecord
    files: dict[str, str]
    manifest: Manifest
    attempts: tuple[Reproduced, Reproduced]

    def restore(self, to: Path, raw: RawObjects | None) -> restore.Restored:
        return restore.restore(
            self.record,
            self.services.ledger,
            self.services.remote,
            self.services.deployment.repository,
            self.services.credentials,
            to,
            mirrors=to.parent / "mirrors",
            environments=None,
            tools=self.laid.pipeline.environments,
            raw=raw,
        )

    def of(self, manifest: Manifest) -> RecordedDay:
        """The same outputs, recorded as those of other raw objects."""
        spec, ledger = self.laid.spec(manifest), self.services.ledger
        record = replace(self.record, **spec.to_dict())
        ledger.put_manifest(spec, manifest)
        assert ledger.commit(record, self.files, ledger.committed_receipt(self.record))
        return replace(self, record=record, manifest=manifest)

    def raw(self, cache: Path) -> RawObjects:
        return RawObjects(self.services.s3, cache)

    def checkout(self, attempt: int = 0) -> Path:
        return Path(self.attempts[attempt].workspace) / "checkout"


@pytest.fixture(scope="module")
def day(s3, deployment_dvc, tmp_path_factory):
    """A day that ran twice and was recorded. Read it only."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("day")
        s3.create_bucket(Bucket="laid-day")
        s3.put_bucket_versioning(Bucket="laid-day", VersioningConfiguration={"Status": "Enabled"})
        laid = LaidPipeline(Pipeline.start(folder, "laid-day", deployment_dvc, patch), s3, "laid-day", folder)
        laid.release(RELEASE)
        objects = [laid.land(key) for key in WINDOW]
        spec, first = laid.run(SETTINGS, *objects)
        _, second = laid.run(SETTINGS, *objects)
        own = services(laid.deployment(SETTINGS))
        pushed = push(own, Resolved.of(spec, "manual", "daily"), first)
        place = Path(first.workspace)
        described = Description.from_json((place / "description.json").read_bytes(), "it")
        record = RunRecord(
            **spec.to_dict(),
            recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
            dag_run="manual",
            mode="daily",
            environment=first.environment,
            threads=1,
            raw_versioned=True,
            outputs={output.path: output.md5 for output in described.outputs},
            metrics={},
            objects=pushed.objects,
            size=pushed.bytes,
        )
        files = {
            "dvc.lock": (place / "checkout" / "dvc.lock").read_text(),
            "run.yaml": spec.run_yaml(),
            ENVIRONMENT: (place / ENVIRONMENT).read_text(),
            DESCRIPTION: described.to_json(),
        }
        assert own.ledger.commit(record, files, own.ledger.receipt(spec, pushed.receipt))
        # Today's file has other settings: the recorded ones count.
        yield RecordedDay(
            laid, services(laid.deployment("")), record, files, own.ledger.manifest(spec), (first, second)
        )


def test_a_run_reads_the_window_where_the_release_has_a_sample_and_the_params_of_its_day(day):
    read, params = json.loads((day.checkout() / "model.json").read_text())
    assert read == {key: f"content of {key}\n" for key in WINDOW}
    assert params == f"data:  # the day\n  date: '{DAY}'\n  year: 2020\n"
    size = sum(item.size for item in day.manifest.objects)
    assert day.attempts[0].prepared == (
        f"2 files, {size} bytes laid at data/raw, in place of data/raw/deep/more.csv and 1 more",
        f"1 file, {day.manifest.objects[1].size} bytes laid at data/table.csv, in place of data/table.csv.dvc",
        f"params.yaml: data.date is {DAY}, in the release 2020-01-01",
        "params.yaml: data.year is 2020, as in the release",
    )


def test_one_run_key_gives_the_same_bytes_without_running_a_stage_again(day):
    assert [attempt.executed for attempt in day.attempts] == [["train"], []]
    assert (day.checkout(0) / "model.json").read_bytes() == (day.checkout(1) / "model.json").read_bytes()


def files_of(checkout: Path) -> dict[str, bytes]:
    """All files but those of Git, of DVC and of Python."""
    found = (path for path in checkout.rglob("*") if path.is_file())
    names = {str(path.relative_to(checkout)): path.read_bytes() for path in found}
    return {name: content for name, content in names.items() if not name.startswith((".git/", ".dvc/"))}


def test_a_restored_day_is_the_folder_as_it_ran_and_dvc_finds_nothing_changed(day, tmp_path):
    restored = day.restore(tmp_path / "day", day.raw(tmp_path / "raw"))
    assert restored.inputs == 3
    assert files_of(restored.path) == files_of(day.checkout())
    own = day.laid.pipeline.deployment_dvc
    program = Dvc.of(restored.path, own, own, restored.path / ".dvc" / "cache", {})
    done = program._run("status", timeout=120)
    assert done.lines == ["Data and pipelines are up to date."]


@pytest.mark.parametrize(
    ("given", "said", "sample"),
    [
        ([], "The day's raw data is laid where the stages read it: 3 files.", False),
        (["--no-inputs"], "Without the day's raw data, as asked: `dvc status` reports its paths as changed.", True),
    ],
)
def test_the_command_says_whether_the_raw_data_is_there(day, tmp_path, monkeypatch, given, said, sample):
    monkeypatch.setenv("RETRAIN_PIPELINES", str(day.laid.folder))
    arguments = [DAY, str(tmp_path / "day"), "--run-key", day.record.run_key, "--no-environment", *given]
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline")
    restore_command.add(parser.add_subparsers())
    options = parser.parse_args(["--pipeline", PIPELINE, "restore", *arguments])
    assert said in restore_command.answer(options).lines
    assert (tmp_path / "day/data/raw/sample.csv").exists() is sample


@pytest.mark.slow
def test_a_replay_lays_the_recorded_inputs_gives_the_recorded_bytes_and_installs_the_release_s_packages_alone(
    day, tmp_path, monkeypatch
):
    installed, install = [], environment._install
    monkeypatch.setattr(environment, "_install", lambda text, path: installed.append(path) or install(text, path))
    found = replay.replay(
        day.record,
        day.services.ledger,
        day.services.deployment,
        day.services.credentials,
        tools=workspace.home() / "environments",
        scratch=tmp_path,
    )
    assert [(each.path, each.same) for each in found.outputs] == [("model.json", True)]
    assert [path.is_relative_to(tmp_path) for path in installed] == [True]


def test_a_day_whose_raw_objects_are_gone_is_not_begun_and_comes_back_without_them(day, tmp_path):
    landed = tuple(day.laid.land(key, "landed again\n") for key in WINDOW)
    later = day.of(replace(day.manifest, objects=landed))
    for item in landed:
        day.laid.client.delete_object(Bucket=day.laid.bucket, Key=f"raw/{item.key}", VersionId=item.version_id)
    said = rf"The raw data of {DAY} is gone: .*orders\.csv is not there in version .*Nothing was written\. NO_INPUTS=1"
    with pytest.raises(RawObjectGoneError, match=said):
        later.restore(tmp_path / "day", day.raw(tmp_path / "raw"))
    assert not (tmp_path / "day").exists()
    restored = later.restore(tmp_path / "day", None)
    assert restored.inputs == 0
    assert (restored.path / "model.json").read_bytes() == (day.checkout() / "model.json").read_bytes()
    assert (restored.path / "data/raw/sample.csv").read_text() == SAMPLED["data/raw/sample.csv"]
    assert DAY in (restored.path / "params.yaml").read_text()
