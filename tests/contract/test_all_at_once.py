"""One pipeline with all that a team's repository may bring: it runs, is pushed, recorded, cleared, restored, replayed, verified and pruned."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fetching_team import GET, Station
from foreign_pipeline import PIPELINE
from tracking_team import CONTENT, DAY, NEXT, TeamRemote, TrackingTeam, config, md5, tracked

from retrain.archive import prune
from retrain.commands.command_line import parser
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.work.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SETTINGS = """
targets: [fit]
fetch: [ml/dvc.yaml:get]
static: [ml/dvc.yaml:draw]
env: {DEPTH: "3"}
"""
PUBLISHED = b"published\n"
TOP = """
stages:
  get:
    cmd: python get.py $STATION/a rates.txt
    deps: [get.py]
    outs: [rates.txt]
  draw:
    cmd: python get.py $STATION/b drawn.txt
    deps: [get.py]
    always_changed: true
    outs: [drawn.txt]
  fit:
    cmd: cat prep/clean-a.txt prep/clean-b.txt rates.txt drawn.txt params.yaml > model.txt && echo "$DEPTH" > depth.txt && echo '{"mae":2}' > m.json
    deps: [prep/clean-a.txt, prep/clean-b.txt, rates.txt, drawn.txt]
    params: [day]
    outs: [model.txt, depth.txt]
    metrics: [m.json: {cache: false}]
  deploy: {cmd: exit 7, deps: [model.txt]}
artifacts:
  model: {path: model.txt, type: model}
"""
PREP = """
stages:
  clean:
    foreach: [a, b]
    do:
      cmd: cat ../data/raw.csv ../data/published.csv > clean-${item}.txt
      deps: [../data/raw.csv, ../data/published.csv]
      outs:
      - clean-${item}.txt
"""


@pytest.fixture
def remote(tmp_path):
    (tmp_path / "remote").mkdir()
    with TeamRemote.open(tmp_path / "remote") as open_remote:
        yield open_remote


@pytest.fixture
def station():
    with Station.open() as open_station:
        yield open_station


@pytest.fixture
def team(mlflow_server, environments, deployment_dvc, tmp_path, monkeypatch, request, station):  # noqa: ARG001 - the servers have to be up
    monkeypatch.setenv("STATION", station.url)
    return TrackingTeam.start(tmp_path, request.node.name, environments, deployment_dvc, monkeypatch)


def release(team: TrackingTeam, remote: TeamRemote) -> str:
    """The project lies in a folder below the top. The import's .dvc file was edited, so that DVC's MD5 of it is not there."""
    (remote.folder / "published.csv").write_bytes(PUBLISHED)
    imported = {
        "frozen": True,
        "deps": [{"path": f"{remote.url}/published.csv", "size": len(PUBLISHED)}],
        "outs": [{"md5": md5(PUBLISHED), "size": len(PUBLISHED), "hash": "md5", "path": "published.csv"}],
    }
    team.write_file(SETTINGS)
    file = team.folder / "pipelines" / f"{PIPELINE}.yaml"
    file.write_text(
        file.read_text()
        .replace("environment: .}", "environment: ., folder: ml}")
        .replace("{params.yaml", "{ml/params.yaml")
    )
    files = {
        ".dvc/config": config(remote.url),
        "ml/params.yaml": "day: '2020-01-01'\n",
        "ml/get.py": GET,
        "ml/dvc.yaml": TOP,
        "ml/prep/dvc.yaml": PREP,
        "ml/data/raw.csv.dvc": tracked("raw.csv", remote.put(CONTENT.encode())),
        "ml/data/published.csv.dvc": json.dumps(imported),
        "dvc.yaml": None,
        "train.py": None,
    }
    return team.release(files)


def run(team: TrackingTeam, tag: str, day: str):
    """All tasks up to the record; gives its result, the project as it was left, and the entry."""
    run, reproduced = team.reproduce(tag, day)
    recorded = record_run(team.services, run, reproduced, push(team.services, run, reproduced))
    folder = Workspace(Path(reproduced.workspace)).checkout / "ml"
    return recorded, folder, team.services.ledger.entry(PIPELINE, day, run.run_key)


def answer(*arguments: str):
    options = parser().parse_args(["--pipeline", PIPELINE, *arguments])
    return options.command(options)


MADE = (
    "model.txt",
    "depth.txt",
    "rates.txt",
    "drawn.txt",
    "dvc.lock",
    "prep/dvc.lock",
    "prep/clean-a.txt",
    "prep/clean-b.txt",
)
TRACKED = ("data/raw.csv", "data/published.csv")


def contents(folder: Path, *names: str) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


def test_a_day_with_everything_is_recorded_once_restored_replayed_verified_and_kept(team, remote, station, tmp_path):
    tag = release(team, remote)
    first, folder, entry = run(team, tag, DAY)
    made = contents(folder, *MADE)
    assert made["depth.txt"] == b"3\n"
    assert DAY.encode() in made["model.txt"]
    assert made["prep/clean-a.txt"] == CONTENT.encode() + PUBLISHED
    assert (station.asked, first.new, first.not_repeatable) == (["/a", "/b"], True, ())
    asked = list(remote.asked)
    # From here on the team's own servers are not needed, but for the stage that asks each time.
    remote.status = 500
    _, _, following = run(team, tag, NEXT)
    team.lose_the_caches()
    again, folder, cleared = run(team, tag, DAY)
    assert (cleared, again.new, again.not_repeatable) == (entry, False, ("ml/dvc.yaml:draw",))
    assert contents(folder, *MADE) == made
    assert station.asked == ["/a", "/b", "/a", "/b", "/b"]

    team.lose_the_caches()
    to = tmp_path / "restored"
    assert answer("restore", DAY, str(to), "--no-environment").well
    assert contents(to / "ml", *MADE) == made
    assert contents(to / "ml", *TRACKED) == {"data/raw.csv": CONTENT.encode(), "data/published.csv": PUBLISHED}

    done = answer("replay", DAY)
    verdicts = {each["name"]: each["verdict"] for each in done.document["stages"]}
    assert done.well, done.lines
    assert verdicts == {
        "ml/dvc.yaml:draw": "not_repeatable",
        "ml/dvc.yaml:fit": "consequence",
        "ml/dvc.yaml:get": "taken",
        "ml/prep/dvc.yaml:clean@a": "identical",
        "ml/prep/dvc.yaml:clean@b": "identical",
    }
    assert answer("verify", "--all").document["sound"]
    assert [each["run_key"] for each in answer("history").document] == [entry.run_key, following.run_key]
    assert answer("explain", DAY, NEXT).well
    services, later = team.services, datetime.now(UTC) + prune.GRACE + timedelta(hours=1)
    needed = {key for each in (entry, following) for key in services.ledger.committed_receipt(each).by_key}
    chosen = prune.plan(services.ledger, services.remote, PIPELINE, 30, later)
    assert (chosen.losing, set(chosen.remove) & needed) == ((), set())
    assert remote.asked == asked
