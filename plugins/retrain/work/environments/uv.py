"""Runs uv; a failed run becomes an error of this project."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from retrain.errors import (
    ConfigurationError,
    DiskFullError,
    EnvironmentBuildError,
    EnvironmentDefinitionError,
    EnvironmentGoneError,
    RetrainError,
)
from retrain.work import process
from retrain.work.environments.errors import StaleLockError
from retrain.work.environments.frozen import name_and_version

TIMEOUT = 1800.0  # seconds, for one start of uv
LONGEST = 4 * TIMEOUT  # seconds; uv is started up to four times under one file lock
FIX = "Fix it in a new release."
WITHOUT = (
    "Code, data, model and reports can be restored without it: make restore with NO_ENVIRONMENT=1 (--no-environment)."
)
_LONGEST = 600  # characters of evidence
_NETWORK = (
    "dns error",
    "connection refused",
    "connection reset",
    "timed out",
    "network is unreachable",
    "failed to fetch",
    "could not connect",
    "could not resolve host",
    "request failed",
    "temporary failure",
    "(401 unauthorized",
    "(403 forbidden",
    "valid authentication credentials",
)
_UNTRUSTED = ("invalid peer certificate", "no default certificates will be trusted")
_NO_ACCESS = ("(401 unauthorized", "(403 forbidden", "valid authentication credentials")
_NO_VERSION = re.compile(
    r"there (?:is|are) no versions? of ([\w.\-]+)|because ([\w.\-]+) was not found in", re.IGNORECASE
)
_NO_FILE = re.compile(r"failed to (?:download and build|download|fetch|build) `([^`]+)`", re.IGNORECASE)
_OTHER_FILE = re.compile(r"hash mismatch for `([^`]+)`", re.IGNORECASE)
# uv draws its errors with boxes, or with words where its output is no terminal.
_ERROR = re.compile(r"error:|\s*\u00d7")
_CAUSE = re.compile(r"\s*(?:cause:|\u2570|\u251c)")
_MARK = re.compile(r"^\s*(?:error:|cause:|[\u00d7\u2570\u251c\u2500\u25b6\u2502]+)?\s*")
_STALE_LOCK = re.compile(r"lockfile at .* needs to be updated|failed to parse `[^`]*uv\.lock`")
_NOT_THERE = ("(404", "(410", "not our ref", "couldn't find remote ref", "not appear to be a git repository")


def program() -> Path:
    """The uv program: RETRAIN_UV, else the one on the PATH.

    Raises:
        ConfigurationError: there is none.
    """
    named = os.environ.get("RETRAIN_UV") or shutil.which("uv")
    if not named or not Path(named).is_file():
        raise ConfigurationError(f"uv is not at {named!r}. Set RETRAIN_UV to the path of the program uv.")
    return Path(named)


def is_there() -> bool:
    """True if there is a uv program. The image of Airflow's own components has none."""
    try:
        program()
    except ConfigurationError:
        return False
    return True


def run(*arguments: str | Path, cwd: Path, timeout: float = TIMEOUT, quiet: bool = False) -> process.Finished:
    """Run uv in `cwd`, whose uv configuration it reads. It uses our Python and downloads none. If `quiet`, its output is not logged.

    It trusts the certificates of the system's store, as pip does, unless UV_SYSTEM_CERTS says otherwise.

    Raises:
        ConfigurationError: there is no uv program.
    """
    settings = process.environment(
        UV_PYTHON=sys.executable,
        UV_PYTHON_DOWNLOADS="never",
        UV_NO_PROGRESS="1",
        UV_SYSTEM_CERTS=os.environ.get("UV_SYSTEM_CERTS") or "1",
    )
    return process.run([program(), *arguments], cwd=cwd, env=settings, timeout=timeout, quiet=quiet)


def could_not_connect(done: process.Finished) -> bool:
    """True if uv failed because it did not reach a package index, which says nothing about the release."""
    output = done.output.lower()
    return (
        done.returncode > 0
        and any(word in output for word in _NETWORK)
        and not any(word in output for word in _NO_ACCESS)
    )


def cache() -> Path:
    """The folder of uv's cache.

    Raises:
        ConfigurationError: there is no uv program.
        EnvironmentBuildError: uv does not say where it is.
    """
    done = run("cache", "dir", cwd=Path("/"))
    if done.returncode != 0 or not done.lines:
        raise EnvironmentBuildError(f"uv does not say where its cache is: {evidence(done)} Correct UV_CACHE_DIR.")
    return Path(done.lines[-1].strip())


