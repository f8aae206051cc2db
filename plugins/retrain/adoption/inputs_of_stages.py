"""The data that the stages read and a fresh clone lacks: tracked by .dvc files, imported, frozen, or not there at all."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from retrain.adoption.observation import Observation, listed, noted, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode, touches
from retrain.adoption.remotes import DataRemote, data_remote
from retrain.deployment.sections import Input
from retrain.inputs import places
from retrain.inputs.code_files import is_code
from retrain.inputs.errors import InputPathError
from retrain.inputs.places import ReleaseFacts
from retrain.inputs.reserved_names import of_the_run

TOPIC = "inputs"
_DATA_FOLDER = re.compile(
    r"(^|/)(data|datas|dataset|datasets|input|inputs|raw|raw_data|corpus|images)(/|$)", re.IGNORECASE
)
_TRAINED = re.compile(
    r"(^|/)(models?|checkpoints?|weights)(/|$)|\.(pt|pth|onnx|keras|joblib|ckpt|cbm|safetensors|skops)$", re.IGNORECASE
)
_RAW = re.compile(r"raw|input|source|landing|external", re.IGNORECASE)
_CODE_FOLDER = re.compile(r"(^|/)(src|lib|bin|code|scripts?|conf|configs?|params|\w*file)(/|$)", re.IGNORECASE)
_SPLIT = re.compile(r"test|valid|split|schema|config|param", re.IGNORECASE)


@dataclass(frozen=True)
class NeededInput:
    """A path that stages read and no stage makes. `kind` is `tracked`, `frozen`, `absent` or `committed`.

    `where` is what names it: a .dvc file or the first of the stages. `files` are the committed files at or below the path; `md5`
    is that of a .dvc file or of the dvc.lock of a frozen stage, and `remote` has its data. `imported`: the data has a source elsewhere.
    """

    path: str
    kind: str
    where: str
    stages: tuple[str, ...]
    files: tuple[str, ...] = ()
    md5: str | None = None
    remote: DataRemote | None = None
    imported: bool = False

    @property
    def lacking(self) -> tuple[str, str]:
        """Why a run cannot fetch tracked data, and the fix; both empty if it can."""
        if self.md5 is None:
            return (
                f"{self.where} has no MD5 of it",
                "run dvc commit, dvc update or dvc repro, and commit the changed file",
            )
        if self.remote is None or self.imported:
            return "", ""
        return self.remote.problem, self.remote.fix

    @property
    def is_found(self) -> bool:
        """True if a run finds the data: in the commit, or on a remote that it can read."""
        return self.kind == "committed" or (self.kind != "absent" and not self.lacking[0])

    @property
    def is_file(self) -> bool:
        """True if the path is one file, and no folder of files; of an absent path, if its name has a suffix."""
        if self.md5:
            return not self.md5.endswith(".dir")
        return self.files == (self.path,) if self.files else bool(posixpath.splitext(self.path)[1])

    @property
    def entry(self) -> Input:
        """The entry of `inputs` that lays the day's raw objects here."""
        return Input(path=self.path, days="partition", names="file" if self.is_file else "flat")

    @property
    def is_data(self) -> bool:
        """False for code, settings and models."""
        if _TRAINED.search(self.path):
            return False
        if self.kind == "tracked":
            return True
        if self.files:
            return not all(map(is_code, self.files))
        if _DATA_FOLDER.search(self.path):
            return True
        # A path without a suffix that stages depend on and Git lacks is a folder of data more often than a program.
        return not is_code(self.path) if posixpath.splitext(self.path)[1] else not _CODE_FOLDER.search(self.path)


