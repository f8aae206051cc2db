"""Asks `uv pip compile`, with a limit on when packages were uploaded that does not hinder those whose version is pinned."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from packaging.utils import canonicalize_name

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import uv
from retrain.work.environments.pythons import Python
from retrain.work.process import Finished

log = logging.getLogger(__name__)

PLAIN = ("--quiet", "--no-annotate", "--no-header", "--emit-index-url", "--emit-find-links")
_HASHED = ("--generate-hashes", "--emit-build-options", "--emit-index-annotation")
_TRIES = 20
_FILTERED = re.compile(r"`([\w.\-]+)` was filtered by `exclude-newer`([^\n]*)")


@dataclass(frozen=True)
class Call:
    """How uv is started: its Python, its folder, a folder for its output, and how long it may take (seconds).

    `checkout` is the top of the checkout. Errors name neither it nor `scratch`. `problem` begins the sentence of an error. `more` are options for `uv export` and `uv pip compile` alike.
    """

    python: Python
    cwd: Path
    scratch: Path
    checkout: Path
    problem: str
    more: tuple[str, ...] = ()
    timeout: float = uv.TIMEOUT


@dataclass(frozen=True)
class Limit:
    """`moment` is that up to which packages were uploaded, as far as something fits. Those of `bound`, by canonical name, are never newer."""

    moment: datetime
    bound: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """The moment as uv reads it."""
        return f"{self.moment:%Y-%m-%dT%H:%M:%SZ}"


def emitted(call: Call, *arguments: str | Path) -> str:
    """The text that uv writes.

    Raises:
        EnvironmentDefinitionError: uv cannot resolve it.
        EnvironmentBuildError: the package index could not be reached.
    """
    return _text(_run(call, *arguments), call)


def compiled(call: Call, *arguments: str | Path, limit: Limit | None = None, pinned: Collection[str] = ()) -> str:
    """The text of `uv pip compile` with all hashes.

    Packages of `pinned` are free of the limit. So is one without which nothing fits, such as a dependency of a pinned package, or one
    of an index without dates.

    Raises:
        EnvironmentDefinitionError: uv cannot resolve it, or a package that the limit binds has no version that is old enough.
        EnvironmentBuildError: the package index could not be reached.
    """
    asked = ("pip", "compile", *PLAIN, *_HASHED, *call.more, *arguments)
    if limit is None:
        return emitted(call, *asked)
    free = set(pinned)
    for _ in range(_TRIES):
        freed = [part for name in sorted(free) for part in ("--exclude-newer-package", f"{name}=false")]
        done = _run(call, *asked, "--exclude-newer", limit.text, *freed, quiet=True)
        if done.returncode == 0:
            if newer := sorted(free - set(pinned)):
                log.warning(
                    "Newer than %s, because nothing older fits or the index has no dates: %s",
                    limit.text,
                    ", ".join(newer),
                )
            return _text(done, call)
        more = _hindered(done, limit) - free
        if not more:
            break
        free |= more
    if limit.bound:
        fix = f"No version from before {limit.text} fits (packages.as_of). Correct that key, or the versions in a new release."
        return _text(done, call, fix)
    try:
        text = emitted(call, *asked)
    except EnvironmentDefinitionError:
        log.warning("Without the limit of %s it cannot be resolved either.", limit.text)
        raise
    log.warning("Resolved as of today, because it cannot be resolved as of %s: %s", limit.text, uv.evidence(done))
    return text


def _hindered(done: Finished, limit: Limit) -> set[str]:
    """The packages, by canonical name, that are to be freed of the limit."""
    found = _FILTERED.findall(done.output)
    return {
        str(canonicalize_name(name))
        for name, about in found
        if canonicalize_name(name) not in limit.bound or "published at" not in about
    }


def _run(call: Call, *arguments: str | Path, quiet: bool = False) -> Finished:
    out = call.scratch / "emitted.txt"
    # uv would prefer the versions that an existing file has.
    out.unlink(missing_ok=True)
    more = ("--python", call.python.path, "--output-file", out)
    return uv.run(*arguments, *more, cwd=call.cwd, timeout=call.timeout, quiet=quiet)


def _text(done: Finished, call: Call, fix: str = uv.FIX) -> str:
    if done.returncode != 0:
        places = "|".join(re.escape(str(place)) for place in (call.checkout, call.scratch))
        said = re.sub(rf"(?:file://)?(?:{places})/?", "", done.output)
        raise uv.failure(replace(done, output=said), call.problem, fix)
    return (call.scratch / "emitted.txt").read_text("utf-8")
