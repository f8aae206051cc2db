"""Stages that fetch their own data, from a server whose every answer is another one: they ask it once for each run key."""

from __future__ import annotations

import pytest
from fetching_team import DAY, DVC_YAML, FIT, NEXT, FetchingTeam, Station, text
from foreign_pipeline import PIPELINE

from retrain.commands.command_line import main, parser
from retrain.errors import GoneError, StageFailedError
from retrain.inputs import fetching
from retrain.inputs.errors import DayIndependentError
from retrain.inputs.fetched_outputs import FetchedOutputs
from retrain.store.ledger import Ledger
from retrain.tasks.record_run import record_run
from retrain.work import pipeline_caches


@pytest.fixture
def station():
    with Station.open() as open_station:
        yield open_station


@pytest.fixture
def start(s3_server, environments, deployment_dvc, station, tmp_path, monkeypatch, request):  # noqa: ARG001 - S3 has to be up
    def deploy(**changes):
        return FetchingTeam.start(tmp_path, request.node.name, station, environments, monkeypatch, **changes)

    return deploy


def test_a_run_key_fetches_once_and_every_attempt_and_every_machine_has_the_same_bytes(start, station):
    team = start()
    run = team.resolve()
    first = team.reproduce(run)
    assert (first.executed, text(first), station.asked) == (["download", "fit"], "a1", ["/a"])
    second = team.reproduce(run)
    assert (second.executed, second.cached) == ([], ["download", "fit"])
    team.lose_the_caches()
    third = team.reproduce(run)
    assert (third.executed, third.cached, text(third)) == (["fit"], ["download"], "a1")
    assert station.asked == ["/a"]


def test_a_retry_after_a_later_stage_failed_fetches_nothing_and_distrusts_a_corrupt_cache(start, station, monkeypatch):
    team = start(files={"fit.py": f"import os\nif os.environ.get('BROKEN'): raise ValueError('broken')\n{FIT}"})
    run = team.resolve()
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(StageFailedError, match="Stage fit failed"):
        team.reproduce(run)
    (key,) = team.fetched(run)["download"].keys
    cached = pipeline_caches.dvc_cache(PIPELINE) / key
    cached.chmod(0o644)
    cached.write_text("spoilt")
    monkeypatch.delenv("BROKEN")
    assert text(team.reproduce(run)) == "a1"
    assert cached.read_text() == "a1"
    assert station.asked == ["/a"]


@pytest.mark.slow
def test_fetched_data_that_is_gone_everywhere_is_named_and_not_fetched_again_in_secret(start, station):
    team = start()
    run = team.resolve()
    team.reproduce(run)
    team.lose_the_caches()
    remote = team.services.remote
    bucket, _, prefix = remote.url.removeprefix("s3://").partition("/")
    (key,) = team.fetched(run)["download"].keys
    remote.client.delete_object(Bucket=bucket, Key=f"{prefix}/{key}")
    with pytest.raises(GoneError, match=rf"fetched for {DAY}.*raw\.txt \(stage download.*higher refetch"):
        team.reproduce(run)
    assert station.asked == ["/a"]


ANY_SHAPE = """
stages:
  free:
    cmd: python get.py $STATION/free free.txt
    outs:
      - free.txt: {persist: true}
  always:
    cmd: python get.py $STATION/always always.txt
    deps: [get.py]
    always_changed: true
    outs: [always.txt]
  each:
    foreach: [x, y]
    do:
      wdir: sub
      cmd: mkdir -p ${item} && python ../get.py $STATION/${item} ${item}/raw.txt
      deps: [../get.py]
      outs:
        - ${item}
  fit:
    cmd: python fit.py free.txt always.txt sub/x/raw.txt sub/y/raw.txt
    deps: [fit.py, free.txt, always.txt, sub/x, sub/y]
    outs: [model.txt]
"""


@pytest.mark.slow
def test_stages_of_any_shape_are_fetched_once_and_leave_the_release_as_it_was(start, station):
    """Without dependencies, always changed, in a `foreach`, in a folder of their own, with outputs that persist or are folders."""
    files = {"dvc.yaml": ANY_SHAPE, "sub/.gitignore": ""}
    team = start(fetch="[free, always, each]", files=files)
    run = team.resolve()
    first = team.reproduce(run)
    asked = list(station.asked)
    assert sorted(asked) == ["/always", "/free", "/x", "/y"]
    team_lock, model = text(first, "dvc.lock"), text(first)
    assert text(first, "dvc.yaml") == ANY_SHAPE
    team.lose_the_caches()
    again = team.reproduce(run)
    assert (again.executed, sorted(again.cached)) == (["fit"], ["always", "each@x", "each@y", "free"])
    assert (text(again), text(again, "dvc.lock"), station.asked) == (model, team_lock, asked)


@pytest.mark.slow
def test_a_group_that_was_killed_between_its_documents_is_completed_with_what_was_kept(start, station, monkeypatch):
    keep, names = Ledger.keep_fetched, []

    def killed(ledger, spec, name, body):
        names.append(name)
        if len(names) > 1:
            raise KeyboardInterrupt
        return keep(ledger, spec, name, body)

    team = start(fetch="[each]", files={"dvc.yaml": EACH})
    run = team.resolve()
    monkeypatch.setattr(Ledger, "keep_fetched", killed)
    with pytest.raises(KeyboardInterrupt):
        team.reproduce(run)
    monkeypatch.setattr(Ledger, "keep_fetched", keep)
    assert list(team.fetched(run)) == ["each@x"]
    done = team.reproduce(run)
    assert (text(done), text(done, "dvc.yaml")) == ("x1 y4", EACH)
    asked = list(station.asked)
    assert (text(team.reproduce(run)), station.asked) == ("x1 y4", asked)


