"""The day's raw objects in a checkout, where the stages read them, and the params of the day: with real S3, Git and DVC."""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import fields, replace
from pathlib import Path

import pytest
from foreign_pipeline import DAY, PIPELINE, Pipeline, described
from laid_pipeline import SAMPLED, LaidPipeline, changed

from retrain.errors import OverwrittenError
from retrain.inputs.errors import InputPathError, ParamsFileError, ParamsKeyError, ParamsValueError, RawObjectGoneError
from retrain.inputs.laying import LaidInput
from retrain.inputs.prepared import prepare, try_settings
from retrain.inputs.raw_cache import RawObjects
from retrain.work import pipeline_caches, workspace
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.tracked_inputs import missing_inputs

WINDOW = ("dt=2020-03-04/orders.csv", f"dt={DAY}/orders.csv")
INPUTS = "inputs: [{path: data/raw}]\n"
DATED = INPUTS + 'params: {params.yaml: {data.date: "{partition}", data.year: "{year}"}}\n'


@pytest.fixture
def laid(s3, bucket, deployment_dvc, tmp_path, monkeypatch, request):
    pipeline = Pipeline.start(tmp_path, request.node.name, deployment_dvc, monkeypatch)
    return LaidPipeline(pipeline, s3, bucket(versioned=True), tmp_path)


ODD = {
    "broken.json": "{",
    "list.yaml": "- 1\n",
    "data/raw.csv.dvc": "outs: [{md5: 1a79a4d60de6718e8e5b326e338ae533, size: 1, hash: md5, path: raw.csv}]\n",
    "prep/dvc.yaml": "stages: {clean: {cmd: echo 1 > clean.csv, deps: [../train.py], outs: [clean.csv]}}\n",
}


class AskedOnce(Dvc):
    """DVC that describes each state of a checkout once."""

    def describe(self):
        return described(Dvc(**{field.name: getattr(self, field.name) for field in fields(self)}))


@pytest.fixture(scope="module")
def odd_checkout(s3, deployment_dvc, tmp_path_factory):
    """Prepares one checkout, of a release with links, a submodule and files that are no params, for any settings."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("odd")
        laid = LaidPipeline(Pipeline.start(folder, "odd", deployment_dvc, patch), s3, "odd-raw", folder)
        s3.create_bucket(Bucket=laid.bucket)
        clone = laid.pipeline.origin.clone
        (clone / "lib").mkdir()
        git = ["git", "-C", clone / "lib", "-c", "user.name=e", "-c", "user.email=e@example.org"]
        for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "x"]):
            subprocess.run([*git, *command], check=True)
        (clone / "outside.yaml").symlink_to("/etc/hostname")
        (clone / "linked").symlink_to("data")
        laid.release(ODD)
        landed = laid.land(f"dt={DAY}/orders.csv")
        empty = laid.manifest("", landed)
        place = workspace.create(laid.pipeline.origin.address, laid.spec(empty), empty, dag_run="manual", min_free_mb=1)
        program = AskedOnce(**{each.name: getattr(laid.dvc(place.checkout), each.name) for each in fields(Dvc)})
        raw = RawObjects(s3, pipeline_caches.raw_cache(PIPELINE))
        yield lambda settings: prepare(place.checkout, laid.manifest(settings, landed), program, raw)
        assert changed(place.checkout) == []


def test_the_dvc_file_of_a_sample_gives_way_to_the_day_s_one_file_and_is_not_missed(laid):
    """The sample itself is on the release's own remote, which a run does not read."""
    sample = "outs: [{md5: 1a79a4d60de6718e8e5b326e338ae533, size: 1, hash: md5, path: raw.csv}]\n"
    stage = SAMPLED["dvc.yaml"].replace("data/raw]", "data/raw.csv]")
    laid.release({
        "dvc.yaml": stage,
        "train.py": "import shutil\nshutil.copy('data/raw.csv', 'model.json')\n",
        "data/raw.csv.dvc": sample,
        "data/.gitignore": "/raw.csv\n",
    })  # fmt: skip
    landed = [laid.land(key) for key in (*WINDOW, f"dt={DAY}/users.csv")]
    _, done = laid.run("inputs: [{path: data/raw.csv, days: partition, names: file, objects: 'orders*'}]", *landed)
    assert (Path(done.workspace) / "checkout" / "model.json").read_text() == f"content of {WINDOW[1]}\n"
    assert done.prepared == (f"1 file, {landed[1].size} bytes laid at data/raw.csv, in place of data/raw.csv.dvc",)


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        ("flat", ["orders.csv"]),
        ('"{year}/{month}/{stem}-{day}{suffix}"', ["2020/03/orders-05.csv"]),
    ],
)
def test_objects_are_laid_under_the_names_that_the_file_gives_as_plain_files_of_their_own(laid, names, paths):
    laid.release()
    old_mask = os.umask(0o077)
    try:
        landed = laid.land(WINDOW[1])
        settings = f"inputs: [{{path: data/raw, days: partition, names: {names}}}]"
        checkout, prepared = laid.prepare(settings, laid.land(WINDOW[0]), landed)
    finally:
        os.umask(old_mask)
    files = [path for path in sorted((checkout / "data/raw").rglob("*")) if path.is_file()]
    assert [str(path.relative_to(checkout / "data/raw")) for path in files] == paths
    assert prepared.inputs == (
        LaidInput("data/raw", 1, landed.size, ("data/raw/deep/more.csv", "data/raw/sample.csv")),
    )
    cached = pipeline_caches.raw_cache(PIPELINE) / f"{landed.etag}-{landed.size}"
    assert (files[0].read_bytes(), files[0].is_symlink()) == (cached.read_bytes(), False)
    assert files[0].stat().st_ino != cached.stat().st_ino
    assert [stat.S_IMODE(path.stat().st_mode) for path in (files[0], files[0].parent)] == [0o644, 0o755]


