"""The programs in `infra/dvc` that fetch tracked data from its remotes, and put it into a checkout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain.work import process
from retrain.work.dvc.program import DEPLOYMENT_DVC, Dvc, unanswered
from retrain.work.dvc.tracked_inputs import TrackedInput
from retrain.work.remote_access import RemoteAccess

_FETCH = DEPLOYMENT_DVC / "tracked"
_PLACE = DEPLOYMENT_DVC / "place_tracked.py"


@dataclass(frozen=True)
class FetchedInput:
    """Data as it was fetched. `md5` is that of DVC 3. `source` is the remote's name, or `import`; `size` is in bytes."""

    path: str
    md5: str
    source: str
    address: str
    files: int
    bytes: int


@dataclass(frozen=True)
class FetchRefusal:
    """Why data cannot be fetched. `why` is a kind of failure, `detail` the remote's or DVC's own words; other parts may be empty."""

    why: str
    detail: str = ""
    path: str = ""
    file: str = ""
    remote: str = ""
    address: str = ""
    connection: str = ""


def fetch(
    dvc: Dvc, wanted: Sequence[TrackedInput], folder: Path, access: RemoteAccess, timeout: float, *, look: bool
) -> tuple[FetchedInput, ...] | FetchRefusal | None:
    """Fetch data from the release's own remotes into `folder`; with `look` only look whether it is there.

    Returns None if it takes more than `timeout` seconds.

    Raises:
        DvcError: the program that fetches it failed.
    """
    # The variables of the stages are not for it: they have the address of our S3, and secrets.
    own = process.environment(DVC_NO_ANALYTICS="1", AWS_MAX_ATTEMPTS="3", AWS_RETRY_MODE="standard")
    request = _request(wanted, folder, access, look=look)
    done = dvc.ask(_FETCH, given=request, timeout=timeout, environment=own)
    if done.timed_out:
        return None
    try:
        return _answer(done.output)
    except (ValueError, LookupError, TypeError) as error:
        raise unanswered(_FETCH, done) from error


def place(dvc: Dvc, found: Mapping[TrackedInput, str], hold: Iterable[str]) -> None:
    """Put tracked data from the cache into the checkout, and hold these stages. `found` has the MD5 of DVC 3 of each input.

    Raises:
        DvcError: DVC could not do it.
    """
    outputs = [{"file": e.file, "stage": e.stage, "path": e.path, "md5": md5} for e, md5 in found.items()]
    done = dvc.ask(_PLACE, given=json.dumps({"outputs": outputs, "hold": list(hold)}))
    if done.returncode != 0:
        raise unanswered(_PLACE, done)


def _request(wanted: Sequence[TrackedInput], folder: Path, access: RemoteAccess, *, look: bool) -> str:
    """The document that `infra/dvc/tracked` reads. It has secrets: it goes to the program's standard input only."""
    return json.dumps(
        {
            "outputs": [{"file": each.file, "stage": each.stage, "path": each.path} for each in wanted],
            "look": look,
            "folder": str(folder),
            "remotes": {name: each.to_document() for name, each in access.named.items()},
            "s3": access.s3.to_document(),
        }
    )


def _answer(text: str) -> tuple[FetchedInput, ...] | FetchRefusal:
    """Read what `infra/dvc/tracked` prints. ValueError, LookupError or TypeError if it is not that."""
    document: dict[str, Any] = json.loads(text)
    if "refused" in document:
        return FetchRefusal(**{name: value or "" for name, value in document["refused"].items()})
    return tuple(
        FetchedInput(e["path"], e["md5"], e["source"], e["address"], e["files"], e["bytes"])
        for e in document["outputs"]
    )