EACH = """
stages:
  each:
    foreach: [x, y]
    do:
      cmd: python get.py $STATION/${item} ${item}.txt
      deps: [get.py]
      outs:
        - ${item}.txt
  fit:
    cmd: python fit.py x.txt y.txt
    deps: [fit.py, x.txt, y.txt]
    outs: [model.txt]
"""
IN_STEPS = """
stages:
  catalogue:
    cmd: python get.py $STATION/catalogue ids.txt
    deps: [get.py]
    outs: [ids.txt]
  words:
    cmd: cp ids.txt words.txt
    deps: [ids.txt]
    outs: [words.txt]
  download:
    cmd: python get.py $STATION/a raw.txt
    deps: [get.py, words.txt, prep/list.txt]
    outs: [raw.txt]
  fit:
    cmd: python fit.py raw.txt
    deps: [fit.py, raw.txt]
    outs: [model.txt]
"""
# Needed by `download` alone, in a file that DVC only reaches through a stage of the top one.
BETWEEN = "stages: {list: {cmd: cp ../ids.txt list.txt, deps: [../ids.txt], outs: [list.txt]}}\n"


@pytest.mark.slow
def test_a_fetch_that_needs_another_comes_after_it_and_each_is_kept_at_once(start, station, monkeypatch):
    broken = "import os\nif os.environ.get('BROKEN') and sys.argv[1].endswith('/a'): raise ValueError('broken')\n"
    get = "import pathlib, sys, urllib.request\n" + broken
    get += "pathlib.Path(sys.argv[2]).write_bytes(urllib.request.urlopen(sys.argv[1]).read())\n"
    files = {"dvc.yaml": IN_STEPS, "prep/dvc.yaml": BETWEEN, "get.py": get}
    team = start(fetch="[catalogue, download]", files=files)
    run = team.resolve()
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(StageFailedError, match="Stage download failed"):
        team.reproduce(run)
    assert (list(team.fetched(run)), station.asked) == (["catalogue"], ["/catalogue"])
    monkeypatch.delenv("BROKEN")
    second = team.reproduce(run)
    assert (text(second), station.asked) == ("a2", ["/catalogue", "/a"])
    assert {stage.name: str(stage.outcome) for stage in second.stages}["download"] == "ran"
    locks = [text(second, lock) for lock in ("dvc.lock", "prep/dvc.lock")]
    team.lose_the_caches()
    third = team.reproduce(run)
    assert (text(third), len(station.asked)) == ("a2", 2)
    assert [text(third, lock) for lock in ("dvc.lock", "prep/dvc.lock")] == locks


class LateReader(FetchedOutputs):
    """What an attempt knows that has looked just before another one wrote."""

    def known(self):
        return {}


@pytest.mark.slow
def test_of_two_attempts_that_fetch_at_the_same_time_both_use_what_was_kept_first(start, station, monkeypatch):
    team = start()
    run = team.resolve()
    team.reproduce(run)
    late = LateReader(team.services.ledger, run.spec, team.services.remote)
    original = fetching.reproduce
    monkeypatch.setattr(fetching, "reproduce", lambda *given, **named: original(*given[:-1], late, **named))
    second = team.reproduce(run)
    assert (text(second), station.asked) == ("a1", ["/a", "/a"])
    assert [stage.outcome for stage in second.stages] == ["ran", "cached"]


@pytest.mark.slow
def test_a_replay_fetches_nothing_a_refetch_once_and_the_next_day_once(start, station, mlflow_server):  # noqa: ARG001
    team = start()

    def record(day=DAY, refetch=None):
        run = team.resolve(day, refetch)
        done = team.reproduce(run)
        record_run(team.services, run, done, team.push(run, done))
        return run.run_key, text(done)

    first, model = record()
    assert (model, len(station.asked)) == ("a1", 1)
    options = parser().parse_args(["--pipeline", PIPELINE, "replay", DAY])
    done = options.command(options)
    assert (done.well, done.document["taken"], len(station.asked)) == (True, ("download",), 1)
    assert "taken from the record, because they fetch their own data: download" in "\n".join(done.lines)

    again, model = record(refetch=1)
    assert (again != first, model, len(station.asked)) == (True, "a2", 2)
    assert team.services.ledger.entry(PIPELINE, DAY).run_key == again
    assert record() == (again, "a2")  # by accident nobody goes back to older data
    assert record(NEXT)[1] == "a3"
    assert len(station.asked) == 3


def test_a_release_whose_model_does_not_depend_on_the_day_is_refused_before_a_stage_runs(start, station, capsys):
    team = start(fetch="[]")
    with pytest.raises(
        DayIndependentError, match=r"output model\.txt of v1\.0\.0 would be the same every day.*download, fit"
    ):
        team.reproduce(team.resolve())
    assert station.asked == []
    assert main(["--pipeline", PIPELINE, "release", "v1.0.0"]) == 1
    said = capsys.readouterr().err
    for part in ("DayIndependentError", "download, fit", "under inputs", "under params", "under fetch", "under static"):
        assert part in said


def test_a_pipeline_that_names_a_stage_that_the_release_lacks_is_told_its_stages(start, capsys):
    start(fetch="[load]", files={"dvc.yaml": DVC_YAML})
    assert main(["--pipeline", PIPELINE, "release", "v1.0.0"]) == 1
    assert "fetch in the pipeline's file names load, which is no stage" in capsys.readouterr().err
