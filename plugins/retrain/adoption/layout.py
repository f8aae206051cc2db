"""What a clone of a repository lacks: submodules and files in Git LFS."""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Sequence
from contextlib import suppress

from retrain.adoption.observation import Observation, listed, noted, stops, surprises
from retrain.adoption.pipeline_code import PipelineCode, touches
from retrain.adoption.snapshot import Snapshot, is_pointer
from retrain.deployment.git_address import parsed
from retrain.work.dvc.declared import Stage
from retrain.work.errors import SubmoduleRefusedError
from retrain.work.origin import Origin
from retrain.work.submodules import Submodule, declared

TOPIC = "layout"


def submodules(code: PipelineCode) -> Iterator[Observation]:
    """Can a run fetch each submodule? Its files are not looked into."""
    origin, pinned = Origin(code.snapshot.url), dict.fromkeys(code.snapshot.submodules, "")
    for settings in _sections(code.snapshot):
        try:
            found = declared(settings, pinned, origin)
        except SubmoduleRefusedError as error:
            yield stops(TOPIC, ".gitmodules", f"a run refuses it: {error}", "correct the address or the path.")
            pinned.pop(next((value for key, value in settings.items() if key.endswith(".path")), ""), None)
            continue
        for each in found:
            del pinned[each.path]
            yield _fetched(each, origin)
    for path in pinned:
        yield _empty(code, path)


def _fetched(submodule: Submodule, origin: Origin) -> Observation:
    own, its = parsed(origin.url), parsed(submodule.origin.url)
    if own is not None and its is not None and own.host != its.host:
        return surprises(
            TOPIC, submodule.path, f"is a submodule on {its.host}, which a run reads without the access of the origin.",
            "make it public, give the workers access to it, or set update = none for it in .gitmodules.",
        )  # fmt: skip
    return noted(TOPIC, submodule.path, "is a submodule: a run fetches it with the access of the origin.")


def _empty(code: PipelineCode, path: str) -> Observation:
    """A submodule that neither Git nor a run fetches."""
    what = "is a submodule that .gitmodules gives no address or excludes, so its folder is empty in a run"
    users = [each.stage.name for each in code.stages if _uses(each.stage, path)]
    if users:
        return stops(TOPIC, path, f"{what}, and stage {listed(users)} needs it.", "add it with git submodule add.")
    return surprises(TOPIC, path, f"{what}.", "add it with git submodule add if a stage reads it, or remove it.")


def _sections(snapshot: Snapshot) -> Iterator[dict[str, str]]:
    """The keys of each submodule in .gitmodules, as Git names them; none if it is broken, which Git reports itself."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    lines = snapshot.texts.get(".gitmodules", "").splitlines()
    with suppress(configparser.Error):
        parser.read_string("\n".join(line.strip() for line in lines))
    for name in parser.sections():
        submodule = name.removeprefix("submodule").strip().strip('"')
        yield {f"submodule.{submodule}.{key}": value for key, value in parser[name].items()}


def large_files(code: PipelineCode, laid: Sequence[str], *, fetched: bool) -> Iterator[Observation]:
    """Which files are in Git LFS? `laid` are the paths of the proposed inputs; `fetched` is True where git-lfs is installed."""
    pointers = sorted(path for path, text in code.snapshot.texts.items() if is_pointer(text))
    replaced = [path for path in pointers if any(touches(path, place) for place in laid)]
    for path in replaced:
        yield noted(TOPIC, path, "is in Git LFS; the day's data is laid in place of it.")
    others = [path for path in pointers if path not in replaced]
    if not others:
        return
    more = f", and so are {len(others) - 1} more" if len(others) > 1 else ""
    if fetched:
        yield noted(TOPIC, others[0], f"is in Git LFS{more}: a run fetches them with git-lfs and verifies them.")
    else:
        yield stops(
            TOPIC, others[0], f"is in Git LFS{more}, and git-lfs is not installed here: a run refuses a pointer of three lines.",
            "install git-lfs on the workers, or move the files to DVC (dvc add).",
        )  # fmt: skip


def dvc_config(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """The sections of .dvc/config; empty if it is broken, which DVC reports itself."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(snapshot.texts.get(".dvc/config", ""))
    except configparser.Error:
        return {}
    return {name.strip("'"): dict(parser[name]) for name in parser.sections()}


def _uses(stage: Stage, path: str) -> bool:
    in_command = any(word.startswith(f"{path}/") or word == path for text in stage.cmd for word in text.split())
    return in_command or any(touches(dep, path) for dep in stage.deps)
