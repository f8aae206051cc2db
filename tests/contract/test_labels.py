"""Releases by their names, tags and labels, from a real Git origin to the ledger on a real S3 server."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from foreign_pipeline import Origin, isolated_git

from retrain.airflow.adapters import AirflowCredentials
from retrain.commands import pin_moves
from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import MovedTagError, NoPinError, OriginError, UnknownCommitError, UnknownTagError
from retrain.inputs.named_release import live_commit
from retrain.run.errors import (
    AmbiguousCommitError,
    CommitDigitsError,
    CommitGoneError,
    LabelError,
    LabelTakenError,
    TagPatternError,
)
from retrain.run.release import Pin, Release
from retrain.run.tag_pattern import TagPattern
from retrain.services import Services
from retrain.store import labels
from retrain.tasks.resolve_run import resolve_run
from retrain.work import origin_commits, workspace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from retrain.work.origin import Origin as Opened

DAY = "2020-03-09"
PIPELINE = {"dvc.yaml": "stages: {}\n"}


class Pins:
    """The pin of one pipeline, in memory."""

    def __init__(self) -> None:
        self.now: Pin | None = None

    def pin(self, _: str) -> Pin | None:
        return self.now

    def set_pin(self, _: str, pin: Pin) -> None:
        self.now = pin


@dataclass(frozen=True)
class Team:
    """A pipeline with an origin of its own, and its pin."""

    origin: Origin
    file: Path
    pins: Pins

    @property
    def deployment(self) -> Deployment:
        return load(self.file)

    @property
    def services(self) -> Services:
        return Services(self.deployment, AirflowCredentials(self.deployment), self.pins)

    def change(self, **repository: Any) -> None:
        """Give the section `repository` of the pipeline's file other keys."""
        document = yaml.safe_load(self.file.read_text())
        self.file.write_text(yaml.safe_dump({**document, "repository": {**document["repository"], **repository}}))

    def commit(self, branch: str = "main", files: Mapping[str, str | None] | None = None) -> str:
        """A commit on a branch of the origin, without a tag."""
        for name, text in {**PIPELINE, **(files or {})}.items():
            (self.origin.clone / name).write_text(text or "")
        self.origin.git("add", "--all")
        self.origin.git("commit", "--quiet", "--allow-empty", "-m", branch)
        self.origin.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self.origin.git("rev-parse", "HEAD")

    def opened(self) -> AbstractContextManager[Opened]:
        return self.services.origin()

    def release_tag(self, tag: str) -> Pin:
        with self.opened() as origin:
            return pin_moves.deploy(
                self.pins, self.services.ledger, self.deployment.pipeline, origin, tag, mirrors=workspace.mirrors()
            )

    def release_commit(self, digits: str, label: str) -> Pin:
        with self.opened() as origin:
            return pin_moves.deploy_commit(
                self.pins,
                self.services.ledger,
                self.deployment.pipeline,
                origin,
                digits,
                label,
                TagPattern.of(self.deployment),
                mirrors=workspace.mirrors(),
            )

    def resolve(self, name: str | None = None) -> Release:
        spec = resolve_run(self.services, DAY, name, "a run", "daily").spec
        return Release(spec.release, spec.commit)

    def known(self, label: str) -> Release | None:
        return labels.labelled(self.services.ledger, self.deployment.pipeline, label)


@pytest.fixture
def team(tmp_path: Path, s3: S3Client, bucket: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Team:
    isolated_git(tmp_path / "engineer", monkeypatch)
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path / "home"))
    name = bucket(versioned=True)
    for object_name in ("part-0", "_SUCCESS"):
        s3.put_object(Bucket=name, Key=f"raw/dt={DAY}/{object_name}", Body=b"rows")
    origin = Origin.create(tmp_path)
    document = {
        "schema_version": 1,
        "description": "A pipeline without tags.",
        "owner": "them",
        "schedule": {"cron": "0 6 * * *", "start_date": "2020-01-01"},
        "repository": {"url": str(origin.path)},
        "raw": {"url": f"s3://{name}/raw", "window_days": 1},
        "store": f"s3://{name}/store",
        "ledger": f"s3://{name}/ledger",
        "tracking": {"experiment": "theirs"},
        "slack": {"channel": "#alerts"},
    }
    file = tmp_path / "theirs.yaml"
    file.write_text(yaml.safe_dump(document))
    return Team(origin, file, Pins())


def test_a_commit_without_a_tag_is_pinned_run_and_rolled_back_to_by_its_label(team: Team) -> None:
    first, second = team.commit(), team.commit()
    assert team.release_commit(first, "trial-1").live == Release("trial-1", first)
    assert team.release_commit(second[:9].upper(), "team/trial-2").live == Release("team/trial-2", second)
    assert team.resolve() == Release("team/trial-2", second)
    assert team.resolve("trial-1") == Release("trial-1", first)
    rolled = pin_moves.roll_back(team.pins, team.services.ledger, team.deployment.pipeline)
    assert rolled.live == team.resolve() == Release("trial-1", first)
    assert team.known("team/trial-2") == Release("team/trial-2", second)


