import hashlib
import json
import re
from pathlib import Path

import pytest

from retrain import dvc
from retrain.errors import (
    DataRefusedError,
    DiskFullError,
    LockError,
    ReportError,
    RetrainError,
    StageCodeError,
    StageFailedError,
    StageKilledError,
    StageTimeoutError,
    StageUnavailableError,
)
from retrain.process import Finished

DVC_YAML = """
stages:
  prepare:
    cmd: python prepare.py
    outs: [data/clean]
    metrics: [reports/quality.json]
  train:
    foreach: [small, large]
    do:
      cmd: python train.py ${item}
      outs: ["models/${item}", "scratch/${item}": {cache: false}]
      plots: ["plots/${item}.csv": {x: step}]
metrics: [reports/metrics.json]
plots:
  - errors: {y: {plots/errors.csv: error}}
artifacts:
  taxi: {path: models/small, type: model}
  notes: {path: notes.md, type: text}
"""
LOCK = """
schema: '2.0'
stages:
  prepare:
    cmd: python prepare.py
    params:
      params.yaml: {prepare.min_rows: 20}
      run.yaml: {partition: '2020-03-05'}
    outs:
    - {path: data/clean, hash: md5, md5: 11111111111111111111111111111111.dir, size: 5, nfiles: 2}
    - {path: reports/quality.json, hash: md5, md5: '22222222222222222222222222222222', size: 3}
  train@small:
    cmd: python train.py small
    outs:
    - {path: models/small, hash: md5, md5: '33333333333333333333333333333333', size: 9}
    - {path: scratch/small, hash: md5, md5: '44444444444444444444444444444444', size: 9}
    - {path: plots/small.csv, hash: md5, md5: '55555555555555555555555555555555', size: 9}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "dvc.lock").write_text(LOCK)
    for name, text in {
        "reports/quality.json": '{"rows": 3, "ok": true, "reason": {"late": 1}}',
        "reports/metrics.json": '{"model": {"mae": 4.1}, "rows": 3}',
        "models/small": "m",
        "plots/small.csv": "step",
        "plots/errors.csv": "error",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def finished(output: str, *, code: int = 255, timed_out: bool = False) -> Finished:
    return Finished(("dvc", "repro"), code, output, 61.0, timed_out)


def failed(stage: str, code: int, before: str = "") -> Finished:
    return finished(
        f"Running stage '{stage}':\n> python x.py\n{before}\nERROR: failed to reproduce '{stage}': failed to run: python x.py, exited with {code}"
    )


@pytest.mark.parametrize(
    ("done", "kind", "said"),
    [
        pytest.param(
            failed("prepare", 65, "raw.parquet: column fare is text"),
            DataRefusedError,
            "prepare.*column fare is text",
            id="exit 65",
        ),
        pytest.param(failed("ingest", 75, "S3 is down"), StageUnavailableError, "ingest.*S3 is down", id="exit 75"),
        pytest.param(failed("ingest", 78, "no run.yaml"), StageCodeError, "ingest.*run.yaml", id="exit 78"),
        pytest.param(failed("train", -9), StageKilledError, "train.*signal 9.*memory", id="the kernel's kill"),
        pytest.param(failed("train", 137), StageKilledError, "signal 9", id="a kill behind a shell"),
        pytest.param(
            failed("train", 1, "OSError: [Errno 28] No space left on device"), DiskFullError, "train", id="a full disk"
        ),
        pytest.param(
            failed("train", 1, "ModuleNotFoundError: No module named 'x'"),
            StageCodeError,
            "No module named 'x'",
            id="a failing import",
        ),
        pytest.param(
            failed("train", 1, "ValueError: the world is odd"),
            StageFailedError,
            "train.*the world is odd",
            id="no evidence, no guess",
        ),
        pytest.param(
            finished("Running stage 'train':", code=-15, timed_out=True), StageTimeoutError, "train", id="too slow"
        ),
        pytest.param(finished("ERROR: 'dvc.yaml' is invalid"), StageFailedError, "255", id="a broken dvc.yaml"),
    ],
)
def test_a_failure_is_named_from_its_evidence(done: Finished, kind: type[RetrainError], said: str) -> None:
    failure = dvc.why_failed(done)
    assert type(failure) is kind
    assert re.search(said, str(failure))


def test_metrics_are_found_where_dvc_declares_them(checkout: Path) -> None:
    lock, declared = dvc.Lock.read(checkout), dvc.Declared.read(checkout)
    assert dvc.metrics(declared, lock, checkout) == {
        "model.mae": 4.1,
        "rows": 3.0,
        f"{checkout}/reports/quality.rows".removeprefix(f"{checkout}/"): 3.0,
        "reason.late": 1.0,
    }


def test_plots_and_models_are_found_where_dvc_declares_them_templates_included(checkout: Path) -> None:
    lock, declared = dvc.Lock.read(checkout), dvc.Declared.read(checkout)
    assert set(dvc.matching(declared.plots, lock, checkout)) == {Path("plots/small.csv"), Path("plots/errors.csv")}
    assert dvc.matching(declared.models, lock, checkout) == [Path("models/small")]


def test_parameters_are_read_as_the_stages_used_them(checkout: Path) -> None:
    assert dvc.Lock.read(checkout).params == {"prepare.min_rows": 20, "run.yaml:partition": "2020-03-05"}


def test_a_section_that_a_stage_names_whole_is_its_single_parameters(checkout: Path) -> None:
    lock = (checkout / "dvc.lock").read_text()
    (checkout / "dvc.lock").write_text(
        lock.replace("{prepare.min_rows: 20}", "{prepare: {min_rows: 20, by: {day: 1}}}")
    )
    assert dvc.Lock.read(checkout).params == {
        "prepare.min_rows": 20,
        "prepare.by.day": 1,
        "run.yaml:partition": "2020-03-05",
    }


def test_a_stage_with_a_working_folder_of_its_own_has_its_paths_below_it(tmp_path: Path) -> None:
    """In dvc.lock they are relative to the folder, which is named in dvc.yaml alone."""
    (tmp_path / "dvc.yaml").write_text(
        "stages: {sum: {wdir: analysis, cmd: x, outs: [sums], metrics: [m.json: {cache: false}]}}"
    )
    (tmp_path / "dvc.lock").write_text(
        "stages: {sum: {params: {../params.yaml: {base: 2}},"
        f" outs: [{{path: sums, hash: md5, md5: '{'1' * 32}'}}, {{path: m.json, hash: md5, md5: '{'2' * 32}'}}]}}}}"
    )
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "m.json").write_text('{"days": 7}')
    lock, declared = dvc.Lock.read(tmp_path), dvc.Declared.read(tmp_path)
    assert dvc.metrics(declared, lock, tmp_path) == {"days": 7.0}
    assert lock.params == {"base": 2}
    assert [o.path for o in dvc.reachable(lock, declared, tmp_path / "cache")] == ["analysis/sums"]


def test_a_declared_file_that_is_gone_is_an_error_and_not_a_missing_metric(checkout: Path) -> None:
    (checkout / "reports" / "quality.json").unlink()
    with pytest.raises(ReportError, match=r"reports/quality\.json"):
        dvc.metrics(dvc.Declared.read(checkout), dvc.Lock.read(checkout), checkout)


def test_every_object_of_a_directory_is_reachable_and_uncached_outputs_are_not(checkout: Path, tmp_path: Path) -> None:
    listing = [{"md5": "6" * 32, "relpath": "a"}, {"md5": "7" * 32, "relpath": "b/c"}]
    md5 = hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest()
    lock = checkout / "dvc.lock"
    lock.write_text(lock.read_text().replace("1" * 32, md5))
    path = tmp_path / "cache" / "files" / "md5" / md5[:2] / f"{md5[2:]}.dir"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(listing))
    objects = dvc.reachable(dvc.Lock.read(checkout), dvc.Declared.read(checkout), tmp_path / "cache")
    assert {o.path for o in objects} == {
        "data/clean",
        "data/clean/a",
        "data/clean/b/c",
        "reports/quality.json",
        "models/small",
        "plots/small.csv",
    }


def test_a_directory_whose_listing_is_lost_fails_by_name(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(LockError, match="data/clean"):
        dvc.reachable(dvc.Lock.read(checkout), dvc.Declared.read(checkout), tmp_path / "cache")


@pytest.mark.parametrize("text", [None, "stages: [", "- 1"])
def test_a_lock_that_cannot_be_read_is_an_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(LockError):
        dvc.Lock.read(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param(
            f"hash: md5, md5: {'1' * 32}.dir", "hash: md5, files: []", "no MD5", id="a folder on a versioned remote"
        ),
        pytest.param("hash: md5, md5: '2", "hash: md5, etag: '2", "no MD5", id="a place in a bucket"),
        pytest.param("md5: '2222", "md5: '../2", r"MD5 '\.\./2", id="what is no MD5"),
        pytest.param("hash: md5, md5: '2", "md5: '2", "as DVC 2 makes them", id="of DVC 2"),
    ],
)
def test_an_output_that_cannot_be_proven_is_refused_with_its_name_and_the_next_step(
    checkout: Path, before: str, after: str, said: str
) -> None:
    lock = (checkout / "dvc.lock").read_text()
    assert before in lock
    (checkout / "dvc.lock").write_text(lock.replace(before, after))
    with pytest.raises(
        LockError, match=rf"dvc\.lock: (data/clean|reports/quality\.json) \(stage prepare\) .*{said}.* release"
    ) as caught:
        dvc.Lock.read(checkout)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["stages: {a: {outs: [{md5: x}]}}", "stages: {a: 1}", "stages: {a: {outs: {b: 1}}}"])
def test_a_lock_of_another_shape_is_an_error_of_ours(checkout: Path, text: str) -> None:
    (checkout / "dvc.lock").write_text(text)
    with pytest.raises(LockError, match=r"dvc\.lock cannot be read .*Clear reproduce"):
        dvc.Lock.read(checkout)
