"""Print DVC's description of the checkout in the current folder, as one JSON document on stdout.

Run it at the top of a DVC project, with the Python of the deployment's own DVC environment: `describe.py [TARGET ...]`, with the
targets of `dvc repro`, or --all-pipelines. DVC itself resolves templates, `foreach`, `matrix`, `vars` and `wdir`, so that no other
code has to interpret a dvc.yaml. All paths are relative to the current folder. If DVC refuses the checkout, the document is
{"error": "<DVC's reason>"}, or for a target that is no stage {"target", "near", "files"}, and the exit code is 1.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import locks
import targets as repro_targets
from dvc.dependency import ParamsDependency, RepoDependency
from dvc.exceptions import DvcException
from dvc.fs import localfs
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.serialize import load_path, parse_yaml_for_update
from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError, determine_linecol
from targets import OfRun

SCHEMA_VERSION = 2


def main() -> int:
    # DVC and its dependencies may print: redirected to stderr, so that stdout has only the document.
    document = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    refused = False
    with tempfile.TemporaryDirectory() as scratch:
        try:
            # DVC caches file hashes of all checkouts in one folder of the machine: a throw-away folder instead.
            os.environ["DVC_SITE_CACHE_DIR"] = scratch
            # The cache is not read, but DVC asks for its folder, which a checkout without .dvc does not name. Without Git, DVC does
            # not refuse a dvc.lock that Git ignores.
            config = {"cache": {"dir": scratch}, "core": {"no_scm": True}}
            repo = Repo(str(Path.cwd()), fs=localfs, uninitialized=True, config=config)
            described = describe(repo, sys.argv[1:])
        except repro_targets.RefusedTarget as error:
            refused, described = True, error.document
        except DvcException as error:
            refused, described = True, {"error": reason(error)}
        except RecursionError:  # in the parser of YAML
            refused, described = True, {"error": "a YAML file is nested too deeply"}
    with document:
        json.dump(described, document, sort_keys=True, default=str)
        document.write("\n")
    return int(refused)


def describe(repo: Repo, targets: Sequence[str]) -> dict[str, Any]:
    """The document: every stage and .dvc file of a checkout, with the metrics, plots, artifacts and missing paths of the reached ones.

    A stage is reached if `dvc repro` with these targets looks at it.

    Raises:
        RefusedTarget: a target is no stage and no dvc.yaml.
        DvcException: DVC refuses the checkout.
    """
    unreadable = locks.read_leniently(reason)
    index = repo.index
    index.check_graph()
    top = repo.root_dir
    # The order within a dvc.yaml is kept, because its first model and its first metric of a name count. DVC lists folders in any order.
    in_order = sorted(index.stages, key=lambda stage: file_order(relative(stage.path, top)))
    stages = [stage for stage in in_order if isinstance(stage, PipelineStage)]
    tracked = [stage for stage in in_order if not isinstance(stage, PipelineStage)]
    reached = set(repro_targets.reached(repo, targets))
    running = [stage for stage in stages if stage in reached]
    files = {*repro_targets.files_of(repo, targets), *(relative(stage.path, top) for stage in running)}
    left = [stage for stage in stages if stage not in reached]
    of_run = OfRun(files, paths_of_outs(running, top), paths_of_outs(left, top))
    top_metrics, top_plots = index._metrics, index._plots  # noqa: SLF001 - DVC has no public access to them, and its version is pinned
    metrics = [
        *at_top(top_metrics, top, of_run),
        *(place(out, top) for stage in running for out in stage.outs if out.metric),
    ]
    plots = [
        *at_top({file: plot_files(plots) for file, plots in top_plots.items()}, top, of_run),
        *(place(out, top) for stage in running for out in stage.outs if out.plot),
    ]
    artifacts = list(described_artifacts(repo, top, of_run))
    items = [item for stage in in_order if stage in reached for item in (*stage.deps, *stage.outs) if is_local(item)]
    local = {*(place(item, top) for item in items), *metrics, *plots, *(artifact["path"] for artifact in artifacts)}
    return {
        "schema_version": SCHEMA_VERSION,
        "stages": [described_stage(stage, top, reached=stage in reached) for stage in stages],
        "metrics": [described_metrics(repo, path) for path in distinct(files_of(metrics, top))],
        "plots": list(distinct(plots)),
        "artifacts": artifacts,
        "tracked": [described_file(stage, top, reached=stage in reached) for stage in tracked],
        "missing": sorted(path for path in local if not Path(top, path).exists()),
        "locks": locks.described_locks(repo, stages, unreadable),
    }


def paths_of_outs(stages: Iterable[PipelineStage], top: str) -> set[str]:
    return {place(out, top) for stage in stages for out in stage.outs}


def described_stage(stage: PipelineStage, top: str, *, reached: bool) -> dict[str, Any]:
    commands = [stage.cmd] if isinstance(stage.cmd, str) else list(stage.cmd or ())
    params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
    lock = (stage.dvcfile.lockfile_contents.get("stages") or {}).get(stage.name) or {}
    locked = {out["path"] for out in lock.get("outs", ())}
    return {
        "name": stage.addressing,
        "file": relative(stage.path, top),
        "cmd": commands,
        "wdir": relative(stage.wdir, top),
        "frozen": bool(stage.frozen),
        "always_changed": bool(stage.always_changed),
        "reached": reached,
        "deps": sorted(place(dep, top) for dep in stage.deps if not isinstance(dep, ParamsDependency)),
        "params": {place(dep, top): dict(leaves(dep.read_params())) for dep in params},
        "templates": {relative(file, top): sorted(used) for file, used in stage.tracked_vars.items()},
        "outs": [
            described_out(out, top, is_locked=out.def_path in locked, runs=not stage.frozen) for out in stage.outs
        ],
    }


def described_out(out: Any, top: str, *, is_locked: bool, runs: bool = True) -> dict[str, Any]:
    """`md5`, `hash` and `size` are null for an output that dvc.lock does not name, or names without an MD5.

    `runs`: False for data that no stage of a run makes, so that its files are those of the commit.
    """
    # With `files` (a cloud remote that keeps versions) the lock has no MD5, and DVC computes one that is not in it.
    known = out.hash_info and out.hash_info.name.startswith("md5") and not (out.files and runs)
    md5 = out.hash_info.value if known else None
    return {
        "path": place(out, top),
        "kind": "metric" if out.metric else "plot" if out.plot else "out",
        "cached": bool(out.use_cache),
        "pushed": bool(out.can_push),
        "persist": bool(out.persist),
        "remote": out.remote,
        "locked": is_locked,
        "md5": md5,
        "hash": out.hash_name if is_locked else None,
        "size": out.meta.size if is_locked else None,
        "executable": bool(out.meta.isexec),
    }


def described_file(stage: Any, top: str, *, reached: bool) -> dict[str, Any]:
    """A .dvc file, which tracks added or imported data. It is reached if a reached stage needs its data."""
    return {
        "file": relative(stage.path, top),
        "reached": reached,
        "frozen": bool(stage.frozen),
        "imported": bool(stage.is_import),
        "deps": sorted(place(dep, top) for dep in stage.deps),
        "outs": [described_out(out, top, is_locked=True, runs=False) for out in stage.outs],
    }


def described_artifacts(repo: Repo, top: str, of_run: OfRun) -> Iterator[dict[str, Any]]:
    for file, artifacts in sorted(repo.artifacts.read().items(), key=lambda item: file_order(item[0])):
        for name, artifact in artifacts.items():
            path = relative(str(Path(top, file).parent / artifact.path), top) if artifact.path else None
            if not of_run.has(file, path or ""):
                continue
            yield {
                "name": name if file == "dvc.yaml" else f"{file}:{name}",
                "path": path,
                "type": artifact.type,
                "desc": artifact.desc,
            }


def described_metrics(repo: Repo, path: str) -> dict[str, Any]:
    """The numbers of a metrics file, read only from the checkout: `dvc metrics show` would take a missing file from the cache."""
    target = Path(repo.root_dir, path)
    if not target.exists():
        return {"path": path, "values": {}}
    try:
        content = load_path(str(target), repo.fs)
    except (DvcException, ValueError) as error:
        return {"path": path, "values": {}, "error": reason(error)}
    values = content if isinstance(content, dict) else {target.stem: content}
    return {"path": path, "values": dict(numbers(values))}


def leaves(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def numbers(values: Mapping[Any, Any]) -> Iterator[tuple[str, float]]:
    for name, value in leaves(values):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def plot_files(plots: Iterable[Any]) -> Iterator[str]:
    """The files of top-level plots: those named by `y` and `x`, else the plot's id."""
    for plot in plots:
        for name, options in ({plot: None} if isinstance(plot, str) else plot).items():
            y, x = (options or {}).get("y"), (options or {}).get("x")
            if isinstance(y, dict):
                yield from map(str, y)
                yield from map(str, x if isinstance(x, dict) else ())
            else:
                yield name


