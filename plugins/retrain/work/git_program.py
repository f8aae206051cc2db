"""Runs Git. No other module does, and nothing writes to an origin."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from retrain.errors import OriginError
from retrain.work import process

TIMEOUT = 300.0
# Transports that only move objects: ext:: and others start programs that the address names.
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ADVICE": "0",
    "LC_ALL": "C",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
}
# The machine's configuration may have the credentials of the origin: a credential helper, a rewritten address, a proxy, a key.
_ACCESS = ("GIT_SSH", "GIT_ASKPASS", "GIT_CONFIG_", "GIT_SSL_", "GIT_HTTP_", "GIT_PROXY_")
# Filters, attributes, hooks and line endings of the machine must not change a checkout: it is exactly the commit.
_ISOLATION = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
_SETTINGS = ("-c", "core.hooksPath=/dev/null", "-c", "core.attributesFile=/dev/null", "-c", "safe.directory=*")


def run(
    *arguments: str | Path,
    cwd: Path,
    remote: bool = False,
    timeout: float = TIMEOUT,
    each_line: Callable[[str], None] | None = None,
    each_sample: Callable[[int], None] | None = None,
) -> process.Finished:
    """Run Git. It reads the machine's configuration only with `remote`: to talk to the origin, never for a checkout."""
    kept = {
        k: v for k, v in process.environment().items() if not k.startswith("GIT_") or (remote and k.startswith(_ACCESS))
    }
    environment = {**kept, **_ENVIRONMENT, **({} if remote else _ISOLATION)}
    argv = ["git", *_SETTINGS, *arguments]
    return process.run(
        argv, cwd=cwd, env=environment, timeout=timeout, quiet=True, each_line=each_line, each_sample=each_sample
    )


def read(*arguments: str | Path, cwd: Path, origin: str, remote: bool = False) -> str:
    """The output of Git. `origin` names the repository in an error.

    Raises:
        OriginError: Git failed.
    """
    done = run(*arguments, cwd=cwd, remote=remote)
    if done.returncode != 0:
        last = done.lines[-1] if done.lines else "no output"
        raise OriginError(
            f"git {arguments[0]} on {origin} failed ({last}). Check that the origin answers and that its key is valid, "
            "then clear the task."
        )
    return done.output
