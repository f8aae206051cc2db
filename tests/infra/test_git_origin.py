"""The bare repository that stands in for the team's Git server: what is pushed to it, and what is not."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest
from origin import LocalOriginError, publish_checkout
from stack_model import Stack


def git(checkout: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(
        ["git", "-C", str(checkout), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(stack: Stack, tmp_path: Path) -> Stack:
    """A stack whose checkout is a Git repository without a commit."""
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=work")
    return dataclasses.replace(stack, root=root)


def commit(stack: Stack, text: str, *options: str) -> str:
    (stack.root / "file").write_text(text)
    git(stack.root, "add", "file")
    git(stack.root, "commit", "--quiet", "-m", text, *options)
    return git(stack.root, "rev-parse", "HEAD")


def test_each_new_head_becomes_main_and_no_tag_is_pushed(checkout):
    for text in ("one", "two"):
        head = commit(checkout, text)
        git(checkout.root, "tag", f"v-{text}")
        assert publish_checkout(checkout, os.environ) == head
        assert git(checkout.origin, "rev-parse", "main") == head
    assert git(checkout.origin, "tag") == ""


def test_a_checkout_without_a_commit_is_told_to_commit(checkout):
    with pytest.raises(LocalOriginError, match=r"has no commit yet.*git commit"):
        publish_checkout(checkout, os.environ)
    assert (checkout.origin / "HEAD").exists()


def test_rewritten_history_does_not_move_main_and_the_error_says_what_to_run(checkout):
    first = commit(checkout, "one")
    publish_checkout(checkout, os.environ)
    commit(checkout, "other", "--amend")
    with pytest.raises(LocalOriginError, match="git push --force"):
        publish_checkout(checkout, os.environ)
    assert git(checkout.origin, "rev-parse", "main") == first


def test_the_users_hooks_do_not_run(checkout, tmp_path):
    head = commit(checkout, "one")
    hook = checkout.root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    hook.chmod(0o755)
    assert publish_checkout(checkout, os.environ) == head
    assert not (tmp_path / "ran").exists()
