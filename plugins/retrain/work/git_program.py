"""Runs Git. No other module does, and nothing writes to an origin."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from retrain.errors import OriginError
from retrain.work import git_failure, process
from retrain.work.origin import Origin

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
    origin: Origin | None = None,
    timeout: float = TIMEOUT,
    each_line: Callable[[str], None] | None = None,
    each_sample: Callable[[int], None] | None = None,
) -> process.Finished:
    """Run Git. With an `origin`, which it talks to, it has that origin's access and reads the machine's configuration.

    Without one it reads no configuration but the repository's own: a checkout is the same on every machine.
    """
    kept = {
        k: v
        for k, v in process.environment().items()
        if not k.startswith("GIT_") or (origin is not None and k.startswith(_ACCESS))
    }
    environment = {**kept, **_ENVIRONMENT, **(_ISOLATION if origin is None else origin.access)}
    argv = ["git", *_SETTINGS, *arguments]
    return process.run(
        argv, cwd=cwd, env=environment, timeout=timeout, quiet=True, each_line=each_line, each_sample=each_sample
    )


def read(*arguments: str | Path, cwd: Path, origin: Origin | None = None, timeout: float = TIMEOUT) -> str:
    """The output of Git.

    Raises:
        OriginRefusedError: the origin refuses the credentials.
        OriginHostKeyError: the origin's host key is not the known one.
        OriginError: Git failed.
    """
    done = run(*arguments, cwd=cwd, origin=origin, timeout=timeout)
    if done.returncode == 0:
        return done.output
    if origin is not None:
        raise git_failure.of_origin(origin, f"git {arguments[0]}", done, timeout)
    raise OriginError(
        f"git {arguments[0]} in {cwd} failed ({git_failure.reason(done)}). Check the disk, then clear the task."
    )