def test_a_checkout_of_a_labelled_commit_is_made_from_an_empty_home(team: Team) -> None:
    commit = team.commit(files={"train.py": "print('the commit of the label')\n"})
    team.commit(files={"train.py": "print('another')\n"})
    team.release_commit(commit, "trial-1")
    spec = resolve_run(team.services, DAY, None, "a run", "daily").spec
    shutil.rmtree(workspace.mirrors())
    with team.opened() as origin:
        made = workspace.create(origin, spec, team.services.ledger.manifest(spec), dag_run="a run", min_free_mb=1)
    assert (made.checkout / "train.py").read_text() == "print('the commit of the label')\n"


def test_a_label_that_is_used_twice_is_refused_with_both_commits_and_the_same_again_changes_nothing(team: Team) -> None:
    first, second = team.commit(), team.commit()
    pin = team.release_commit(first, "trial-1")
    assert team.release_commit(first, "trial-1") == pin
    with pytest.raises(LabelTakenError, match=f"trial-1 stands for {first} already, and was now given to {second}"):
        team.release_commit(second, "trial-1")
    assert (team.pins.now, team.known("trial-1")) == (pin, Release("trial-1", first))
    assert len(team.services.ledger.event_names("theirs", "pinned")) == 1


def test_a_label_keeps_its_commit_after_the_pin_has_gone_on(team: Team) -> None:
    first, second = team.commit(), team.commit()
    team.release_commit(first, "trial-1")
    team.pins.now = None
    with pytest.raises(LabelTakenError):
        team.release_commit(second, "trial-1")


def test_a_release_that_was_interrupted_after_the_ledger_had_the_name_is_completed_by_the_next_one(team: Team) -> None:
    commit = team.commit()
    team.services.ledger.event("theirs", "tags", "trial-1", {"commit": commit})  # and no more
    with pytest.raises(UnknownTagError):
        team.resolve("trial-1")
    team.release_commit(commit, "trial-1")
    assert team.resolve("trial-1") == Release("trial-1", commit)


def test_a_label_is_no_tag_of_the_origin_and_no_release_by_the_pattern(team: Team) -> None:
    commit = team.origin.release("nightly", PIPELINE)
    with pytest.raises(LabelError, match=f"nightly is no label: it is a tag of the origin {team.origin.path}"):
        team.release_commit(commit, "nightly")
    with pytest.raises(LabelError, match=r"has the form of this pipeline's tags, vX\.Y\.Z"):
        team.release_commit(commit, "v1.0.0")
    assert team.pins.now is None
    assert not team.services.ledger.event_names("theirs", "tags")


def test_a_commit_is_named_by_digits_that_only_one_commit_of_the_origin_has(team: Team) -> None:
    commit = team.commit()
    team.origin.git("commit", "--quiet", "--allow-empty", "-m", "never pushed")
    unpushed = team.origin.git("rev-parse", "HEAD")
    for digits in ("main", "HEAD", "--all", commit[:6], commit + "0", ""):
        with pytest.raises(CommitDigitsError, match="7 to 40"):
            team.release_commit(digits, "trial-1")
    for digits in (unpushed, unpushed[:8], "0" * 40):
        with pytest.raises(UnknownCommitError, match=f"No branch or tag of the origin .* has a commit {digits}"):
            team.release_commit(digits, "trial-1")


def test_digits_of_several_commits_are_refused_with_all_of_them(team: Team) -> None:
    team.commit()
    tree, parent = team.origin.git("rev-parse", "HEAD^{tree}"), team.origin.git("rev-parse", "HEAD")
    pair = _twins(team.origin.clone, tree, parent)
    for number, commit in enumerate(pair):
        team.origin.git("push", "--quiet", "origin", f"{commit}:refs/heads/twin-{number}")
    with pytest.raises(AmbiguousCommitError, match=" or ".join(sorted(pair))):
        team.release_commit(pair[0][:7], "trial-1")
    assert team.release_commit(pair[0], "trial-1").live.commit == pair[0]


def _twins(clone: Path, tree: str, parent: str) -> tuple[str, str]:
    """Two commits of a clone with the same seven first digits, found by trying messages."""
    made: dict[str, str] = {}
    for number in range(1_000_000):
        body = (
            f"tree {tree}\nparent {parent}\nauthor e <e@example.org> 1577836800 +0000\n"
            f"committer e <e@example.org> 1577836800 +0000\n\n{number}\n"
        )
        digits = hashlib.sha1(f"commit {len(body)}\0{body}".encode(), usedforsecurity=False).hexdigest()
        if digits[:7] in made:
            both = [made[digits[:7]], body]
            written = [_write(clone, each) for each in both]
            assert written[1] == digits
            return written[0], written[1]
        made[digits[:7]] = body
    raise AssertionError


def _write(clone: Path, body: str) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=clone,
        input=body,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture(params=["2", "0"])
