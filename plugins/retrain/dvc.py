"""The only module that talks to DVC: runs it in a workspace, and reads its dvc.yaml and dvc.lock."""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from retrain import process
from retrain.environment import Environment
from retrain.errors import (
    CorruptCacheError,
    DataRefusedError,
    DiskFullError,
    LockError,
    PushError,
    ReportError,
    RetrainError,
    StageCodeError,
    StageFailedError,
    StageKilledError,
    StageTimeoutError,
    StageUnavailableError,
)

# A stage's own words for how it ended, after sysexits(3).
_OWN_WORDS: dict[int | None, tuple[type[RetrainError], str]] = {
    65: (DataRefusedError, "refused its data"),
    75: (StageUnavailableError, "could not reach what it needs"),
    78: (StageCodeError, "cannot read its inputs"),
}
EX_DVC = 255  # DVC's own, for whatever went wrong
_SHELL_SIGNAL = 128
_REMOTE = "retrain"
_PUSH_TIMEOUT = 3600.0
_LAST_LINES = 6
_FAILED = re.compile(r"(?:ERROR: )?failed to reproduce '(?P<stage>[^']+)': (?P<why>.*)")
_EXITED = re.compile(r"exited with (-?\d+)$")
_RUNNING = re.compile(r"Running stage '([^']+)'")
_FROM_CACHE = re.compile(r"Stage '([^']+)' (?:is cached|didn't change)")
_REFUSED = re.compile(r"An error occurred \((?P<code>\w+)\) when calling the (?P<action>\w+) operation")
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_FORBIDDEN = ("AccessDenied", "403")
_CODE_EVIDENCE = re.compile(
    r"^(ModuleNotFoundError|ImportError|SyntaxError|IndentationError|NameError|AttributeError)\b.*", re.MULTILINE
)


@dataclass(frozen=True)
class Reproduced:
    """What a green `dvc repro` did: the stages that ran, the stages whose outputs came from the cache, seconds."""

    executed: tuple[str, ...]
    cached: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class CachedObject:
    """One content-addressed object, and the first output and file that need it."""

    md5: str
    stage: str
    path: str

    @property
    def checksum(self) -> str:
        """The MD5 of its content, 32 hex digits."""
        return self.md5.removesuffix(".dir")

    @property
    def key(self) -> str:
        """Where DVC keeps it, below a cache or a remote."""
        return f"files/md5/{self.md5[:2]}/{self.md5[2:]}"


@dataclass(frozen=True)
class Output:
    """One output of dvc.lock. `md5` ends in `.dir` for a directory; `size` in bytes; `executable` for a file that may be run."""

    stage: str
    path: str
    md5: str
    size: int
    executable: bool = False

    @property
    def item(self) -> CachedObject:
        """The object that it is, or the listing of its folder."""
        return CachedObject(self.md5, self.stage, self.path)


@dataclass(frozen=True)
class Dvc:
    """DVC in one workspace: its own program when the release brings DVC with S3, else the deployment's.

    The release's programs come first on the PATH of the stages either way.
    """

    checkout: Path
    program: Path
    environment: dict[str, str]
    cache: Path

    @classmethod
    def of(cls, checkout: Path, release: Environment, deployment: Path, cache: Path, extra: Mapping[str, str]) -> Dvc:
        """`deployment` is the bin folder of the deployment's own DVC; `extra` the credentials and settings of the stages."""
        program = (release.bin if release.has_dvc_on_s3 else deployment) / "dvc"
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
        return cls(checkout, program, process.environment(**extra, **settings), cache)

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
        config["cache"] = {"dir": str(self.cache), "type": "reflink,copy"}
        config[f"'remote \"{_REMOTE}\"'"] = {"url": remote, **({"endpointurl": endpoint} if endpoint else {})}
        target = self.checkout / ".dvc" / "config.local"
        target.parent.mkdir(exist_ok=True)
        with target.open("w", encoding="utf-8") as file:
            config.write(file)

    def _run(self, *arguments: str, timeout: float, each_line: Callable[[str], None] | None = None) -> process.Finished:
        return process.run(
            [self.program, *arguments], cwd=self.checkout, env=self.environment, timeout=timeout, each_line=each_line
        )

    def repro(self, timeout: float) -> Reproduced:
        """`dvc repro`; one of the stage errors, with stage and evidence, when it is not green."""
        progress: list[str] = []

        def keep(line: str) -> None:
            if _RUNNING.match(line) or _FROM_CACHE.match(line):
                progress.append(line)

        done = self._run("repro", timeout=timeout, each_line=keep)
        # A talkative stage pushes the names of the stages before it out of the end that is kept.
        done = replace(done, output="\n".join([*progress, done.output]))
        if done.returncode != 0 or done.timed_out:
            raise why_failed(done)
        executed = tuple(dict.fromkeys(_RUNNING.findall(done.output)))
        cached = tuple(dict.fromkeys(_FROM_CACHE.findall(done.output)))
        return Reproduced(executed, cached, done.seconds)

    def push(self) -> None:
        """`dvc push`. Exit 0 is no proof: see `retrain.receipt`."""
        done = self._run("push", "--remote", _REMOTE, "--jobs", "4", timeout=_PUSH_TIMEOUT)
        if done.returncode != 0 or done.timed_out:
            why, hint = "it took over an hour" if done.timed_out else _complaint(done), "Clear push when S3 answers."
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


