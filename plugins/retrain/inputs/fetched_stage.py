"""What a stage fetched for a run: the document that later attempts and a replay take its outputs from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from operator import index
from urllib.parse import quote

from retrain.errors import RecordError
from retrain.run.schema_version import require_readable
from retrain.store.receipt import Proof
from retrain.work.dvc.outputs import Output

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FetchedStage:
    """A stage that fetched its own data. `entry` is its entry in dvc.lock, as YAML; `fetched_at` an ISO timestamp.

    `proofs` are those of all objects of its outputs on the remote, the files of folders included.
    """

    stage: str
    fetched_at: str
    entry: str
    outputs: tuple[Output, ...]
    proofs: tuple[Proof, ...]

    @property
    def name(self) -> str:
        """The name of its document. It is never that of another document of the ledger, however the stage is called."""
        return f"stage-{quote(self.stage, safe='@')}.json"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its objects on the remote and in a cache."""
        return tuple(proof.key for proof in self.proofs)

    def to_json(self) -> bytes:
        """The document that `from_json` reads."""
        document = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return (json.dumps(document, sort_keys=True, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes, url: str) -> FetchedStage:
        """Read the document at `url`.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            RecordError: it is not such a document.
        """
        try:
            document = json.loads(text)
            require_readable(index(document["schema_version"]), SCHEMA_VERSION, url)
            return cls(
                str(document["stage"]),
                str(document["fetched_at"]),
                str(document["entry"]),
                tuple(Output(**entry) for entry in document["outputs"]),
                tuple(Proof(**entry) for entry in document["proofs"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(
                f"{url} does not say what a stage fetched ({error!r}): another program wrote it. "
                "If the bucket keeps versions, restore the first one there."
            ) from error