def protocol(request: pytest.FixtureRequest, team: Team, tmp_path: Path) -> str:  # noqa: ARG001 - it makes the home
    """The version of Git's protocol: with the second one an origin sends any commit, with the first one those that it names."""
    (tmp_path / "engineer" / ".gitconfig").write_text(f"[protocol]\nversion = {request.param}\n")
    return str(request.param)


@pytest.mark.usefixtures("protocol")
def test_a_run_whose_labelled_commit_the_origin_no_longer_has_is_refused(team: Team) -> None:
    gone = team.commit("feature")
    team.release_commit(gone, "trial-1")
    team.origin.git("checkout", "--quiet", "--orphan", "other")
    team.commit("main")
    _origin_git(team, "update-ref", "-d", "refs/heads/feature")
    _origin_git(team, "gc", "--quiet", "--prune=now")
    for name in (None, "trial-1"):
        with pytest.raises(CommitGoneError, match=f"no longer has {gone}, the commit of the label trial-1"):
            team.resolve(name)


def test_a_labelled_commit_in_the_middle_of_a_branch_is_found_whatever_the_origin_sends(
    team: Team, protocol: str, tmp_path: Path
) -> None:
    commit = team.commit()
    team.release_commit(commit, "trial-1")
    team.commit()
    with team.opened() as origin:
        assert origin_commits._sends(origin, commit, tmp_path) is (protocol == "2")
    shutil.rmtree(workspace.mirrors())
    assert team.resolve() == Release("trial-1", commit)


def test_an_origin_that_does_not_answer_is_not_one_that_has_lost_the_commit(team: Team) -> None:
    commit = team.commit()
    team.release_commit(commit, "trial-1")
    shutil.move(team.origin.path, team.origin.path.with_suffix(".away"))
    with pytest.raises(OriginError):
        team.resolve()


def test_a_pipeline_is_run_by_the_pattern_of_its_file(team: Team) -> None:
    team.change(tags="{name}@v{version}")
    commit = team.origin.release("theirs@v1.0.0", PIPELINE)
    team.origin.release("v9.0.0", PIPELINE)
    assert team.resolve("theirs@v1.0.0") == team.release_tag("theirs@v1.0.0").live == Release("theirs@v1.0.0", commit)
    assert team.resolve().tag == "theirs@v1.0.0"
    with pytest.raises(TagPatternError, match=r"`v9\.0\.0` is no release of this pipeline: .*`theirs@v\{version\}`"):
        team.resolve("v9.0.0")
    with pytest.raises(UnknownTagError, match=r"has no tag theirs@v2\.0\.0"):
        team.resolve("theirs@v2.0.0")


def test_what_was_released_before_the_pattern_was_changed_still_runs(team: Team) -> None:
    commit, trial = team.origin.release("v1.0.0", PIPELINE), team.commit()
    team.release_commit(trial, "2026.3")
    team.release_tag("v1.0.0")
    team.change(tags="{version}")
    assert team.resolve() == team.resolve("v1.0.0") == Release("v1.0.0", commit)
    assert team.resolve("2026.3") == Release("2026.3", trial)


def test_a_tag_that_takes_the_name_of_a_label_at_another_commit_is_refused(team: Team) -> None:
    trial = team.commit()
    team.release_commit(trial, "2026.3")
    team.change(tags="{version}")
    tagged = team.origin.release("2026.3", PIPELINE)
    with pytest.raises(MovedTagError, match=f"{trial}.*{tagged}"):
        team.resolve("2026.3")


def test_a_label_that_was_pinned_by_hand_at_another_commit_is_not_run(team: Team) -> None:
    first, second = team.commit(), team.commit()
    team.release_commit(first, "trial-1")
    team.pins.now = Pin(Release("trial-1", second))
    with pytest.raises(LabelTakenError, match=f"pinned at {second}, and the ledger has it for {first}"):
        team.resolve()


def test_the_live_release_is_found_at_the_origin_without_the_ledger(team: Team) -> None:
    tagged, trial = team.origin.release("v1.0.0", PIPELINE), team.commit()
    pattern, at = TagPattern.of(team.deployment), workspace.mirrors()
    at.mkdir(parents=True)
    with team.opened() as origin:
        assert live_commit(origin, pattern, Release("v1.0.0", trial), at) == tagged
        assert live_commit(origin, pattern, Release("trial-1", trial), at) == trial
        with pytest.raises(CommitGoneError):
            live_commit(origin, pattern, Release("trial-1", "a" * 40), at)
        with pytest.raises(UnknownTagError):
            live_commit(origin, pattern, Release("v2.0.0", trial), at)


@pytest.mark.parametrize(
    ("tags", "said"), [(None, "make release TAG=vX.Y.Z"), ("{name}@v{version}", "make release TAG=theirs@v{version}")]
)
def test_without_a_pin_a_run_says_how_to_release_by_the_pipelines_pattern(
    team: Team, tags: str | None, said: str
) -> None:
    team.change(tags=tags)
    with pytest.raises(NoPinError) as refused:
        team.resolve()
    assert f"{said}, or without a tag: make release COMMIT=<commit> AS=<label>" in str(refused.value)


def _origin_git(team: Team, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=team.origin.path, check=True, capture_output=True)
