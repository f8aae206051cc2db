"""Runs DVC in a workspace. No other module does."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from retrain.deployment.run_settings import RunSettings
from retrain.errors import DescriptionError, DvcError, PushError
from retrain.work import process
from retrain.work.dvc import configuration, locks_of_run, repro_targets
from retrain.work.dvc.description import Description
from retrain.work.dvc.errors import HydraError
from retrain.work.dvc.failure import complaint
from retrain.work.dvc.param_values import ParamValue, RefusedParam, SetParam, answered
from retrain.work.dvc.progress import ReproProgress
from retrain.work.dvc.project_root import place_in_project
from retrain.work.dvc.reproduction import Reproduction
from retrain.work.dvc.second_run import SecondRun
from retrain.work.environments.environment import Environment
from retrain.work.run_environment import RunEnvironment, run_cache_identity
from retrain.work.stage_variables import NO_VARIABLES, StageVariables

DEPLOYMENT_DVC = Path(__file__).resolve().parents[4] / "infra" / "dvc"  # the project folder of the deployment's own DVC
_COMPOSE = DEPLOYMENT_DVC / "compose.py"
_DESCRIBE = DEPLOYMENT_DVC / "describe.py"
_SECOND_RUN = DEPLOYMENT_DVC / "second_run.py"
_SET_PARAMS = DEPLOYMENT_DVC / "set_params.py"
_IGNORED = DEPLOYMENT_DVC / "ignored.py"
_NOT_FOUND = 'for each; do command -v -- "$each" >/dev/null || echo "$each"; done'
_PUSH_TIMEOUT = 3600.0
_ASK_TIMEOUT = 600.0
_REFUSED = re.compile(r"An error occurred \((?P<code>\w+)\) when calling the (?P<action>\w+) operation")
_FORBIDDEN = ("AccessDenied", "403")


@dataclass(frozen=True)
class Dvc:
    """DVC in one workspace. `program` is the release's if its environment has DVC with S3, else the deployment's.

    In both cases the stages find the release's programs first on their PATH. `cache` is the pipeline's, shared by all workspaces;
    its objects are in `files/md5`. `identity` names the folder of the run cache. `python` is the deployment's, which has DVC.
    `checkout` is the top of the DVC project. `targets` are the arguments of `dvc repro`; by default it runs the dvc.yaml there.

    `environment` has the variables of our own programs and of `dvc push`, `stages` those of `dvc repro` and hence of the stages;
    `hidden` are the texts that nothing shows of what these print.
    """

    checkout: Path
    program: Path
    environment: dict[str, str]
    cache: Path
    identity: str
    python: Path
    targets: tuple[str, ...] = ()
    stages: dict[str, str] = field(default_factory=dict, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        checkout: Path,
        release: Environment,
        deployment: Environment,
        cache: Path,
        extra: Mapping[str, str],
        *,
        run: RunEnvironment | None = None,
        variables: StageVariables = NO_VARIABLES,
    ) -> Dvc:
        """DVC for a checkout of `release`.

        Args:
            checkout: the checkout of one workspace.
            release: the release's environment.
            deployment: the environment of the deployment's own DVC.
            cache: the pipeline's cache.
            extra: variables for DVC and the stages: credentials and settings.
            run: the environment of this run on top of `release`, for the stages; None if none is run.
            variables: those of the pipeline's file, for the stages alone.
        """
        own = release if release.has_dvc_on_s3 else deployment
        path = os.pathsep.join([str(release.bin), os.environ.get("PATH", os.defpath)])
        trees = run.trees if run else {}
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
        stages = variables.over({**environment, "PATH": run.search_path if run else path})
        identity = run_cache_identity(release.identity, trees, variables.env)
        known = (checkout, own.bin / "dvc", environment, cache, identity, deployment.python)
        return cls(*known, stages=stages, hidden=variables.hidden)

    def aimed(self, settings: RunSettings) -> Self:
        """The same with the targets of a run."""
        place = place_in_project(self.checkout, settings.folder)
        return replace(self, targets=repro_targets.arguments(settings.targets, place))

    def configure(self, remote: str, endpoint: str | None) -> None:
        """Point this workspace at the shared cache and at `remote`, an S3 URL. `endpoint` is set for an S3 that is not AWS's.

        Raises:
            DvcError: as for `configuration.write`.
        """
        configuration.write(self.checkout, self.cache, self.identity, remote, endpoint)

    def _run(
        self, *arguments: str, timeout: float, progress: ReproProgress | None = None, stages: bool = True
    ) -> process.Finished:
        """Run DVC itself; with `stages` in their environment, which it passes on to them.

        DVC's own Python ignores PYTHONPATH and the like, which may be a stage's: its lines come in order without them.
        """
        return process.run(
            [self.program.parent / "python", "-I", "-u", "-B", self.program, *arguments],
            cwd=self.checkout,
            env=self.stages if stages else self.environment,
            hidden=self.hidden,
            timeout=timeout,
            each_line=progress.see if progress else None,
            each_sample=progress.sample if progress else None,
        )

    def compose_params(self, *, code: bool = True) -> str | None:
        """Compose params.yaml with Hydra if .dvc/config of the checkout says so; returns where from, None if it does not.

        Args:
            code: load the Hydra plugins of the project, as DVC does. Without, no code of the project is run.

        Raises:
            HydraError: Hydra refuses.
            DvcError: the program that composes failed or took too long.
        """
        if not configuration.names_hydra(self.checkout):
            return None
        done = self.ask(_COMPOSE, *(() if code else ("--no-code",)))
        try:
            answer = json.loads(done.output)
            if "error" not in answer:
                return None if answer["composed"] is None else str(answer["composed"])
        except (ValueError, LookupError, TypeError) as error:
            raise unanswered(_COMPOSE, done) from error
        raise HydraError(
            f"params.yaml cannot be composed, as hydra.enabled in .dvc/config says: {answer['error']}. Fix the configuration in a new "
            "release; what its plugins and modules import has to be in DVC's own environment."
        )

    def describe(self, timeout: float = _ASK_TIMEOUT) -> Description:
        """Ask DVC about the checkout as it is now, for at most `timeout` seconds.

        Raises:
            TargetError: a target is no stage and no dvc.yaml of the checkout.
            NotAPipelineError: there are no targets, and no dvc.yaml at the top.
            DescriptionError: DVC refuses the checkout.
            DvcError: the program that asks DVC failed or took too long.
        """
        done = self.ask(_DESCRIBE, *self.targets, timeout=timeout)
        if done.returncode == 0:
            return Description.from_json(done.output, "the checkout").without(self.hidden)
        try:
            answer = json.loads(done.output)
            if "target" in answer:
                raise repro_targets.refused(answer["target"], answer["near"], answer["files"], self.targets)
            reason = answer["error"]
        except (ValueError, LookupError, TypeError) as error:
            raise unanswered(_DESCRIBE, done) from error
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
        locks_of_run.forget_committed(self.checkout, described)
        done = self.ask(_SECOND_RUN, finished, *self.targets, given=json.dumps(sorted(held)))
        try:
            return SecondRun.from_json(done.output)
        except ValueError as error:
            raise unanswered(_SECOND_RUN, done) from error

    def set_params(self, values: Mapping[str, Mapping[str, ParamValue]]) -> tuple[SetParam, ...] | RefusedParam:
        """Set values in params files of the checkout, by file and by key in DVC's dotted form, or say which one does not fit.

        A value keeps the kind of the release's own.

        Raises:
            DvcError: the program that sets them failed or took too long.
        """
        done = self.ask(_SET_PARAMS, given=json.dumps(values))
        try:
            return answered(done.output)
        except (ValueError, LookupError, TypeError) as error:
            raise unanswered(_SET_PARAMS, done) from error

    def ignored(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of these files of the checkout that a .dvcignore hides. They need not exist.

        Raises:
            DvcError: the program that asks DVC failed or took too long.
        """
        done = self.ask(_IGNORED, given=json.dumps(paths))
        try:
            return tuple(json.loads(done.output)["ignored"])
        except (ValueError, LookupError, TypeError) as error:
            raise unanswered(_IGNORED, done) from error

    def ask(
        self,
        program: Path,
        *arguments: str | Path,
        given: str = "",
        timeout: float = _ASK_TIMEOUT,
        environment: Mapping[str, str] | None = None,
    ) -> process.Finished:
        """Run one of our programs about the checkout with the Python of the deployment's own DVC; its output is stdout alone."""
        return process.run(
            # Not -I: our programs import each other from their own folder.
            [self.python, "-E", "-s", program, *arguments],
            cwd=self.checkout,
            env=self.environment if environment is None else environment,
            timeout=timeout,
            quiet=True,
            stderr_too=False,
            given=given,
        )

    def lacks(self, programs: Sequence[str]) -> tuple[str, ...]:
        """Those of these programs that a stage's shell does not find. The shell is asked, which may know functions too."""
        if not programs:
            return ()
        asked = [self.stages["SHELL"], "-c", _NOT_FOUND, "sh", *programs]
        done = process.run(
            asked, cwd=self.checkout, env=self.stages, timeout=_ASK_TIMEOUT, quiet=True, hidden=self.hidden
        )
        return tuple(each for each in programs if each in done.lines)

    def reproduction(self, described: Description, timeout: float) -> Reproduction:
        """Begin a reproduction that may take several calls of `dvc repro`, in `timeout` seconds from now on.

        The release's own dvc.lock is removed first, except for its frozen stages: DVC would take the outputs that it names out of
        the cache, from whichever environment they came.
        """
        locks_of_run.forget_committed(self.checkout, described)
        # DVC's own --all-pipelines also looks at .dvc files that no stage needs, and fails if it does not have their data.
        every = tuple(sorted({stage.file for stage in described.stages}))
        targets = every if repro_targets.ALL in self.targets else self.targets
        return Reproduction(self._run, time.monotonic() + timeout, targets)

    def push(self) -> None:
        """Run `dvc push`. Exit 0 proves nothing: see `retrain.store.receipt`.

        Raises:
            PushError: it failed, or took more than an hour.
        """
        done = self._run("push", "--remote", configuration.REMOTE, "--jobs", "4", timeout=_PUSH_TIMEOUT, stages=False)
        if done.returncode != 0 or done.timed_out:
            why, hint = "it took over an hour" if done.timed_out else complaint(done), "Clear push when S3 answers."
            refused = _REFUSED.search(done.output)
            if refused:  # DVC's own last line only counts the files that failed
                why = f"S3 answered {refused['code']} to {refused['action']}"
                hint = "Give the role this permission, then clear push." if refused["code"] in _FORBIDDEN else hint
            raise PushError(
                f"dvc push to {configuration.remote_url(self.checkout)} failed: {why}. Nothing is lost, the outputs are in the cache. {hint}"
            )


def unanswered(program: Path, done: process.Finished) -> DvcError:
    """The error for one of our programs that asks DVC and gave no answer."""
    how = "took too long" if done.timed_out else f"ended with {done.returncode}"
    return DvcError(
        f"{program.name}, which asks DVC about the checkout, {how}. It has printed the reason. Clear the task."
    )
