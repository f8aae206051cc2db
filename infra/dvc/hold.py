"""Hold stages of the checkout in the current folder as they are, so that `dvc repro` does not run them; or let them go again.

Run it with the Python of the deployment's own DVC environment. Its argument is a file with one JSON document:

- {"do": "hold", "entries": {...}, "stages": [...]}: write the dvc.lock entries (YAML by the stage's address), check out the outputs
  that they name, freeze the stages, and print {"entries": {...}}, the entries that dvc.lock has of these stages now;
- {"do": "release", "stages": [...], "files": [...]}: take `frozen` from the stages again, sort the dvc.lock of these dvc.yaml by name,
  and print {}. Two attempts that ran the stages in another order then have the same bytes.

If DVC refuses, the document is {"error": "<DVC's reason>"} and the exit code is 1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import dump_yaml, dumps_yaml, load_yaml, loads_yaml


def main() -> int:
    # DVC and its dependencies may print: redirected to stderr, so that stdout has only the document.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    refused, done = False, dict[str, Any]()
    try:
        if asked["do"] == "hold":
            done = {"entries": hold(asked["entries"], asked["stages"])}
        else:
            release(asked["stages"], asked["files"])
    except DvcException as error:
        refused, done = True, {"error": " ".join(str(error).split())}
    with answer:
        json.dump(done, answer, sort_keys=True)
        answer.write("\n")
    return int(refused)


def hold(entries: Mapping[str, str], stages: Iterable[str]) -> dict[str, str]:
    """Freeze the stages. Those with an entry get it and its outputs first; returns the entries of all by address, as YAML.

    Raises:
        DvcException: an output cannot be checked out.
    """
    for file, addresses in by_file(entries).items():
        lock: dict[str, Any] = load_yaml(lock_of(file)) if Path(lock_of(file)).exists() else {"schema": "2.0"}
        known = lock.setdefault("stages", {})
        known.update({name_of(address): loads_yaml(entries[address]) for address in addresses})
        dump_yaml(lock_of(file), lock)
    if entries:
        check_out(entries)
    held: dict[str, str] = {}
    for file, addresses in by_file(stages).items():
        freeze(file, addresses, frozen=True)
        known = load_yaml(lock_of(file))["stages"] if Path(lock_of(file)).exists() else {}
        held |= {address: dumps_yaml(known[name_of(address)]) for address in addresses if name_of(address) in known}
    return held


def check_out(addresses: Iterable[str]) -> None:
    """Write the outputs that dvc.lock names, from the cache, in place of all that is there.

    Raises:
        DvcException: one of them is not in the cache.
    """
    repo = Repo()
    with repo.lock:
        for address in addresses:
            stage = repo.stage.load_one(file_of(address), name_of(address))
            try:
                failed = stage.checkout(force=True).get("failed")
            except FileNotFoundError as error:  # a file, which DVC looks for only when it links it
                failed = [os.path.relpath(error.filename or address)]
            if failed:
                raise DvcException(f"{', '.join(map(str, failed))} of stage {address} cannot be checked out")


def release(stages: Iterable[str], files: Iterable[str]) -> None:
    """Let stages run again, and sort the stages in the dvc.lock of these files by name."""
    for file, addresses in by_file(stages).items():
        freeze(file, addresses, frozen=False)
    for file in files:
        if Path(lock_of(file)).exists():
            lock = load_yaml(lock_of(file))
            dump_yaml(lock_of(file), {**lock, "stages": dict(sorted(lock["stages"].items()))})


def freeze(file: str, addresses: Iterable[str], *, frozen: bool) -> None:
    """Set or remove `frozen` in the definitions of these stages. The items of a `foreach` or `matrix` share one definition."""
    # Unshared: with aliases in the file, two groups of stages may be one mapping.
    document = unshared(load_yaml(file))
    for name in {name_of(address).partition("@")[0] for address in addresses}:
        definition = document["stages"][name]
        own = definition["do"] if "foreach" in definition else definition
        if frozen:
            own["frozen"] = True
        else:
            own.pop("frozen", None)
    dump_yaml(file, document)


def unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: unshared(each) for key, each in value.items()}
    return [unshared(each) for each in value] if isinstance(value, list) else value


def by_file(addresses: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address in addresses:
        found.setdefault(file_of(address), []).append(address)
    return found


def file_of(address: str) -> str:
    """The dvc.yaml of a stage's address: `train` is in the top one, `prep/dvc.yaml:clean` in another."""
    return address.rpartition(":")[0] or "dvc.yaml"


def name_of(address: str) -> str:
    return address.rpartition(":")[2]


def lock_of(file: str) -> str:
    return str(Path(file).with_suffix(".lock"))


if __name__ == "__main__":
    sys.exit(main())
