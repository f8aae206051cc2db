"""A checkout prepared for its day: inputs laid, params set, and DVC's description of the outcome."""

from __future__ import annotations

import logging
import posixpath
from dataclasses import dataclass, replace
from pathlib import Path

from retrain.deployment.run_settings import RunSettings
from retrain.inputs import day_params, laying, names, places, raw_cache
from retrain.inputs.laying import LaidInput
from retrain.inputs.places import ReleaseFacts
from retrain.inputs.raw_cache import RawObjects
from retrain.inputs.reserved_names import of_the_run
from retrain.run.manifest import Manifest, RawObject
from retrain.work import git
from retrain.work.dvc import frozen_locks
from retrain.work.dvc.description import Description
from retrain.work.dvc.param_values import SetParam
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.project_root import place_in_project

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A checkout that is ready for `dvc repro`, as DVC describes it.

    `notes` are sentences about what else was changed or left out; `tracked` says where the data of .dvc files came from.
    """

    description: Description
    inputs: tuple[LaidInput, ...] = ()
    params: tuple[SetParam, ...] = ()
    notes: tuple[str, ...] = ()
    tracked: tuple[str, ...] = ()


def prepare(checkout: Path, manifest: Manifest, dvc: Dvc, raw: RawObjects | None) -> Prepared:
    """Set the manifest's params, lay its inputs, and describe the checkout.

    Args:
        checkout: the top of the DVC project in the checkout of the run's commit, with `run.yaml` and `manifest.json`.
        manifest: the raw objects and the settings of the run.
        dvc: DVC in that checkout.
        raw: where the raw objects come from. None leaves the inputs out.

    Raises:
        InputNamesError: raw objects cannot be laid under the names that the settings give them.
        InputPathError: an input does not fit the release at its path.
        ParamsFileError: a params file is not in the release, cannot be read, or is not one that a run may set.
        ParamsKeyError: a params file has no such key.
        ParamsValueError: a value is not of the kind of the release's own.
        RawObjectGoneError: a raw object, or its version, does not exist any more.
        OverwrittenError: a raw object without a version id has other content now.
        RawObjectDamagedError: a raw object arrived with wrong content several times.
        DiskFullError: the disk has too little space.
        HydraError: its params cannot be composed.
        TargetError: a target is no stage of the release.
        FrozenLockError: DVC cannot read the dvc.lock of a frozen stage.
        DescriptionError: DVC refuses the checkout.
        DvcError: a program that asks DVC failed or took too long.
    """
    settings = manifest.settings
    dvc = dvc.aimed(settings)
    prepared = _with_params(checkout, dvc, settings, manifest.partition)
    if raw is not None and settings.inputs:
        objects = [names.placed(entry, manifest) for entry in settings.inputs]
        facts = _facts(checkout, settings, prepared.description)
        cleared = places.cleared(settings.inputs, facts)
        for place, own in zip(cleared, objects, strict=True):
            paths = [each.path for each in own]
            places.require_kept(place, set(paths), facts)
            if _ignores_files(checkout, facts):
                places.require_seen(place, dvc.ignored(paths), facts)
        files = provide(manifest, raw)
        laid = [laying.lay(checkout, place, own, files) for place, own in zip(cleared, objects, strict=True)]
        prepared = replace(prepared, description=dvc.describe(), inputs=tuple(laid))
    for line in lines(prepared):
        log.info("%s", line)
    return prepared


def provide(manifest: Manifest, raw: RawObjects) -> dict[RawObject, Path]:
    """Make sure that the raw cache has the objects of all inputs, and return their files.

    Raises:
        InputNamesError, RawObjectGoneError, OverwrittenError, RawObjectDamagedError: as for `prepare`.
    """
    return raw_cache.provide(raw, manifest.root, _objects(manifest)) if manifest.settings.inputs else {}


def size_of_inputs(manifest: Manifest) -> int:
    """The bytes of the objects of all inputs."""
    return sum(item.size for item in _objects(manifest))


def _objects(manifest: Manifest) -> set[RawObject]:
    return {each.item for entry in manifest.settings.inputs for each in names.placed(entry, manifest)}


def try_settings(checkout: Path, settings: RunSettings, day: str, dvc: Dvc) -> Description:
    """Check that a release fits its settings, without any raw object, and describe its checkout as a run would have it.

    The checkout is changed: the places of the inputs are empty then, and the params are those of `day`.

    Raises:
        RetrainError: as for `prepare`, where no raw object is needed to know it.
    """
    dvc = dvc.aimed(settings)
    described = _with_params(checkout, dvc, settings, day).description
    if not settings.inputs:
        return described
    for place in places.cleared(settings.inputs, _facts(checkout, settings, described)):
        laying.clear(checkout, place)
    return dvc.describe()


def lines(prepared: Prepared) -> list[str]:
    """What was laid, set, fetched and left out, as sentences for people."""
    laid = [
        f"{_files(each.files)}, {each.bytes:,} bytes laid at {each.path}{_instead(each)}" for each in prepared.inputs
    ]
    params = [f"{each.file}: {each.key} is {each.after}, {_before(each)}" for each in prepared.params]
    return [*prepared.notes, *laid, *params, *prepared.tracked]


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _before(param: SetParam) -> str:
    return "as in the release" if param.before == param.after else f"in the release {param.before}"


def _instead(laid: LaidInput) -> str:
    if not laid.replaced:
        return ""
    more = f" and {len(laid.replaced) - 1} more" if len(laid.replaced) > 1 else ""
    return f", in place of {laid.replaced[0]}{more}"


def _with_params(checkout: Path, dvc: Dvc, settings: RunSettings, day: str) -> Prepared:
    """The checkout with the params of the day, before its inputs: params may name the paths of stages in a templated dvc.yaml."""
    composed = dvc.compose_params()
    described = dvc.describe()
    frozen_locks.require_readable(described)
    for lock in described.locks:
        if lock.unreadable is not None:  # no other program of DVC's could read the checkout
            (checkout / lock.file).unlink()
    hydra = () if composed is None else (f"params.yaml is composed by Hydra from {composed}",)
    notes = (*hydra, *(lock.ignored for lock in described.locks))
    if not settings.params:
        return Prepared(described, notes=notes)
    values = day_params.of_day(settings.params, day)
    day_params.require_settable(values, described, place_in_project(checkout, settings.folder))
    params = day_params.set_in(dvc, values)
    return Prepared(dvc.describe(), params=params, notes=notes)


def _ignores_files(checkout: Path, facts: ReleaseFacts) -> bool:
    """True if a .dvcignore has a pattern; `dvc init` makes one that has only comments."""
    files = [checkout / file for file in facts.committed if posixpath.basename(file) == ".dvcignore"]
    lines = (line.strip() for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    return any(line and not line.startswith("#") for line in lines)


def _facts(checkout: Path, settings: RunSettings, described: Description) -> ReleaseFacts:
    files = frozenset(map(posixpath.normpath, settings.params))
    own = of_the_run(place_in_project(checkout, settings.folder))
    return ReleaseFacts(described, git.committed_files(checkout), files, own)
