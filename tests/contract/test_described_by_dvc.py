"""What the deployment's own DVC says of checkouts of many shapes, and what we make of it. DVC is the real one, in its own environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from described_checkout import Checkout
from live_servers import ROOT

from retrain.deployment.run_settings import RunSettings
from retrain.errors import DescriptionError, DvcLockError, ReportError
from retrain.inputs.checkout_files import files_in
from retrain.inputs.day_dependence import DayDependence, require
from retrain.store.cached_objects import objects_of
from retrain.work.dvc.description import Description

PARAMS = """
paths: {model: model.pkl, metrics: m.json, plot: curve.csv, items: [a, b]}
train: {rate: 1e-05, by: {day: 1}}
"""
TEMPLATED = """
stages:
  train:
    cmd: ["echo m > ${paths.model}", "echo '{\\"loss\\": 1e-05, \\"by\\": {\\"day\\": 2}, \\"ok\\": true}' > ${paths.metrics}", "echo x > ${paths.plot}", "echo s > side.json"]
    deps: [source.txt, prep/clean.csv]
    params: [train]
    outs: ["${paths.model}", side.json]
    metrics: ["${paths.metrics}": {cache: false}]
    plots: ["${paths.plot}": {cache: false, x: step}]
  each:
    foreach: ${paths.items}
    do:
      cmd: echo ${item} > ${item}.json
      deps: [source.txt]
      outs: ["${item}.json": {cache: false}]
  grid:
    matrix: {size: [1, 2]}
    cmd: echo ${item.size} > grid${item.size}
    deps: [source.txt]
    outs: ["grid${item.size}": {push: false}]
  below:
    wdir: sub
    cmd: mkdir -p sums && echo 7 > sums/one && echo '{"days":7,"loss":3}' > m.json && echo x > x.sh && chmod +x x.sh
    deps: [../model.pkl]
    params: [../params.yaml: [paths.model], own.yaml: ]
    outs: [sums, x.sh]
    metrics: [m.json: {cache: false}]
artifacts:
  notes: {path: source.txt, type: text}
  taxi: {path: "${paths.model}", type: model, desc: a model}
metrics: [top.toml]
plots:
  - "${paths.plot}": {x: step}
  - compared: {y: {source.txt: a, sub/own.yaml: b}}