def prune_cache(*, packages: bool) -> None:
    """Remove from uv's cache what it cannot use again; with `packages` also the packages that it can download again.

    It waits for running uv processes.

    Raises:
        ConfigurationError: there is no uv program.
        EnvironmentBuildError: uv failed.
    """
    done = run("cache", "prune", *(["--ci"] if packages else []), cwd=Path("/"))
    if done.returncode != 0:
        raise EnvironmentBuildError(
            f"uv's cache was not pruned: {evidence(done)} Look at the folder, then clear the task."
        )


def failure(done: process.Finished, problem: str, fix: str) -> RetrainError:
    """The error of a failed run of uv. `problem` begins its sentence; `fix` ends it if the release is at fault."""
    output, why = done.output.lower(), evidence(done)
    if "no space left on device" in output:
        return DiskFullError(f"{problem}: {why} Free some space, then clear the task.")
    if any(word in output for word in _UNTRUSTED):
        return EnvironmentBuildError(f"{problem}: {why} {_trusted()}")
    # A negative code is a signal's, which says nothing about the release.
    if any(word in output for word in _NETWORK) or done.timed_out or done.returncode < 0:
        return EnvironmentBuildError(f"{problem}: {why} Check the package index, then clear the task.")
    if _STALE_LOCK.search(output):
        return StaleLockError(f"{problem}: {why} Run uv lock, and commit uv.lock in a new release.")
    return EnvironmentDefinitionError(f"{problem}: {why} {fix}")


def _trusted() -> str:
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    named = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    return (
        "Add the certificate of the package index, or of the proxy before it, to the system's store of the machine that runs the "
        f"tasks, or to the file that SSL_CERT_FILE names ({', '.join(named) or 'not set now'}), then clear the task."
    )


def gone(done: process.Finished, requirements: list[str]) -> EnvironmentGoneError | None:
    """The error of a failed run of uv if the package index no longer has one of these frozen requirements; else None."""
    output = done.output.lower()
    if done.timed_out or done.returncode < 0 or any(word in output for word in _NO_ACCESS):
        return None
    found = _NO_VERSION.search(output) or _OTHER_FILE.search(output)
    if not found and any(word in output for word in _NOT_THERE):
        found = _NO_FILE.search(output)
    if not found:
        return None
    named = next(filter(None, found.groups()))
    name, _ = name_and_version(named)
    package = next((one for one in requirements if name_and_version(one)[0].partition("[")[0].lower() == name), named)
    return EnvironmentGoneError(
        f"The environment needs {package}, which the package index no longer has as it was recorded: {evidence(done)} "
        f"{WITHOUT} "
        "To restore the environment too, make the index offer this very file again, then try again.",
        package,
    )


def evidence(done: process.Finished) -> str:
    """Why uv failed, in one line: its own error with its causes, and the exception of a Python that it ran."""
    if done.timed_out:
        return f"uv did not end within {done.seconds:.0f} seconds."
    lines = done.output.splitlines()
    starts = [at for at, line in enumerate(lines) if _ERROR.match(line)]
    if not starts:
        return _sentence(
            [line.strip() for line in done.lines[-4:]] or [f"uv ended with {done.returncode} and no output"]
        )
    said: list[str] = []
    for line in lines[starts[-1] :]:
        if not line.strip() or line.startswith("hint:"):
            break
        text = _MARK.sub("", line)
        starts_a_cause = _ERROR.match(line) or _CAUSE.match(line)
        if starts_a_cause or not said:
            said.append(text)
        else:
            said[-1] = f"{said[-1]} {text}"
    raised = _exception(lines[starts[-1] :])
    return _sentence([*said, raised] if raised else said)


def _exception(lines: list[str]) -> str | None:
    """The line of the exception in the last traceback."""
    starts = [at for at, line in enumerate(lines) if line.lstrip().startswith("Traceback (most recent call last)")]
    if not starts:
        return None
    indent = len(lines[starts[-1]]) - len(lines[starts[-1]].lstrip())
    rest = (line for line in lines[starts[-1] + 1 :] if line.strip())
    return next((line.strip() for line in rest if len(line) - len(line.lstrip()) <= indent), None)


def _sentence(parts: list[str]) -> str:
    text = ": ".join(part.rstrip(" .:") for part in parts)
    return f"{text[:_LONGEST]}..." if len(text) > _LONGEST else f"{text}."