def needed(code: PipelineCode) -> list[NeededInput]:
    """Every path that a stage reads and that no running stage makes, by where it should come from."""
    found: dict[str, NeededInput] = {}
    users: dict[str, list[str]] = {}
    made = [out.path for each in code.stages if not each.stage.frozen for out in each.stage.outs]
    for each in code.stages:
        if each.stage.frozen:
            continue
        for dep in each.stage.deps:
            if "://" not in dep and dep not in of_the_run(code.place) and not any(touches(dep, out) for out in made):
                users.setdefault(dep, []).append(each.stage.name)
    for dep, stages in users.items():
        tracked = [(t, out) for t in code.described.tracked for out in t.outs if touches(out.path, dep)]
        frozen = [
            (s.stage, out) for s in code.stages if s.stage.frozen for out in s.stage.outs if touches(out.path, dep)
        ]
        missing = dep in code.described.missing or any(out.path in code.described.missing for _, out in tracked)
        if missing and tracked:
            file, whole = tracked[0]
            known = found.get(whole.path)
            users_of_it = tuple(dict.fromkeys((*(known.stages if known else ()), *stages)))
            remote = data_remote(code.snapshot, whole.remote)
            found[whole.path] = NeededInput(
                whole.path, "tracked", file.file, users_of_it, md5=whole.md5, remote=remote, imported=file.imported
            )
        elif missing and frozen:
            own, out = frozen[0]
            remote = data_remote(code.snapshot, out.remote)
            found[dep] = NeededInput(dep, "frozen", f"stage {own.name}", tuple(stages), md5=out.md5, remote=remote)
        elif missing and any(dep.startswith(f"{folder}/") for folder in code.snapshot.submodules):
            continue  # `layout.submodules` says whether a run fetches it
        elif missing:
            found[dep] = NeededInput(dep, "absent", f"stage {stages[0]}", tuple(stages))
        else:
            files = tuple(p for p in code.snapshot.paths if (p == dep or p.startswith(f"{dep}/")) and not _is_kept(p))
            found[dep] = NeededInput(dep, "committed", f"stage {stages[0]}", tuple(stages), files)
    return list(found.values())


def _is_kept(path: str) -> bool:
    """True for a file that only keeps a folder in Git, or says what belongs there."""
    name = path.rpartition("/")[2]
    return name in (".gitignore", ".gitkeep", ".dvcignore") or name.upper().startswith("README")


def laid(inputs: list[NeededInput]) -> list[NeededInput]:
    """The inputs that the day's raw objects would replace: data that a run finds nowhere.

    Without any, the team's own tracked data, else imported data, else committed data; of these, data that looks raw.
    """
    data = [each for each in inputs if each.is_data and each.kind != "frozen"]
    if nowhere := [each for each in data if not each.is_found]:
        return _apart(nowhere)
    tracked = [each for each in data if each.kind == "tracked"]
    committed = [each for each in data if each.kind == "committed" and not _SPLIT.search(each.path)]
    likely = [each for each in tracked if not each.imported] or tracked or committed
    whole = [each for each in likely if not _SPLIT.search(each.path)] or likely
    return _apart([each for each in whole if _RAW.search(each.path)] or whole)


def all_laid(inputs: list[NeededInput]) -> list[NeededInput]:
    """All data that a clone lacks: the inputs of a pipeline whose results do not depend on those of `laid` alone."""
    return _apart([each for each in inputs if each.is_data and each.kind in ("absent", "tracked")])


def _apart(inputs: list[NeededInput]) -> list[NeededInput]:
    """Without those that lie in another one: each input is laid in a place of its own."""
    paths = {each.path for each in inputs}
    return [each for each in inputs if not any(each.path.startswith(f"{path}/") for path in paths)]


def refused(inputs: list[NeededInput], code: PipelineCode) -> dict[str, tuple[str, str]]:
    """The paths at which a run would refuse to lay data, each with the reason and a way out."""
    facts = ReleaseFacts(code.described, code.snapshot.modes, of_the_run=of_the_run(code.place))
    found = {}
    for each in inputs:
        try:
            places.cleared([each.entry], facts)
        except InputPathError as error:
            reason, _, fix = str(error).partition(" cannot be laid: ")[2].partition(". ")
            found[each.path] = (reason, fix[:1].lower() + fix[1:])
    return found


