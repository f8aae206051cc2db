"""The bare Git repository that plays the part of the team's Git server on the local stack."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from program_variables import inherited_environment
from stack_model import Stack

BRANCH = "refs/heads/main"


class OriginError(Exception):
    """The origin could not be made, or did not take the checkout's commit."""


def publish_checkout(stack: Stack, environ: Mapping[str, str]) -> str:
    """Make the origin if it is missing and push the checkout's HEAD to its main branch; return the commit.

    Tags are not pushed: a release is an act of its own. Raises OriginError, with what to do, for a checkout without
    a commit and for a HEAD that the origin's main cannot be moved forward to.
    """
    if not (stack.origin / "HEAD").exists():
        _git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(stack.origin)], stack, environ)
        # A shallow clone, as CI makes it, has no full history to push.
        _git(["-C", str(stack.origin), "config", "receive.shallowUpdate", "true"], stack, environ)
    try:
        head = _git(["-C", str(stack.root), "rev-parse", "--verify", "--quiet", "HEAD^{commit}"], stack, environ)
    except OriginError as error:
        raise OriginError(
            f"{stack.root} has no commit yet, so {stack.origin} is empty and there is nothing to release. "
            "Commit (`git add -A && git commit`), then run `make up` again."
        ) from error
    try:
        _git(["-C", str(stack.root), "push", "--quiet", str(stack.origin), f"{head}:{BRANCH}"], stack, environ)
    except OriginError as error:
        raise OriginError(
            f"{stack.origin} keeps its main branch: it cannot be moved forward to this checkout's HEAD {head[:12]}. "
            f"If the history was rewritten on purpose: `git push --force {stack.origin} HEAD:main`. ({error})"
        ) from error
    return head


def _git(arguments: list[str], stack: Stack, environ: Mapping[str, str]) -> str:
    # Isolated from the configuration and the hooks of whoever runs it; the checkout may belong to another user.
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
        raise OriginError("git is not installed. Install it with the system's package manager.") from error
    except subprocess.TimeoutExpired as error:
        raise OriginError(f"git {arguments[0]} takes more than {error.timeout:.0f} s.") from error
    if outcome.returncode:
        raise OriginError(f"git {arguments[0]} answered {outcome.returncode}: {outcome.stderr.strip()}")
    return outcome.stdout.strip()
