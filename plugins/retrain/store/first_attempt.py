"""The outcome of the attempt that an entry of the ledger belongs to: one document, from which any later attempt can write the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from retrain.errors import RecordError
from retrain.run.run_record import RunRecord
from retrain.run.schema_version import require_readable

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FirstAttempt:
    """The record, the text of each other document by its name in the entry, and the name of the receipt that `push` wrote."""

    record: RunRecord
    files: Mapping[str, str]
    receipt: str

    def to_json(self) -> str:
        """The document that `from_json` reads.

        Raises:
            RecordError: the record does not follow its schema.
        """
        document = {
            "schema_version": SCHEMA_VERSION,
            "record": self.record.to_json(),
            "files": dict(self.files),
            "receipt": self.receipt,
        }
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes, url: str) -> Self:
        """Read the document. `url` names it in an error.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            RecordError: it is not such a document, or its record does not follow the schema.
        """
        try:
            document = json.loads(text)
            require_readable(document["schema_version"], SCHEMA_VERSION, url)
            record, receipt = str(document["record"]), str(document["receipt"])
            files = {str(name): str(content) for name, content in document["files"].items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise RecordError(
                f"{url} cannot be read ({error!r}). Another program wrote it: check who may write to the ledger."
            ) from error
        return cls(RunRecord.from_json(record.encode(), url), files, receipt)