PARAMS = {
    "own.json": '{"date": "2020-01-01", "list": [{"year": 1}, {"year": 2019}], "flag": false}',
    "own.toml": "# kept\n[data]\nday = 2020-01-01  # a date\nrate = 1\nyear = 2019\n",
    "conf/own.yaml": "# kept\ndata:\n  day: 2020-01-01  # a date\n  rate: 1e-05\n  'a.b': text\n  country: \"no\"\n  at: '12:30'\n  until: later\n  small: 0.1\n",
}
SET = """
params:
  own.json: {date: "{partition}", list.1.year: "{year}", flag: "true"}
  own.toml: {data.day: "{partition}", data.rate: 2, data.year: "{year}"}
  conf/own.yaml: {data.day: "{partition}", data.rate: 2, data.a.b: "{day}", data.until: "12:{day}", data.small: 1.0e-05}
"""


def test_params_of_each_format_are_set_in_the_kind_of_the_release_s_value_and_comments_stay(laid):
    laid.release(PARAMS)
    checkout, prepared = laid.prepare(SET, laid.land(WINDOW[1]))
    assert (
        checkout / "own.json"
    ).read_text() == '{"date": "2020-03-05", "list": [{"year": 1}, {"year": 2020}], "flag": true}'
    assert (checkout / "own.toml").read_text() == "# kept\n[data]\nday = 2020-03-05  # a date\nrate = 2\nyear = 2020\n"
    assert (checkout / "conf/own.yaml").read_text() == (
        "# kept\ndata:\n  day: 2020-03-05  # a date\n  rate: 2.0\n  'a.b': '05'\n  country: \"no\"\n  at: '12:30'\n  until: '12:05'\n  small: 1.0e-05\n"
    )
    assert len(prepared.params) == 11


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ("{params.yaml: {data.dat: x}}", ParamsKeyError, r"params\.yaml has no key data\.dat\. Near it are data\.date"),
        ("{params.yaml: {data: x}}", ParamsValueError, r"data in params\.yaml is a section or a list"),
        ("{params.yaml: {data.year: '20{year}x'}}", ParamsValueError, r"data\.year in params\.yaml is an integer.*202020x"),
        ("{params.yaml: {data.year: 1.5}}", ParamsValueError, r"data\.year in params\.yaml is an integer, and 1\.5 is not"),
        ("{params.yaml: {data.date: true}}", ParamsValueError, r"data\.date in params\.yaml is text, and True is not"),
        ("{conf/none.yaml: {a: 1}}", ParamsFileError, r"conf/none\.yaml is not a file of the release\. Commit it"),
        ("{train.py: {a: 1}}", ParamsFileError, r"train\.py is Python code\. Move the params"),
        ("{broken.json: {a: 1}}", ParamsFileError, r"broken\.json cannot be read"),
        ("{list.yaml: {a: 1}}", ParamsFileError, r"list\.yaml has no keys at its top"),
        ("{model.json: {a: 1}}", ParamsFileError, r"stage train writes model\.json"),
        ("{outside.yaml: {a: 1}}", ParamsFileError, r"outside\.yaml is a link that leads outside"),
    ],
)  # fmt: skip
def test_a_param_that_does_not_fit_the_release_is_refused_by_name(odd_checkout, params, error, said):
    with pytest.raises(error, match=said):
        odd_checkout(f"params: {params}")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("linked/raw", "linked is a symbolic link"),
        ("lib/raw", "lib is a submodule"),
        ("prep", r"prep/dvc\.yaml is a file of DVC's"),
        ("prep/clean.csv", r"stage prep/dvc\.yaml:clean writes prep/clean\.csv"),
        ("data/raw.csv", "it is a file in the release, and names: keep"),
        ("data/raw.csv/today", r"data/raw\.csv\.dvc tracks data/raw\.csv as a whole"),
    ],
)
def test_a_path_that_does_not_fit_the_release_is_refused_before_anything_is_laid(odd_checkout, path, said):
    with pytest.raises(InputPathError, match=said):
        odd_checkout(f"inputs: [{{path: {path}}}]")


