"""Holds stages of a checkout as they are, so that `dvc repro` runs all others and not these, whatever DVC thinks of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrain.errors import DvcError
from retrain.work import process
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc

_HOLD = DEPLOYMENT_DVC / "hold.py"
_TIMEOUT = 600.0


@dataclass
class HeldStages:
    """The held stages of one checkout. DVC freezes stages in dvc.yaml, which is put back when they are released."""

    dvc: Dvc
    _addresses: set[str] = field(default_factory=set)
    _files: dict[Path, tuple[bytes, bytes]] = field(default_factory=dict)  # as committed, and as `hold` left them

    def hold(self, stages: Iterable[str], entries: Mapping[str, str]) -> dict[str, str]:
        """Hold these stages; returns their entries in dvc.lock, as YAML by the stage's address.

        Args:
            stages: the addresses. All items of a `foreach` or `matrix` are held together.
            entries: entries that dvc.lock gets first, by address. The outputs that they name are written from the cache.

        Raises:
            DvcError: DVC refuses, or its program failed.
        """
        addresses = sorted({*stages, *entries})
        files = {self._file_of(address) for address in addresses}
        committed = {file: self._files[file][0] if file in self._files else file.read_bytes() for file in files}
        answer = self._ask({"do": "hold", "entries": dict(entries), "stages": addresses})
        self._addresses.update(addresses)
        self._files |= {file: (committed[file], file.read_bytes()) for file in files}
        return {address: str(text) for address, text in answer["entries"].items()}

    def release(self, files: Iterable[str]) -> None:
        """Let all held stages go, and sort the stages by name in the dvc.lock of each of these dvc.yaml.

        Raises:
            DvcError: DVC refuses, or its program failed.
        """
        frozen: list[str] = []
        for file, (committed, held) in self._files.items():
            if file.read_bytes() == held:
                file.write_bytes(committed)
            else:  # a stage has changed it too, as DVCLive does
                frozen += [address for address in self._addresses if self._file_of(address) == file]
        self._ask({"do": "release", "stages": sorted(frozen), "files": sorted(files)})
        self._files, self._addresses = {}, set()

    def _file_of(self, address: str) -> Path:
        return self.dvc.checkout / (address.rpartition(":")[0] or "dvc.yaml")

    def _ask(self, asked: Mapping[str, Any]) -> Any:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            json.dump(asked, file)
            file.flush()
            done = process.run(
                [self.dvc.python, "-I", _HOLD, file.name],
                cwd=self.dvc.checkout,
                env=self.dvc.environment,
                timeout=_TIMEOUT,
                quiet=True,
                stderr_too=False,
            )
        try:
            answer = json.loads(done.output)
        except ValueError as error:
            how = f"took over {_TIMEOUT / 60:.0f} minutes" if done.timed_out else f"ended with {done.returncode}"
            raise DvcError(
                f"{_HOLD.name}, which freezes stages of the checkout, {how}. The reason is in the task's log. Clear the task."
            ) from error
        if done.returncode != 0:
            raise DvcError(
                f"Stages of the checkout cannot be held: {answer.get('error')}. The reason is in the task's log. Clear the task."
            )
        return answer