def observations(
    code: PipelineCode, proposed: list[NeededInput], refused: Mapping[str, tuple[str, str]]
) -> Iterator[Observation]:
    """What would a stage not find, and which of it would `inputs:` of the proposed file lay? `refused` as `refused` returns it."""
    inputs = needed(code)
    paths = {each.path for each in proposed}
    for each in inputs:
        who = f"stage {listed(each.stages)}"
        lay = f"inputs: [{{path: {each.path}, ...}}] in the pipeline's file lays the day's raw objects there; WRITE=<name> proposes it"
        if each.path in refused:
            reason, fix = refused[each.path]
            effect = stops if each.kind == "absent" or (each.kind != "committed" and each.lacking[0]) else surprises
            seen = {
                "committed": f"is committed to Git and {who} reads it: each day would train on the same rows",
                "absent": f"is not in the commit, and {who} depends on it",
            }.get(
                each.kind,
                f"is data of {each.where}, the same on each day; {who} needs it",
            )
            yield effect(TOPIC, each.path, f"{seen}, and inputs cannot lay the day's data there: {reason}.", fix)
        elif each.kind == "committed":
            if each.path in paths:
                yield surprises(
                    TOPIC, each.path, f"is committed to Git and {who} reads it: each day would train on the same rows.", f"{lay}."
                )  # fmt: skip
        elif each.path in paths:
            what = {"tracked": f"is tracked by {each.where}", "absent": "is not in the commit"}[each.kind]
            yield surprises(TOPIC, each.path, f"{what}; {who} reads it.", f"{lay}. {_otherwise(each)}")
        elif each.kind == "absent":
            yield stops(
                TOPIC,
                each.path,
                f"is not in the commit, and {who} depends on it.",
                "commit it, or correct the path in dvc.yaml.",
            )
        else:
            yield _fetched(each, who)
    yield from _outside(code)
    used = {each.path for each in inputs}
    unused = [
        t.file for t in code.described.tracked for out in t.outs if not any(touches(out.path, path) for path in used)
    ]
    if unused:
        yield noted(TOPIC, listed(unused), "tracks data that no stage of a run declares as a dependency.")


def _otherwise(each: NeededInput) -> str:
    """What to do with data that is proposed as an input and is no daily data."""
    problem, fix = each.lacking
    if each.kind == "absent" or problem:
        return f"If it is no daily data, commit it to Git instead{f', or {fix}: {problem}' if problem else ''}."
    return f"If it is no daily data, leave the entry out: a run fetches it from {_source(each)}."


def _source(each: NeededInput) -> str:
    if each.imported or each.remote is None:
        return "where it was imported, if it is on no remote"
    return f"remote {each.remote.name} ({each.remote.kind})"


def _fetched(each: NeededInput, who: str) -> Observation:
    """Tracked data that is fetched, or why it cannot be."""
    what = f"is tracked by {each.where}" if each.kind == "tracked" else f"is an output of the frozen {each.where}"
    problem, fix = each.lacking
    if problem:
        return stops(TOPIC, each.path, f"{what}, and {problem}; {who} needs it.", f"{fix}, or commit the data to Git.")
    if each.remote is not None and each.remote.needs_extra and not each.imported:
        return surprises(
            TOPIC, each.path, f"{what}; a run fetches it from {_source(each)}, which needs an extra of DVC.",
            f"set RETRAIN_DVC_EXTRAS for the workers, and name a connection in remotes: {{{each.remote.name}: {{connection: ID}}}}.",
        )  # fmt: skip
    return noted(
        TOPIC, each.path, f"{what}; a run fetches it from {_source(each)}, and keeps it with the day.",
        f"if it is the day's data, name it under inputs in the pipeline's file: inputs: [{{path: {each.path}, ...}}]."
        if each.kind == "tracked" and each.is_data else "",
    )  # fmt: skip


def _outside(code: PipelineCode) -> Iterator[Observation]:
    for each in code.stages:
        for dep in each.stage.deps:
            if "://" in dep:
                yield surprises(
                    TOPIC, f"stage {each.stage.name}", f"depends on {dep}, outside the checkout: a run asks for it without credentials of "
                    "the team, and DVC never takes the stage from its cache.",
                    "let inputs lay the data in the checkout, and depend on that path.",
                )  # fmt: skip
            elif dep.startswith(("../", "/")):
                yield stops(
                    TOPIC,
                    f"stage {each.stage.name}",
                    f"depends on {dep}, outside the checkout.",
                    "use a path in the repository.",
                )