def test_a_templated_dvc_yaml_sees_the_day_s_value_also_in_the_path_of_its_sample(laid):
    templated = SAMPLED["dvc.yaml"].replace("python train.py", "python train.py ${data.date}")
    templated = templated.replace("data/raw]", "'data/raw/${data.date}.csv']")
    laid.release({"dvc.yaml": templated, "data/raw/2020-01-01.csv": "the sample of its own day\n"})
    dated = DATED.replace("data/raw}", 'data/raw, days: partition, names: "{partition}{suffix}"}')
    _, prepared = laid.prepare(dated, laid.land(WINDOW[1]))
    assert prepared.description.stages[0].cmd == (f"python train.py {DAY}",)
    assert prepared.description.stages[0].deps == (f"data/raw/{DAY}.csv", "train.py")
    assert prepared.description.stages[0].params == {"params.yaml": {"data.date": DAY, "data.year": 2020}}


def test_a_release_is_tried_with_its_settings_before_any_data_is_there(laid, tmp_path):
    sample = "outs: [{md5: 1a79a4d60de6718e8e5b326e338ae533, size: 1, hash: md5, path: raw.csv}]\n"
    laid.release({"dvc.yaml": SAMPLED["dvc.yaml"].replace("data/raw]", "data/raw.csv]"), "data/raw.csv.dvc": sample})
    checkout = laid.checkout(tmp_path / "release")

    def tried(settings):
        return try_settings(checkout, laid.deployment(settings).run_settings(), DAY, laid.dvc(checkout))

    assert [each.path for each in missing_inputs(tried(""))] == ["data/raw.csv"]
    with pytest.raises(InputPathError, match=r"stage train writes model\.json"):
        tried("inputs: [{path: model.json, days: partition, names: file}]")
    fitting = "inputs: [{path: data/raw.csv, days: partition, names: file}]\nparams: {params.yaml: {data.date: '{partition}'}}"
    described = tried(fitting)
    assert missing_inputs(described) == ()
    assert described.params == {"data.date": DAY, "data.year": 2020}


def test_an_input_that_a_dvcignore_hides_from_dvc_is_refused_since_no_day_would_run_a_stage_again(laid):
    laid.release({".dvcignore": "# patterns\n*.csv\n"})
    with pytest.raises(InputPathError, match=rf"a \.dvcignore of the release hides data/raw/dt={DAY}/orders\.csv"):
        laid.prepare(INPUTS, laid.land(WINDOW[1]))


def test_without_settings_a_checkout_stays_as_it_is(laid):
    laid.release()
    checkout, prepared = laid.prepare("", laid.land(WINDOW[1]))
    assert (changed(checkout), prepared.inputs, prepared.params) == ([], (), ())


def test_a_day_whose_object_was_overwritten_in_a_bucket_without_versions_is_refused(laid, bucket):
    unversioned = replace(laid, bucket=bucket())
    unversioned.release()
    landed = unversioned.land(WINDOW[1])
    assert landed.version_id is None
    unversioned.land(WINDOW[1], "other content\n")
    with pytest.raises(OverwrittenError, match=r"orders\.csv was overwritten since the run was resolved"):
        unversioned.prepare(INPUTS, landed)


def test_a_day_whose_object_is_gone_is_refused_with_key_and_version_and_the_way_back(laid):
    laid.release()
    landed = laid.land(WINDOW[1])
    laid.client.delete_object(Bucket=laid.bucket, Key=f"raw/{WINDOW[1]}", VersionId=landed.version_id)
    with pytest.raises(RawObjectGoneError) as caught:
        laid.prepare(INPUTS, landed)
    for text in (f"{laid.root}/{WINDOW[1]}", str(landed.version_id), "clear resolve_run", "NO_INPUTS=1"):
        assert text in str(caught.value)


def test_an_object_that_only_its_version_still_has_is_laid(laid):
    laid.release()
    landed = laid.land(WINDOW[1], "first\n")
    laid.land(WINDOW[1], "second\n")
    laid.client.delete_object(Bucket=laid.bucket, Key=f"raw/{WINDOW[1]}")
    checkout, _ = laid.prepare(INPUTS, landed)
    assert (checkout / "data/raw" / WINDOW[1]).read_text() == "first\n"


def test_keys_of_any_characters_are_fetched(laid):
    laid.release()
    key = f"dt={DAY}/größe #1? 50%+.csv"
    checkout, _ = laid.prepare("inputs: [{path: data/raw, names: flat}]", laid.land(key))
    assert (checkout / "data/raw/größe #1? 50%+.csv").read_text() == f"content of {key}\n"
