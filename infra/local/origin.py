"""The bare Git repository that stands in for the team's Git server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from program_variables import inherited_environment
from stack_model import Stack

BRANCH = "refs/heads/main"


class LocalOriginError(Exception):
    """The origin could not be created, or refused the checkout's commit."""


def publish_checkout(stack: Stack, environ: Mapping[str, str]) -> str:
    """Create the origin if it is missing, and push the checkout's HEAD to its main branch. Returns the commit's hash.

    Tags are not pushed: which commit becomes a release is a decision of its own.

    Raises:
        LocalOriginError: Git failed, the checkout has no commit, or HEAD is not a descendant of the origin's main.
    """
    if not (stack.origin / "HEAD").exists():
        _git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(stack.origin)], stack, environ)
        # CI works on shallow clones. By default, a repository refuses pushes from those.
        _git(["-C", str(stack.origin), "config", "receive.shallowUpdate", "true"], stack, environ)
    try:
        head = _git(["-C", str(stack.root), "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], stack, environ)
    except LocalOriginError as error:
        raise LocalOriginError(
            f"{stack.root} has no commit yet, so {stack.origin} is empty and nothing can be released. "
            "Commit (`git add -A && git commit`), then run `make up` again."
        ) from error
    try:
        _git(["-C", str(stack.root), "push", "--quiet", str(stack.origin), f"{head}:{BRANCH}"], stack, environ)
    except LocalOriginError as error:
        raise LocalOriginError(
            f"The main branch of {stack.origin} stays where it is: this checkout's HEAD {head[:12]} could not be pushed ({error}). "
            f"If its history was rewritten on purpose, run `git push --force {stack.origin} HEAD:main`."
        ) from error
    return head


def _git(arguments: list[str], stack: Stack, environ: Mapping[str, str]) -> str:
    # The user's configuration and hooks do not apply, and the checkout may belong to another user.
    isolation = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": str(Path(stack.root).resolve()),
        "GIT_CONFIG_KEY_1": "core.hooksPath",
        "GIT_CONFIG_VALUE_1": os.devnull,
    }
    try:
        outcome = subprocess.run(
            ["git", *arguments],
            env=inherited_environment(environ) | isolation,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except FileNotFoundError as error:
        raise LocalOriginError("git was not found. Install it with the system's package manager.") from error
    except subprocess.TimeoutExpired as error:
        raise LocalOriginError(f"git {arguments[0]} took more than {error.timeout:.0f} s and was stopped.") from error
    if outcome.returncode:
        raise LocalOriginError(
            f"git {arguments[0]} ended with exit code {outcome.returncode}: {outcome.stderr.strip()}"
        )
    return outcome.stdout.strip()
