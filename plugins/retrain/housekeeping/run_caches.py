"""Removes entries of DVC's run caches whose outputs are no longer in the DVC cache, and run caches that no environment needs.

An entry says which outputs a stage gave for some inputs. DVC uses it only if all its outputs are in the cache.
"""

from __future__ import annotations

import shutil
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

import yaml

from retrain.housekeeping import dvc_caches, dvc_objects, kept_days, workspaces
from retrain.housekeeping.cleaned import Amount, Cleaned, CleanedPlace
from retrain.housekeeping.housekeeping_run import HousekeepingRun
from retrain.housekeeping.stored_files import StoredFile, amount, files_below
from retrain.services import Services
from retrain.work import pipeline_caches

_ASIDE = ".removing"


def clean(run: HousekeepingRun) -> Cleaned:
    """Clean the run caches of each deployed pipeline.

    Raises:
        HousekeepingError: a pipeline was not cleaned, for example because its ledger could not be read.
    """
    return run.each_pipeline(partial(_clean, run))


def is_usable(outputs: AbstractSet[str] | None, staying: AbstractSet[str]) -> bool:
    """True if all outputs of an entry stay in the cache, the files of directories included. None is an entry that is broken."""
    return outputs is not None and outputs <= staying


def _clean(run: HousekeepingRun, known: Services) -> CleanedPlace:
    cache = pipeline_caches.dvc_cache(known.pipeline)
    with pipeline_caches.try_alone(known.pipeline) as alone:
        files = list(_run_caches(cache))
        gone = dvc_caches.to_remove(run, known) if alone else []
        if not alone or gone is None:
            note = dvc_caches.NOTHING_RECORDED if alone else dvc_caches.BUSY
            return CleanedPlace(known.pipeline, Amount(), amount(files), note)
        # With a dry run the objects that would go are still there.
        folder = cache / "files" / "md5"
        going = {kept_days.md5_of(file.path.relative_to(folder).as_posix()) for file in gone}
        staying = dvc_objects.present(cache) - going
        unused = _unused_environments(run, known, cache)
        young = run.days_ago(dvc_objects.YOUNG_DAYS)
        useless = [
            file
            for file in files
            if unused & set(file.path.parents)
            or file.path.parent.suffix == _ASIDE
            or (file.written < young if file.path.suffix == ".tmp" else not is_usable(_outputs(file, cache), staying))
        ]
        freed = amount(useless)
        if not run.dry_run:
            _remove(useless, files)
            _remove_empty(cache)
            for environment in unused:
                shutil.rmtree(environment)
    return CleanedPlace(known.pipeline, freed, amount(files) - freed)


def _remove(useless: list[StoredFile], files: list[StoredFile]) -> None:
    """Remove entries, and with the last entry of a stage's inputs their folder: DVC fails over one that is empty.

    So the folder is renamed before it is emptied, in case this process is ended meanwhile.
    """
    staying = {file.path.parent for file in set(files) - set(useless)}
    for file in useless:
        if file.path.parent in staying:
            file.path.unlink()
    emptied = {file.path.parent for file in useless} - staying
    for folder in sorted(emptied, key=lambda each: each.suffix != _ASIDE):  # what an interrupted run left comes first
        aside = folder if folder.suffix == _ASIDE else folder.with_suffix(_ASIDE)
        shutil.rmtree(folder.rename(aside))


def _remove_empty(cache: Path) -> None:
    """Remove the folders that a killed DVC has made and left empty, over which the next one would fail."""
    for folder in (*cache.glob("runs/*/*"), *cache.glob("environments/*/runs/*/*")):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _run_caches(cache: Path) -> list[StoredFile]:
    """The files of all run caches: one of each environment, and that of earlier deployments, which all environments shared."""
    folders = [cache / "runs", *sorted(cache.glob("environments/*/runs"))]
    return [file for folder in folders for file in files_below(folder)]


def _unused_environments(run: HousekeepingRun, known: Services, cache: Path) -> set[Path]:
    """The folders of environments that no kept day and no workspace needs, and in which nothing was written for long."""
    kept = kept_days.records(known.ledger, known.pipeline, run.limits.keep_days)
    needed = {record.environment for record in kept}
    needed |= workspaces.environments(workspaces.of_pipeline(run.home, known.pipeline))
    names = {identity[:32] for identity in needed}
    before = run.days_ago(run.limits.environments_days)
    return {
        folder
        for folder in cache.glob("environments/*")
        if folder.name.partition("-")[0] not in names
        and folder.stat().st_mtime < before
        and all(file.written < before for file in files_below(folder / "runs"))
    }


def _outputs(file: StoredFile, cache: Path) -> frozenset[str] | None:
    """The MD5s of the outputs that an entry names, and of the files of directories; None if it cannot be read."""
    try:
        entry = yaml.safe_load(file.path.read_text(encoding="utf-8"))
        named = [str(out["md5"]) for out in entry["outs"]]
    except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError):
        return None
    return dvc_objects.with_members(named, partial(dvc_objects.members, cache))
