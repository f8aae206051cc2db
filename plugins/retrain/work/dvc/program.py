"""The only module that runs DVC: `dvc repro` and `dvc push` in a workspace, and the program that describes it."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from retrain.errors import DescriptionError, DvcError, PushError
from retrain.run.stage_run import Outcome, StageRun
from retrain.work import process
from retrain.work.dvc.description import Description
from retrain.work.dvc.failure import complaint, why_failed
from retrain.work.environments.environment import Environment

DEPLOYMENT_DVC = Path(__file__).resolve().parents[4] / "infra" / "dvc"  # the deployment's own: a project folder
_DESCRIBE = DEPLOYMENT_DVC / "describe.py"
_REMOTE = "retrain"
_PUSH_TIMEOUT = 3600.0
_DESCRIBE_TIMEOUT = 600.0
_RUNNING = re.compile(r"Running stage '([^']+)'")
_FROM_CACHE = re.compile(r"Stage '([^']+)' (?:is cached|didn't change)")
_REFUSED = re.compile(r"An error occurred \((?P<code>\w+)\) when calling the (?P<action>\w+) operation")
_FORBIDDEN = ("AccessDenied", "403")


@dataclass(frozen=True)
class Reproduced:
    """What a green `dvc repro` did, in its order, and the seconds that it took."""

    stages: tuple[StageRun, ...]
    seconds: float

    @property
    def executed(self) -> tuple[str, ...]:
        """The stages that ran."""
        return tuple(stage.name for stage in self.stages if stage.outcome is Outcome.RAN)

    @property
    def cached(self) -> tuple[str, ...]:
        """The stages whose outputs came from the cache."""
        return tuple(stage.name for stage in self.stages if stage.outcome is Outcome.CACHED)


@dataclass
class _Progress:
    """Follows a `dvc repro`: its own lines, which say where it is, and the memory below it. Two threads tell it."""

    lines: list[str] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _runs: dict[str, StageRun] = field(default_factory=dict)
    _current: str | None = None
    _since: float = 0.0

    def see(self, line: str) -> None:
        ran, cached = _RUNNING.match(line), _FROM_CACHE.match(line)
        found = ran or cached
        if found:
            self.end_stage()
            self.lines.append(line)
            with self._turn:
                self._current = found[1]
                self._runs[found[1]] = StageRun(found[1], Outcome.RAN if ran else Outcome.CACHED, 0.0, 0)

    def sample(self, pid: int) -> None:
        stage = self._current
        peak = process.peak_memory_below(pid)
        with self._turn:
            if stage is None or stage != self._current:
                return  # another one began meanwhile: whose process it was is not known
            run = self._runs[stage]
            if run.outcome is Outcome.RAN:
                self._runs[stage] = replace(run, peak_memory=max(run.peak_memory, peak))

    def end_stage(self) -> None:
        now = time.monotonic()
        with self._turn:
            if self._current is not None:
                self._runs[self._current] = replace(self._runs[self._current], seconds=now - self._since)
            self._current, self._since = None, now

    def stages(self) -> tuple[StageRun, ...]:
        return tuple(self._runs.values())


@dataclass(frozen=True)
class Dvc:
    """DVC in one workspace: its own program when the release brings DVC with S3, else the deployment's.

    The release's programs come first on the PATH of the stages either way. `cache` is the pipeline's, shared by all workspaces:
    its objects are at `files/md5`. `identity` is that of the release's environment; `python` is the deployment's, which has DVC.
    """

    checkout: Path
    program: Path
    environment: dict[str, str]
    cache: Path
    identity: str
    python: Path

    @classmethod
    def of(
        cls, checkout: Path, release: Environment, deployment: Environment, cache: Path, extra: Mapping[str, str]
    ) -> Dvc:
        """`deployment` is the deployment's own DVC environment; `extra` the credentials and settings of the stages."""
        own = release if release.has_dvc_on_s3 else deployment
        path = os.pathsep.join([str(release.bin), os.environ.get("PATH", os.defpath)])
        settings = {
            "PATH": path,
            "DVC_NO_ANALYTICS": "1",
            # A stage that imports code out of an output, such as a model, must not leave byte code in it.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Else what a stage has printed comes out after its last words on stderr, which are the reason it gives.
            "PYTHONUNBUFFERED": "1",
            # DVC runs stages in the user's login shell, and a service account's may be nologin.
            "SHELL": shutil.which("bash") or "/bin/sh",
        }
        environment = process.environment(**extra, **settings)
        return cls(checkout, own.bin / "dvc", environment, cache, release.identity, deployment.python)

    def configure(self, remote: str, endpoint: str | None) -> None:
        """Point this workspace, and only it, at the shared cache and at our remote, whatever the release's configuration says."""
        config = configparser.ConfigParser(interpolation=None)
        config["core"] = {
            "remote": _REMOTE,
            "analytics": "false",
            "check_update": "false",
            "site_cache_dir": str(self.checkout.parent / "site-cache"),
        }
        # Copies, never links: an append through a hard link would corrupt the shared object without a word.
        config["cache"] = {"dir": str(self._cache_of_environment()), "type": "reflink,copy"}
        config[f"'remote \"{_REMOTE}\"'"] = {"url": remote, **({"endpointurl": endpoint} if endpoint else {})}
        target = self.checkout / ".dvc" / "config.local"
        target.parent.mkdir(exist_ok=True)
        with target.open("w", encoding="utf-8") as file:
            config.write(file)

    def _cache_of_environment(self) -> Path:
        """A cache folder for this environment alone, in which `files` leads to the objects that all environments share.

        DVC's run cache, `runs`, is beside `files`. It knows command, dependencies and parameters of a stage, and no package: in
        one for all, a release that changes only packages would be given the old outputs.
        """
        folder, objects = self.cache / "environments" / self.identity[:32], self.cache / "files"
        for each in (folder, objects):
            each.mkdir(parents=True, exist_ok=True)
        link = folder / "files"
        try:
            link.symlink_to(Path("..", "..", "files"))  # relative: the volume may be mounted elsewhere tomorrow
        except FileExistsError:
            if not link.samefile(objects):
                raise DvcError(
                    f"{link} is not the link to {objects} that it should be, so DVC would keep objects elsewhere. "
                    f"Move it away, then clear reproduce."
                ) from None
        return folder

    def _run(self, *arguments: str, timeout: float, progress: _Progress | None = None) -> process.Finished:
        return process.run(
            [self.program, *arguments],
            cwd=self.checkout,
            env=self.environment,
            timeout=timeout,
            each_line=progress.see if progress else None,
            each_sample=progress.sample if progress else None,
        )

    def describe(self) -> Description:
        """What DVC knows of the checkout now.

        Raises:
            DescriptionError: DVC refuses the checkout.
            DvcError: DVC did not come to an answer.
        """
        done = process.run(
            [self.python, "-I", _DESCRIBE],
            cwd=self.checkout,
            env=self.environment,
            timeout=_DESCRIBE_TIMEOUT,
            quiet=True,
            stderr_too=False,
        )
        if done.returncode == 0:
            return Description.from_json(done.output, "the checkout")
        try:
            reason = json.loads(done.output)["error"]
        except (ValueError, LookupError, TypeError) as error:
            how = (
                f"took over {_DESCRIBE_TIMEOUT / 60:.0f} minutes" if done.timed_out else f"ended with {done.returncode}"
            )
            raise DvcError(
                f"{_DESCRIBE.name}, which asks DVC about the checkout, {how}. Its reason is in the task's log. Clear the task."
            ) from error
        raise DescriptionError(f"DVC refuses the release: {reason}. Fix it in a new release.")

    def repro(self, described: Description, timeout: float) -> Reproduced:
        """`dvc repro` of the checkout, as it was `described` before: the dvc.yaml at the top, and of others what it needs.

        What the release has of dvc.lock goes first, but for frozen stages: DVC takes outputs that it names out of the cache, whichever
        environment made them.

        Args:
            timeout: seconds.

        Raises:
            RetrainError: one of the errors of a stage, with its name and evidence.
        """
        self._forget_dvc_locks(described)
        progress = _Progress()
        done = self._run("repro", timeout=timeout, progress=progress)
        progress.end_stage()
        if done.returncode != 0 or done.timed_out:
            # A talkative stage pushes the names of the stages before it out of the end that is kept.
            raise why_failed(replace(done, output="\n".join([*progress.lines, done.output])))
        return Reproduced(progress.stages(), done.seconds)

    def _forget_dvc_locks(self, described: Description) -> None:
        """Leave of each dvc.lock the stages that DVC never runs, and what is no stage."""
        for file in {stage.file for stage in described.stages}:
            path = self.checkout / PurePosixPath(file).with_suffix(".lock")
            if not path.is_file():
                continue
            frozen = {
                stage.name.rpartition(":")[2] for stage in described.stages if stage.file == file and stage.frozen
            }
            lock: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            lock["stages"] = {name: entry for name, entry in (lock.get("stages") or {}).items() if name in frozen}
            if lock["stages"] or "datasets" in lock:
                path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
            else:
                path.unlink()

    def push(self) -> None:
        """`dvc push`. Exit 0 is no proof: see `retrain.store.receipt`."""
        done = self._run("push", "--remote", _REMOTE, "--jobs", "4", timeout=_PUSH_TIMEOUT)
        if done.returncode != 0 or done.timed_out:
            why, hint = "it took over an hour" if done.timed_out else complaint(done), "Clear push when S3 answers."
            refused = _REFUSED.search(done.output)
            if refused:  # DVC's own last words are how many files failed
                why = f"S3 answered {refused['code']} to {refused['action']}"
                hint = "Give the role this permission, then clear push." if refused["code"] in _FORBIDDEN else hint
            raise PushError(
                f"dvc push to {self._remote_url()} failed: {why}. Nothing is lost, the outputs are in the cache. {hint}"
            )

    def _remote_url(self) -> str:
        config = configparser.ConfigParser(interpolation=None)
        config.read(self.checkout / ".dvc" / "config.local", encoding="utf-8")
        return config.get(f"'remote \"{_REMOTE}\"'", "url", fallback=_REMOTE)