def why_failed(done: process.Finished) -> RetrainError:
    """The failure of a `dvc repro`, named from its evidence: exit code, signal, error lines; else StageFailedError."""
    match = _FAILED.search(done.output)
    running = _RUNNING.findall(done.output)
    stage = match["stage"] if match else (running[-1] if running else "?")
    exited = _EXITED.search(match["why"]) if match else None
    code = int(exited.group(1)) if exited else None
    before = [
        line.strip() for line in done.output[: match.start() if match else None].splitlines() if line.strip(" \x1b[0m")
    ]
    evidence = next((line for line in reversed(before) if not line.startswith("ERROR: ")), "no output")
    if done.timed_out:
        return StageTimeoutError(
            f"dvc repro was ended after {done.seconds / 60:.0f} minutes, in stage {stage}. "
            "Raise limits.reproduce_minutes, or find what is slow; finished stages come back from the cache."
        )
    if code in _OWN_WORDS:
        kind, words = _OWN_WORDS[code]
        return kind(f"Stage {stage} {words}: {evidence}")
    if "No space left on device" in done.output:
        return DiskFullError(f"Stage {stage}: no space left on device. Free some space, then clear reproduce.")
    number = _signal_of(code if code is not None else done.returncode)
    if number is not None:
        memory = " (often the kernel's, out of memory)" if number == signal.SIGKILL else ""
        return StageKilledError(
            f"Stage {stage} was ended by signal {number}{memory}. Clear reproduce; finished stages come back."
        )
    found = _CODE_EVIDENCE.findall(done.output) and _CODE_EVIDENCE.search(done.output)
    if found:
        return StageCodeError(f"Stage {stage} failed: {found.group(0)}. It needs a new release, or make rollback.")
    if match is None:
        told = f"dvc repro failed with exit {done.returncode}: {_complaint(done)}"
    else:
        told = f"Stage {stage} failed" + (f": {match['why']}" if code is None else f" with exit {code}: {evidence}")
    return StageFailedError(told)


def _complaint(done: process.Finished) -> str:
    """What DVC itself says is wrong: its last error line, else the end of its output."""
    errors = [line for line in done.lines if line.startswith("ERROR: ")]
    end = " ".join(line.strip() for line in done.lines[-_LAST_LINES:])
    return errors[-1].removeprefix("ERROR: ") if errors else end or "no output"


def _signal_of(returncode: int) -> int | None:
    """The signal that ended a process, from its own return code or from a shell's 128 + n."""
    if returncode < 0:
        return -returncode
    return returncode - _SHELL_SIGNAL if _SHELL_SIGNAL < returncode < EX_DVC else None


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
    """Every object that the lock's cached outputs are made of, directories expanded, each once, sorted.

    Raises:
        LockError: a directory's listing is not in the cache, so what it holds cannot be told.
        CorruptCacheError: a directory's listing is not its name's content. It is put aside.
    """
    objects: dict[str, CachedObject] = {}
    for output in lock.outputs:
        if any(pattern.fullmatch(output.path) for pattern in declared.uncached):
            continue
        own = output.item
        objects.setdefault(own.md5, own)
        if output.md5.endswith(".dir"):
            for member in _listing(cache / own.key, output):
                objects.setdefault(
                    member["md5"], CachedObject(member["md5"], output.stage, f"{output.path}/{member['relpath']}")
                )
    return [objects[md5] for md5 in sorted(objects)]


def _listing(path: Path, output: Output) -> list[dict[str, str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LockError(
            f"The listing {output.md5} of {output.path} (stage {output.stage}) is not in the cache ({error}). Clear reproduce."
        ) from error
    # What a spoilt listing names is not what the folder holds; and DVC would take it on trust for ever.
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != output.item.checksum:
        put_aside(path)
        raise CorruptCacheError(
            f"The listing of {output.path} (stage {output.stage}, {output.item.key}) in the cache is not what its name says. "
            "It was put aside as *.corrupt-*, nothing was sent. Clear reproduce: the stage that made it runs again. Check the disk."
        )
    listing: list[dict[str, str]] = json.loads(content)
    return listing


def put_aside(path: Path) -> None:
    """Take a corrupt object out of the cache and keep its bytes beside it, for whoever looks into the disk."""
    path.rename(path.with_suffix(f".corrupt-{time.time_ns()}"))
