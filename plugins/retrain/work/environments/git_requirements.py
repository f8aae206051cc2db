"""The addresses of packages in Git repositories, as uv reads them."""

from __future__ import annotations

import re

# user@host:path, which Git, Poetry and Pipenv take, and which is no URL.
_SHORT = re.compile(r"git\+([\w.-]+@[\w.-]+):/*")


def address(url: str, reference: object, subdirectory: object = None) -> str:
    """`git+https://host/x.git@v1#subdirectory=y` for a repository.

    Args:
        url: the repository's address, with or without `git+` before it.
        reference: a branch, tag or commit; None for the default branch.
        subdirectory: the folder of the package in the repository; None for the top.
    """
    at = f"@{reference}" if reference else ""
    below = f"#subdirectory={subdirectory}" if subdirectory else ""
    return as_url(f"git+{url.removeprefix('git+')}{at}{below}")


def as_url(requirement: str) -> str:
    """A requirement with `git+user@host:path` written as `git+ssh://user@host/path`."""
    return _SHORT.sub(r"git+ssh://\1/", requirement)