def at_top(declared: Mapping[str, Iterable[str]], top: str, of_run: OfRun) -> list[str]:
    """The paths in top-level sections of dvc.yaml files that belong to the run, resolved from the folder of each file."""
    in_order = sorted(declared, key=lambda file: file_order(relative(file, top)))
    paths = ((file, relative(str(Path(file).parent / path), top)) for file in in_order for path in declared[file])
    return [path for file, path in paths if of_run.has(relative(file, top), path)]


def files_of(paths: Iterable[str], top: str) -> Iterator[str]:
    """The files at these paths; as in DVC, a folder stands for all files in it."""
    for path in paths:
        found = Path(top, path)
        inside = sorted(each for each in found.rglob("*") if each.is_file()) if found.is_dir() else [found]
        yield from (relative(str(each), top) for each in inside)


def place(item: Any, top: str) -> str:
    """The path of a dependency or output, relative to the checkout's top; its address if it is not a local file."""
    if isinstance(item, RepoDependency):
        return f"{item.def_repo['url']}:{item.def_path}"
    return relative(item.fs_path, top) if is_local(item) else str(item.def_path)


def is_local(item: Any) -> bool:
    own = item.protocol == "local" and not isinstance(item, RepoDependency)
    return own and "://" not in str(item.def_path)


