"""The only module that runs DVC: `dvc repro` and `dvc push` in a workspace, and the program that describes it."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from retrain import process
from retrain.cached_objects import objects_of, put_aside
from retrain.description import CachedObject, Description, Output
from retrain.dvc_failure import complaint, why_failed
from retrain.environment import Environment
from retrain.errors import DescriptionError, DvcError, LockError, PushError, ReportError

__all__ = ["CachedObject", "Declared", "Dvc", "Lock", "Output", "Reproduced", "StageRun", "put_aside"]

_DESCRIBE = Path(__file__).resolve().parents[2] / "infra" / "dvc" / "describe.py"
_REMOTE = "retrain"
_PUSH_TIMEOUT = 3600.0
_DESCRIBE_TIMEOUT = 600.0
_RUNNING = re.compile(r"Running stage '([^']+)'")
_FROM_CACHE = re.compile(r"Stage '([^']+)' (?:is cached|didn't change)")
_REFUSED = re.compile(r"An error occurred \((?P<code>\w+)\) when calling the (?P<action>\w+) operation")
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_FORBIDDEN = ("AccessDenied", "403")


@dataclass(frozen=True)
class StageRun:
    """One stage in a green `dvc repro`.

    `seconds` from DVC's line about it to its next one, so with the time that DVC took to store its outputs. `peak_memory` is
    the largest resident memory, in bytes, of any one process of the stage. It is sampled four times a second: a process that
    lives for less than that may be missed. 0 for a stage from the cache.
    """

    name: str
    outcome: Literal["ran", "cached"]
    seconds: float
    peak_memory: int


@dataclass(frozen=True)
class Reproduced:
    """What a green `dvc repro` did, in its order, and the seconds that it took."""

    stages: tuple[StageRun, ...]
    seconds: float

    @property
    def executed(self) -> tuple[str, ...]:
        """The stages that ran."""
        return tuple(stage.name for stage in self.stages if stage.outcome == "ran")

    @property
    def cached(self) -> tuple[str, ...]:
        """The stages whose outputs came from the cache."""
        return tuple(stage.name for stage in self.stages if stage.outcome == "cached")


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
                self._runs[found[1]] = StageRun(found[1], "ran" if ran else "cached", 0.0, 0)

    def sample(self, pid: int) -> None:
        stage = self._current
        peak = process.peak_memory_below(pid)
        with self._turn:
            if (
                stage is None or stage != self._current
            ):  # another one began meanwhile: whose process it was is not known
                return
            run = self._runs[stage]
            if run.outcome == "ran":
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

    def repro(self, timeout: float) -> Reproduced:
        """`dvc repro` of every dvc.yaml of the checkout; `timeout` in seconds.

        What the release has of dvc.lock goes first, but for frozen stages: DVC takes outputs that it names out of the cache, whichever
        environment made them.

        Raises:
            DescriptionError: DVC refuses the checkout.
            RetrainError: one of the errors of a stage, with its name and evidence.
        """
        described = self.describe()
        self._forget_locks(described)
        files = sorted({stage.file for stage in described.stages}, key=lambda file: (file.count("/"), file))
        progress = _Progress()
        # Without targets, DVC runs the dvc.yaml at the top, and of others what that one needs.
        done = self._run("repro", *(files if files != ["dvc.yaml"] else ()), timeout=timeout, progress=progress)
        progress.end_stage()
        if done.returncode != 0 or done.timed_out:
            # A talkative stage pushes the names of the stages before it out of the end that is kept.
            raise why_failed(replace(done, output="\n".join([*progress.lines, done.output])))
        return Reproduced(progress.stages(), done.seconds)

    def _forget_locks(self, described: Description) -> None:
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
        """`dvc push`. Exit 0 is no proof: see `retrain.receipt`."""
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


@dataclass(frozen=True)
class Lock:
    """A dvc.lock: `text` as written, its outputs, and the single parameters of all stages by `file:section.name`."""

    text: str
    outputs: tuple[Output, ...]
    params: dict[str, Any]

    def outputs_in(self, keys: Container[str]) -> list[Output]:
        """The outputs whose object is among these keys of a receipt: those that DVC stores."""
        return [output for output in self.outputs if output.item.key in keys]

    @classmethod
    def read(cls, checkout: Path) -> Lock:
        """LockError for a lock that is missing or broken, or that has an output without an MD5 of DVC 3's."""
        params: dict[str, Any] = {}
        try:
            text = (checkout / "dvc.lock").read_text(encoding="utf-8")
            stages = (yaml.safe_load(text) or {}).get("stages") or {}
            folders = _working_folders(checkout)

            def at_top(stage: str, path: str) -> str:
                # dvc.lock's paths are relative to the stage's wdir, which it does not name.
                return os.path.normpath(Path(folders.get(stage.partition("@")[0], "."), path))

            outputs = tuple(
                Output(
                    stage,
                    at_top(stage, out["path"]),
                    _md5_of(out, stage),
                    int(out.get("size", 0)),
                    bool(out.get("isexec")),
                )
                for stage, entry in stages.items()
                for out in entry.get("outs", ())
            )
            for stage, entry in stages.items():
                for file, values in entry.get("params", {}).items():
                    prefix = "" if at_top(stage, file) == "params.yaml" else f"{at_top(stage, file)}:"
                    params.update({f"{prefix}{name}": value for name, value in _leaves(values)})
        except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise LockError(
                f"dvc.lock cannot be read after dvc repro ({why}). Clear reproduce; if it comes back, see dvc.yaml."
            ) from error
        return cls(text, outputs, params)