vars: [params.yaml]
"""
FILES = {
    "params.yaml": PARAMS,
    "dvc.yaml": TEMPLATED,
    "source.txt": "1\n",
    "sub/own.yaml": "base: 2\n",
    "top.toml": "accuracy = 0.5\nname = 'x'\n",
    "prep/dvc.yaml": "stages: {clean: {cmd: cp ../source.txt clean.csv, deps: [../source.txt], outs: [clean.csv]}}\n"
    "artifacts: {table: {path: clean.csv, type: dataset}}\nmetrics: [rows.json]\n",
    "prep/rows.json": '{"rows": 3}',
}
ONE_STAGE = "stages: {train: {cmd: echo 1 > model.pkl, deps: [source.txt], outs: [model.pkl]}}\n"


@pytest.fixture
def checkout(deployment_dvc, tmp_path):
    return lambda files: Checkout(tmp_path, deployment_dvc, {"source.txt": "1\n", **files})


@pytest.fixture(scope="module")
def templated(deployment_dvc, tmp_path_factory):
    """The checkout of many templates after its run, with its description. Read it only."""
    made = Checkout(tmp_path_factory.mktemp("templated"), deployment_dvc, FILES)
    return made, made.repro()


def test_a_metric_of_a_templated_path_takes_no_other_output_off_the_remote(templated):
    """`cache: false` on a path that is all template, or partly one, is about that path alone."""
    made, described = templated
    kept = {"model.pkl", "side.json", "prep/clean.csv", "sub/sums", "sub/x.sh"}
    assert {output.path for output in described.stored} == kept
    assert {item.path for item in objects_of(described.outputs, made.dvc.cache)} == {*kept, "sub/sums/one"}


def test_outputs_that_are_kept_nowhere_are_known_with_their_content(templated):
    left = {output.path: output.md5 for output in templated[1].outputs if not output.stored}
    assert set(left) == {"m.json", "curve.csv", "a.json", "b.json", "grid1", "grid2", "sub/m.json"}
    assert all(left.values())


def test_a_templated_artifact_is_the_model_and_not_the_first_output(templated):
    assert templated[1].models == ("model.pkl",)
    assert [a.name for a in templated[1].artifacts] == ["notes", "taxi", "prep/dvc.yaml:table"]


def test_stages_have_the_names_and_places_that_dvc_gives_them(templated):
    stages = {stage.name: stage for stage in templated[1].stages}
    assert set(stages) == {"train", "each@a", "each@b", "grid@1", "grid@2", "below", "prep/dvc.yaml:clean"}
    below = stages["below"]
    assert (below.file, below.wdir, below.deps) == ("dvc.yaml", "sub", ("model.pkl",))
    assert [out.path for out in below.outs] == ["sub/sums", "sub/x.sh", "sub/m.json"]
    assert [out.executable for out in below.outs] == [False, True, False]
    assert stages["each@b"].cmd == ("echo b > b.json",)


def test_parameters_are_single_values_and_a_number_stays_one(templated):
    assert templated[1].params == {
        "train.rate": 1e-05,
        "train.by.day": 1,
        "paths.model": "model.pkl",
        "sub/own.yaml:base": 2,
    }


def test_the_params_in_a_stage_s_definition_are_told_by_file_and_key(templated):
    """DVC does not count them among the params of the stage."""
    used = {stage.name: stage.templates for stage in templated[1].stages}
    assert used["train"] == {"params.yaml": ("paths.metrics", "paths.model", "paths.plot")}
    assert used["below"] == used["prep/dvc.yaml:clean"] == {}


def test_metrics_are_read_as_dvc_reads_them(templated):
    """JSON, where 1e-05 is a number, and TOML; of stages and of top levels; each name once without and then with its path."""
    assert templated[1].metric_values() == {
        "accuracy": 0.5,
        "rows": 3.0,
        "loss": 1e-05,
        "by.day": 2.0,
        "days": 7.0,
        "sub/m.loss": 3.0,
    }


def test_plots_are_those_of_stages_and_of_the_top_level_once(templated):
    made, described = templated
    assert described.plots == ("curve.csv", "source.txt", "sub/own.yaml")
    assert described.existing(described.plots, made.path) == [Path(path) for path in described.plots]
    assert described.missing == ()


def test_a_description_is_read_back_from_what_was_written(templated):
    described = templated[1]
    assert Description.from_json(described.to_json(), "it") == described
    assert Description.from_json(described.to_json(), "it").to_json() == described.to_json()


def test_the_same_commit_elsewhere_has_the_same_description_and_no_path_of_the_machine(templated, checkout, tmp_path):
    other = checkout(FILES)
    described = other.repro()
    assert described == templated[1]
    assert str(tmp_path) not in described.to_json()


def test_a_checkout_is_described_before_it_has_run_and_without_a_folder_of_dvc_s(checkout):
    made = checkout(FILES)
    described = made.dvc.describe()
    assert described.outputs == ()
    assert {"model.pkl", "m.json", "sub/sums", "prep/clean.csv"} < set(described.missing)
    assert "source.txt" not in described.missing
    assert not (made.path / ".dvc").exists()


def test_a_description_leaves_nothing_outside_the_checkout(checkout, monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    checkout({"dvc.yaml": ONE_STAGE, ".dvc/config": ""}).dvc.describe()
    assert not (tmp_path / "site").exists()
    assert not list((tmp_path / "temporary").iterdir())


def test_a_declared_file_that_no_stage_wrote_is_an_error_by_name(checkout):
    made = checkout({"dvc.yaml": ONE_STAGE + "metrics: [lost.json]\nartifacts: {m: {path: gone, type: model}}\n"})
    described = made.repro()
    with pytest.raises(ReportError, match=r"declares lost\.json, which does not exist after dvc repro"):
        described.metric_values()
    with pytest.raises(ReportError, match="declares gone, which"):
        described.existing(described.models, made.path)


def test_a_metrics_file_that_is_gone_is_not_read_from_the_cache(checkout):
    made = checkout({"dvc.yaml": ONE_STAGE.replace("outs: [model.pkl]", "metrics: [model.pkl]")})
    assert made.repro().metric_values() == {"model": 1.0}
    (made.path / "model.pkl").unlink()
    with pytest.raises(ReportError, match=r"model\.pkl, which does not exist"):
        made.dvc.describe().metric_values()


@pytest.mark.parametrize(
    "value",
    ["NaN", pytest.param("-Infinity", marks=pytest.mark.slow), pytest.param("1" + "0" * 400, marks=pytest.mark.slow)],
)
def test_a_metric_that_is_no_finite_number_is_refused_by_name(checkout, value):
    described = checkout(
        {"dvc.yaml": "metrics: [m.json]\n", "m.json": f'{{"loss": {value}, "ok": 0.5}}'}
    ).dvc.describe()
    with pytest.raises(ReportError, match=r"The metric loss in m\.json is (nan|-?inf), expected a finite number"):
        described.metric_values()


def test_a_metrics_file_that_dvc_cannot_read_is_named_with_its_reason(checkout):
    described = checkout({"dvc.yaml": "metrics: [m.json]\n", "m.json": "{"}).dvc.describe()
    with pytest.raises(ReportError, match=r"metrics file m\.json cannot be read: .*JSON file structure is corrupted"):
        described.metric_values()


def test_data_of_a_dvc_file_is_listed_and_missed_when_it_is_not_there(checkout):
    tracked = f"frozen: true\nouts: [{{path: raw.csv, md5: '{'1' * 32}', size: 4, hash: md5, remote: theirs}}]\n"
    needs = ONE_STAGE.replace("[source.txt]", "[source.txt, data/raw.csv]")
    described = checkout({"dvc.yaml": needs, "data/raw.csv.dvc": tracked}).dvc.describe()
    (file,) = described.tracked
    assert (file.file, file.frozen, file.imported) == ("data/raw.csv.dvc", True, False)
    assert [(out.path, out.md5, out.remote) for out in file.outs] == [("data/raw.csv", "1" * 32, "theirs")]
    assert described.missing == ("data/raw.csv", "model.pkl")
    assert described.outputs == ()


def test_imported_data_has_the_address_that_it_came_from_and_nobody_is_asked_there(checkout):
    out = f"outs: [{{path: PATH, md5: '{'2' * 32}', size: 3, hash: md5}}]\n"
    theirs = "frozen: true\ndeps: [{path: data/x, repo: {url: 'https://nowhere.invalid/r.git', rev_lock: abc}}]\n"
    bucket = "frozen: true\ndeps: [{path: 's3://bucket/key', etag: abc, size: 3, hash: md5}]\n"
    described = checkout(
        {"dvc.yaml": ONE_STAGE, "a.dvc": theirs + out.replace("PATH", "a"), "b.dvc": bucket + out.replace("PATH", "b")}
    ).dvc.describe()
    assert [(file.imported, file.deps) for file in described.tracked] == [
        (True, ("https://nowhere.invalid/r.git:data/x",)),
        (True, ("s3://bucket/key",)),
    ]
    assert described.missing == ("model.pkl",), "no stage needs a or b"


def locked(stage: str, *fields: str) -> str:
    outs = "".join(f"    - {{path: model.pkl, size: 2, {each}}}\n" for each in fields)
    return f"schema: '2.0'\nstages:\n  {stage}:\n    cmd: echo 1 > model.pkl\n    outs:\n{outs}"


def test_stages_that_only_an_old_dvc_lock_has_are_not_of_the_release(checkout):
    described = checkout(
        {"dvc.yaml": ONE_STAGE, "dvc.lock": locked("gone", f"hash: md5, md5: '{'1' * 32}'")}
    ).dvc.describe()
    assert [stage.name for stage in described.stages] == ["train"]
    assert described.outputs == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(f"md5: '{'1' * 32}'", "has an MD5 of DVC 2", id="of DVC 2"),
        pytest.param("hash: md5", "has no MD5", id="without one"),
        pytest.param(
            f"hash: md5, files: [{{relpath: a, md5: '{'1' * 32}', size: 1}}]", "has no MD5", id="a versioned remote"
        ),
        pytest.param("hash: md5, md5: '../2'", r"has the MD5 '\.\./2'", id="what is no MD5"),
    ],
)
def test_an_output_that_cannot_be_proven_is_refused_with_its_name_and_the_next_step(checkout, fields, said):
    described = checkout({"dvc.yaml": ONE_STAGE, "dvc.lock": locked("train", fields)}).dvc.describe()
    with pytest.raises(DvcLockError, match=rf"dvc\.lock: model\.pkl \(stage train\) {said}.* release"):
        described.outputs  # noqa: B018


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param(
            {"dvc.yaml": "stages:\n  a:\n    cmd: x\n    outz: [y]\n"},
            r"dvc\.yaml' validation failed: extra keys not allowed, in stages -> a -> outz, line 4",
            id="an unknown key",
        ),
        pytest.param(
            {"dvc.yaml": "stages: [\n"},
            r"dvc\.yaml' is invalid: .*, line 2, column 1",
            id="no YAML",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"dvc.yaml": "stages: {a: {cmd: 'echo ${nowhere.x}'}}"},
            r"failed to parse 'stages\.a\.cmd' in 'dvc\.yaml': Could not find 'nowhere\.x'",
            id="a template without a value",
        ),
        pytest.param(
            {"dvc.yaml": "stages: {a: {cmd: x, outs: [y]}, b: {cmd: x, outs: [y]}}"},
            r"output 'y' is specified in: .*'?a'?.*'?b'?",
            id="two stages for one output",
        ),
        pytest.param({"dvc.yaml": ONE_STAGE, ".dvc/config": "[core"}, "", id="a broken configuration"),
    ],
)
def test_a_checkout_that_dvc_refuses_is_told_with_dvc_s_reason_in_one_line(checkout, files, said):
    with pytest.raises(DescriptionError, match=rf"^DVC refuses the release: .*{said}.* Fix it in a new release\.$"):
        checkout(files).dvc.describe()


def test_an_output_outside_the_checkout_is_described_and_kept_nowhere(checkout, tmp_path):
    outside = f"stages: {{a: {{cmd: echo 1 > {tmp_path}/out, outs: ['{tmp_path}/out': {{cache: false}}]}}}}"
    described = checkout({"dvc.yaml": outside}).repro()
    assert [(out.path, out.cached) for stage in described.stages for out in stage.outs] == [("../out", False)]


def test_what_dvc_prints_does_not_get_into_the_document(checkout, deployment_dvc):
    """DVC warns of an artifact's name on its way."""
    made = checkout({"dvc.yaml": "artifacts: {'no good name!': {path: source.txt}}\n"})
    program = Path(__file__).parents[2] / "infra" / "dvc" / "describe.py"
    done = subprocess.run(
        [deployment_dvc.python, program], cwd=made.path, capture_output=True, text=True, check=True, timeout=60
    )
    assert "no good name!" in done.stderr
    assert [artifact["path"] for artifact in json.loads(done.stdout)["artifacts"]] == ["source.txt"]


def test_our_own_release_depends_on_its_day_in_every_stage(checkout):
    names = ["dvc.yaml", "params.yaml", *(f"pipeline/{path.name}" for path in (ROOT / "pipeline").glob("*.py"))]
    made = checkout({name: (ROOT / name).read_text() for name in names})
    day = DayDependence.of(made.dvc.describe(), RunSettings(), (), files_in(made.path))
    require(day, "v1.0.0")
    assert day.dependent == set(day.graph.stages) >= {"ingest", "train"}


def test_a_source_that_depends_on_a_folder_of_code_is_known_by_the_files_in_it(checkout):
    fetched = "stages: {get: {cmd: python src/get.py, deps: [src, manifest.json], outs: [raw.csv]}}\n"
    made = checkout({"dvc.yaml": fetched.replace(", manifest.json", ""), "src/get.py": "1", "src/.gitkeep": ""})
    day = DayDependence.of(made.dvc.describe(), RunSettings(), (), files_in(made.path))
    assert [stage.name for stage in day.sources()] == ["get"]
    (made.path / "src" / "zones.csv").write_text("a,b")
    assert day.sources() == []