def relative(path: str, top: str) -> str:
    return Path(os.path.relpath(path, top)).as_posix()


def file_order(path: str) -> tuple[int, str]:
    return path.count("/"), path


def distinct(paths: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(paths))


def reason(error: BaseException | None) -> str:
    """The message that DVC itself would print, in one line, with its place in the file."""
    if isinstance(error, YAMLValidationError):
        data = parse_yaml_for_update(error.text, error.path)
        return f"{error}: " + "; ".join(invalid(each, data) for each in error.exc.errors)
    if isinstance(error, YAMLSyntaxError):
        cause = error.exc.__cause__
        mark = getattr(cause, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        return f"'{error.relpath}' is invalid: {getattr(cause, 'problem', None) or cause}{where}"
    said = []
    while error is not None:
        said += [" ".join(str(error).split())]
        error = error.__cause__
    return ": ".join(text for text in dict.fromkeys(said) if text)


def invalid(error: Any, data: Any) -> str:
    line, column, _ = determine_linecol(data, error.path) if isinstance(data, Mapping) else (None, None, 0)
    named = ["in " + " -> ".join(str(part) for part in error.path)] if error.path else []
    placed = [f"line {line}, column {column}"] if line else []
    return ", ".join([error.error_message, *named, *placed])


if __name__ == "__main__":
    sys.exit(main())