def _md5_of(out: Mapping[str, Any], stage: str) -> str:
    """The MD5 that names an output's content, `cache: false` included; LockError for an output that has none of DVC 3's."""
    md5, whose = str(out.get("md5")), f"dvc.lock: {out['path']} (stage {stage})"
    if not _MD5.fullmatch(md5):
        raise LockError(
            f"{whose} has {'no MD5' if 'md5' not in out else f'the MD5 {md5!r}'}, so it cannot be proven or restored. "
            "Let the stage write it inside the checkout, for DVC to keep on our remote, in a new release."
        )
    if out.get("hash") != "md5":
        raise LockError(
            f"{whose} has an MD5 as DVC 2 makes them, of other bytes and in another place. "
            "Give the release DVC 3, or none, and a dvc.lock that DVC 3 wrote, or none."
        )
    return md5


def _working_folders(checkout: Path) -> dict[str, str]:
    """Each stage's wdir by its name in dvc.yaml; a templated one is left out, its paths stay as dvc.lock has them."""
    document = yaml.safe_load((checkout / "dvc.yaml").read_text(encoding="utf-8")) or {}
    stages = (document.get("stages") or {}).items()
    folders = {name: str(entry.get("do", entry).get("wdir", ".")) for name, entry in stages}
    return {name: folder for name, folder in folders.items() if "${" not in folder}


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A stage that names a whole section has it nested in dvc.lock: its single values, as `section.name`."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


@dataclass(frozen=True)
class Declared:
    """What a dvc.yaml declares: paths of metrics, plots and models; `uncached` paths are in no cache and on no remote."""

    metrics: tuple[re.Pattern[str], ...]
    plots: tuple[re.Pattern[str], ...]
    models: tuple[re.Pattern[str], ...]
    uncached: tuple[re.Pattern[str], ...]

    @classmethod
    def read(cls, checkout: Path) -> Declared:
        document = yaml.safe_load((checkout / "dvc.yaml").read_text(encoding="utf-8")) or {}
        stages = [entry.get("do", entry) for entry in (document.get("stages") or {}).values()]
        working = [(entry, str(entry.get("wdir", "."))) for entry in stages]
        metrics = [*_entries(document.get("metrics")), *_of_stages(working, "metrics")]
        plots = [*_plot_paths(document.get("plots")), *_of_stages(working, "plots")]
        outs = [*_of_stages(working, "outs"), *_of_stages(working, "metrics"), *_of_stages(working, "plots")]
        models: list[tuple[str, dict[str, Any]]] = [
            (str(artifact["path"]), {})
            for artifact in (document.get("artifacts") or {}).values()
            if artifact.get("type") == "model" and "path" in artifact
        ]
        uncached = [(path, o) for path, o in outs if o.get("cache") is False or o.get("push") is False]
        return cls(_patterns(metrics), _patterns(plots), _patterns(models), _patterns(uncached))


