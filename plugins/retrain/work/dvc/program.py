"""Runs DVC in a workspace. No other module does."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from retrain.errors import DescriptionError, DvcError, PushError
from retrain.work import process
from retrain.work.dvc import configuration
from retrain.work.dvc.description import Description
from retrain.work.dvc.failure import complaint
from retrain.work.dvc.param_values import ParamValue, RefusedParam, SetParam, answered
from retrain.work.dvc.progress import ReproProgress
from retrain.work.dvc.reproduction import Reproduction
from retrain.work.dvc.second_run import SecondRun
from retrain.work.environments.environment import Environment

DEPLOYMENT_DVC = Path(__file__).resolve().parents[4] / "infra" / "dvc"  # the project folder of the deployment's own DVC
_DESCRIBE = DEPLOYMENT_DVC / "describe.py"
_SECOND_RUN = DEPLOYMENT_DVC / "second_run.py"
_SET_PARAMS = DEPLOYMENT_DVC / "set_params.py"
_IGNORED = DEPLOYMENT_DVC / "ignored.py"
_PUSH_TIMEOUT = 3600.0
_ASK_TIMEOUT = 600.0
_REFUSED = re.compile(r"An error occurred \((?P<code>\w+)\) when calling the (?P<action>\w+) operation")
_FORBIDDEN = ("AccessDenied", "403")


@dataclass(frozen=True)
class Dvc:
    """DVC in one workspace. `program` is the release's if its environment has DVC with S3, else the deployment's.

    In both cases the stages find the release's programs first on their PATH. `cache` is the pipeline's, shared by all workspaces;
    its objects are in `files/md5`. `identity` is that of the release's environment. `python` is the deployment's, which has DVC.
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
        """DVC for a checkout of `release`.

        Args:
            checkout: the checkout of one workspace.
            release: the release's environment.
            deployment: the environment of the deployment's own DVC.
            cache: the pipeline's cache.
            extra: variables for DVC and the stages: credentials and settings.
        """
        own = release if release.has_dvc_on_s3 else deployment
        path = os.pathsep.join([str(release.bin), os.environ.get("PATH", os.defpath)])
        settings = {
            "PATH": path,
            "DVC_NO_ANALYTICS": "1",
            # A stage that imports code out of an output, such as a model, must not leave byte code in it.
            "PYTHONDONTWRITEBYTECODE": "1",
            # Otherwise a stage's stdout comes out after the last lines of its stderr, which say why it failed.
            "PYTHONUNBUFFERED": "1",
            # DVC runs stages in the user's login shell, and a service account's may be nologin.
            "SHELL": shutil.which("bash") or "/bin/sh",
        }
        environment = process.environment(**extra, **settings)
        return cls(checkout, own.bin / "dvc", environment, cache, release.identity, deployment.python)

    def configure(self, remote: str, endpoint: str | None) -> None:
        """Point this workspace at the shared cache and at `remote`, an S3 URL. `endpoint` is set for an S3 that is not AWS's.

        Raises:
            DvcError: as for `configuration.write`.
        """
        configuration.write(self.checkout, self.cache, self.identity, remote, endpoint)

    def _run(self, *arguments: str, timeout: float, progress: ReproProgress | None = None) -> process.Finished:
        return process.run(
            [self.program, *arguments],
            cwd=self.checkout,
            env=self.environment,
            timeout=timeout,
            each_line=progress.see if progress else None,
            each_sample=progress.sample if progress else None,
        )

    def describe(self, timeout: float = _ASK_TIMEOUT) -> Description:
        """Ask DVC about the checkout as it is now, for at most `timeout` seconds.

        Raises:
            DescriptionError: DVC refuses the checkout.
            DvcError: the program that asks DVC failed or took too long.
        """
        done = self._ask(_DESCRIBE, timeout=timeout)
        if done.returncode == 0:
            return Description.from_json(done.output, "the checkout")
        try:
            reason = json.loads(done.output)["error"]
        except (ValueError, LookupError, TypeError) as error:
            raise _unanswered(_DESCRIBE, done) from error
        raise DescriptionError(f"DVC refuses the release: {reason}. Fix it in a new release.")

    def second_run(self, described: Description, finished: Path, held: Iterable[str]) -> tuple[SecondRun, ...]:
        """Ask DVC which stages it would skip in this new checkout. No stage is run.

        Args:
            described: this checkout as `describe` returned it.
            finished: a checkout of the same commit and day after its `repro`, with the same cache.
            held: the stages whose outputs a second run takes over: those that fetch their own data.

        Raises:
            DvcError: the program that asks DVC failed or took too long.
        """
        self._forget_dvc_locks(described)
        done = self._ask(_SECOND_RUN, finished, *sorted(held))
        try:
            return SecondRun.from_json(done.output)
        except ValueError as error:
            raise _unanswered(_SECOND_RUN, done) from error

    def set_params(self, values: Mapping[str, Mapping[str, ParamValue]]) -> tuple[SetParam, ...] | RefusedParam:
        """Set values in params files of the checkout, by file and by key in DVC's dotted form, or say which one does not fit.

        A value keeps the kind of the release's own.

        Raises:
            DvcError: the program that sets them failed or took too long.
        """
        done = self._ask(_SET_PARAMS, given=json.dumps(values))
        try:
            return answered(done.output)
        except (ValueError, LookupError, TypeError) as error:
            raise _unanswered(_SET_PARAMS, done) from error

    def ignored(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of these files of the checkout that a .dvcignore hides. They need not exist.

        Raises:
            DvcError: the program that asks DVC failed or took too long.
        """
        done = self._ask(_IGNORED, given=json.dumps(paths))
        try:
            return tuple(json.loads(done.output)["ignored"])
        except (ValueError, LookupError, TypeError) as error:
            raise _unanswered(_IGNORED, done) from error

    def _ask(
        self, program: Path, *arguments: str | Path, given: str = "", timeout: float = _ASK_TIMEOUT
    ) -> process.Finished:
        """Run one of our programs about the checkout with the Python of the deployment's own DVC; its output is stdout alone."""
        return process.run(
            [self.python, "-I", program, *arguments],
            cwd=self.checkout,
            env=self.environment,
            timeout=timeout,
            quiet=True,
            stderr_too=False,
            given=given,
        )

    def reproduction(self, described: Description, timeout: float) -> Reproduction:
        """Begin a reproduction that may take several calls of `dvc repro`, in `timeout` seconds from now on.

        The release's own dvc.lock is removed first, except for its frozen stages: DVC would take the outputs that it names out of
        the cache, from whichever environment they came.
        """
        self._forget_dvc_locks(described)
        return Reproduction(self._run, time.monotonic() + timeout)

    def _forget_dvc_locks(self, described: Description) -> None:
        """Remove from each dvc.lock all stages that DVC may run. Frozen stages and `datasets` stay."""
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
        """Run `dvc push`. Exit 0 proves nothing: see `retrain.store.receipt`.

        Raises:
            PushError: it failed, or took more than an hour.
        """
        done = self._run("push", "--remote", configuration.REMOTE, "--jobs", "4", timeout=_PUSH_TIMEOUT)
        if done.returncode != 0 or done.timed_out:
            why, hint = "it took over an hour" if done.timed_out else complaint(done), "Clear push when S3 answers."
            refused = _REFUSED.search(done.output)
            if refused:  # DVC's own last line only counts the files that failed
                why = f"S3 answered {refused['code']} to {refused['action']}"
                hint = "Give the role this permission, then clear push." if refused["code"] in _FORBIDDEN else hint
            raise PushError(
                f"dvc push to {configuration.remote_url(self.checkout)} failed: {why}. Nothing is lost, the outputs are in the cache. {hint}"
            )


def _unanswered(program: Path, done: process.Finished) -> DvcError:
    how = "took too long" if done.timed_out else f"ended with {done.returncode}"
    return DvcError(
        f"{program.name}, which asks DVC about the checkout, {how}. It has printed the reason. Clear the task."
    )
