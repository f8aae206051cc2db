"""Print which stages a second run of the same day would skip, as one JSON document on stdout: `second_run.py FINISHED [TARGET ...]`.

FINISHED is a checkout after its `dvc repro`, TARGET as for `describe.py`. On stdin is a JSON list of the stages whose outputs a second run
takes over without asking DVC. The current folder is a new checkout of the same commit, prepared for the same day, with the same cache. Run it with the Python of the deployment's own DVC environment. In the order of `dvc repro`, DVC itself is asked for
each stage whether its run cache has it, and checks out the outputs if so. Otherwise the outputs of the finished checkout stand in for
those that the stage would write, so that the stages after it are asked about the same bytes. No command is run.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import targets as repro_targets
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError


def main() -> int:
    # DVC and its dependencies may print: redirected to stderr, so that stdout has only the document.
    document = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.getLogger("dvc").setLevel(logging.ERROR)  # not a line for each stage that it finds
    with tempfile.TemporaryDirectory() as scratch:
        # DVC caches file hashes of all checkouts in one folder of the machine: a throw-away folder instead.
        os.environ["DVC_SITE_CACHE_DIR"] = scratch
        stages = asked(Repo(), Path(sys.argv[1]), sys.argv[2:], set(json.loads(sys.stdin.buffer.read())))
    with document:
        json.dump({"stages": stages}, document)
        document.write("\n")
    return 0


def asked(repo: Repo, finished: Path, targets: Sequence[str], held: Collection[str]) -> list[dict[str, Any]]:
    """The answers for all stages that `dvc repro` looks at, in its order."""
    graph = get_active_graph(repo.index.graph)
    steps = repro_targets.reached(repo, targets)
    before = {own_name(stage): stage for stage in Repo(str(finished)).index.stages if isinstance(stage, PipelineStage)}
    answers: list[dict[str, Any]] = []
    runs: set[Any] = set()
    with repo.lock:
        for stage in (step for step in steps if isinstance(step, PipelineStage)):
            is_taken = stage.frozen or stage.addressing in held
            why = None if is_taken else why_it_runs(repo, stage, before[own_name(stage)])
            if why is not None:
                runs.add(stage)
            if why is not None or is_taken:
                take_outputs(stage, finished)
            needed = runs & nx.descendants(graph, stage)
            after = sorted(each.addressing for each in needed)
            answers.append({"name": stage.addressing, "reason": why, "after": after})
    return answers


def own_name(stage: PipelineStage) -> tuple[str, str]:
    """Its dvc.yaml, relative to the top of its checkout, and its name. DVC's `addressing` is relative to the current folder."""
    return os.path.relpath(stage.path, stage.repo.root_dir), stage.name


def why_it_runs(repo: Repo, stage: PipelineStage, before: PipelineStage) -> str | None:
    """Why DVC would run a stage; None if it would not. `before` is the stage of the finished checkout, with its dvc.lock."""
    try:
        repo.stage_cache.restore(stage)
    except RunCacheNotFoundError:
        return never_cached(stage) or changed_itself(stage, before) or "DVC's run cache does not have it"
    return None


def never_cached(stage: PipelineStage) -> str | None:
    """Why DVC never puts a stage into its run cache; None if it does. The conditions are those of DVC's `_can_hash`."""
    conditions = [
        (stage.always_changed, "it is always_changed"),
        (not stage.deps, "it has no dependencies"),
        (not stage.outs, "it has no outputs"),
        *(
            (dep.protocol != "local" or not dep.def_path, f"its dependency {dep} is not a file of the checkout")
            for dep in stage.deps
        ),
        *((out.persist, f"its output {out.def_path} is persist: true") for out in stage.outs),
        *(
            (out.protocol != "local" or not out.is_in_repo, f"its output {out} is outside the checkout")
            for out in stage.outs
        ),
    ]
    return next((why for holds, why in conditions if holds), None)


def changed_itself(stage: PipelineStage, before: PipelineStage) -> str | None:
    """Names a dependency with other content than the first run has recorded: the stage, or a later one, has changed it since."""
    recorded = {dep.def_path: dep for dep in before.deps if not isinstance(dep, ParamsDependency)}
    for dep in stage.deps:
        known = recorded.get(dep.def_path)
        if known is not None and dep.hash_info and known.hash_info and dep.hash_info != known.hash_info:
            return f"it changes its own dependency {dep.def_path}"
    return None


def take_outputs(stage: PipelineStage, finished: Path) -> None:
    """Link the outputs of a stage from the finished checkout, unless they are here already."""
    for out in stage.outs:
        here = Path(out.fs_path)
        there = finished / here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here
        if here == there or not there.exists():
            continue
        if here.is_dir():
            shutil.rmtree(here)
        here.unlink(missing_ok=True)
        here.parent.mkdir(parents=True, exist_ok=True)
        if there.is_dir():
            shutil.copytree(there, here, symlinks=True, copy_function=os.link)
        else:
            os.link(there, here)


if __name__ == "__main__":
    sys.exit(main())