def _entries(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """`[path, {path: options}]` or `{path: options}` as pairs."""
    for item in value.items() if isinstance(value, dict) else (value or ()):
        if isinstance(item, tuple):
            yield str(item[0]), item[1] or {}
        elif isinstance(item, dict):
            yield from _entries(item)
        else:
            yield str(item), {}


def _plot_paths(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """A top-level plot's id is its file, unless its `y` names files."""
    for name, options in _entries(value):
        y = options.get("y") if isinstance(options, dict) else None
        if isinstance(y, dict):
            yield from ((str(file), {}) for file in y)
        else:
            yield name, {}


def _of_stages(stages: list[tuple[dict[str, Any], str]], kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (os.path.normpath(Path(folder, path)), options if isinstance(options, dict) else {})
        for entry, folder in stages
        for path, options in _entries(entry.get(kind))
    ]


def _patterns(paths: Iterable[tuple[str, dict[str, Any]]]) -> tuple[re.Pattern[str], ...]:
    """A templated path `${...}` matches whatever DVC put there."""
    texts = dict.fromkeys(os.path.normpath(path) for path, _ in paths)
    return tuple(re.compile(".+".join(re.escape(part) for part in re.split(r"\$\{[^}]*\}", text))) for text in texts)


def matching(patterns: tuple[re.Pattern[str], ...], lock: Lock, checkout: Path) -> list[Path]:
    """The existing files and folders that a declaration names, relative to the checkout: outputs first, then plain files."""
    outputs = [output.path for output in lock.outputs]
    found: list[str] = []
    for pattern in patterns:
        named = [path for path in outputs if pattern.fullmatch(path)]
        plain = re.sub(r"\\(.)", r"\1", pattern.pattern)
        found += named or ([plain] if (checkout / plain).exists() else [])
    missing = [path for path in found if not (checkout / path).exists()]
    if missing:
        raise ReportError(
            f"dvc.yaml declares {missing[0]}, which is not there after dvc repro. Correct dvc.yaml in a new release."
        )
    return [Path(path) for path in dict.fromkeys(found)]


def exactly(paths: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Paths, as a declaration has them."""
    return _patterns([(path, {}) for path in paths])


def holding(patterns: Iterable[re.Pattern[str]], outputs: Iterable[Output]) -> list[Output]:
    """The outputs that a declaration names, that hold what it names, or that are in a folder that it names."""

    def holds(pattern: re.Pattern[str], output: Output) -> bool:
        plain = re.sub(r"\\(.)", r"\1", pattern.pattern)
        within = plain.startswith(f"{output.path}/") or output.path.startswith(f"{plain}/")
        return within or pattern.fullmatch(output.path) is not None

    known = tuple(patterns)
    return [output for output in outputs if any(holds(pattern, output) for pattern in known)]


def metrics(declared: Declared, lock: Lock, checkout: Path) -> dict[str, float]:
    """All numbers of all metrics files, as `section.name`; a second file with the same name gets its path in front."""
    values: dict[str, float] = {}
    for path in matching(declared.metrics, lock, checkout):
        for name, value in _numbers(_document(checkout / path)):
            values[name if name not in values else f"{path.with_suffix('')}.{name}"] = value
    return values


def _document(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ReportError(
            f"{path.name} cannot be read as JSON or YAML: {' '.join(str(error).split())}. Mend the stage that writes it."
        ) from error


def _numbers(value: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield prefix, float(value)


def reachable(lock: Lock, declared: Declared, cache: Path) -> list[CachedObject]:
    """Every object that the lock's cached outputs are made of."""
    kept = [out for out in lock.outputs if not any(pattern.fullmatch(out.path) for pattern in declared.uncached)]
    return objects_of(kept, cache)
