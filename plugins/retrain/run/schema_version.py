"""The check of `schema_version` in documents that another version of the deployment may have written."""

from __future__ import annotations

from retrain.errors import RecordVersionError

_ADVICE = "Use the deployment that wrote it, or a newer one."


def require_readable(version: object, newest: int, document: str, advice: str = _ADVICE) -> int:
    """The version of a document, if this deployment reads it.

    Args:
        version: the document's `schema_version`.
        newest: the newest version that this deployment reads; it reads all from 1 on.
        document: the document's name or URL, for the error.
        advice: the next step, for the error.

    Raises:
        RecordVersionError: it is not a whole number from 1 to `newest`.
    """
    if not isinstance(version, int) or not 1 <= version <= newest:
        raise RecordVersionError(
            f"{document} has schema_version {version!r}, this deployment reads up to {newest}. {advice}"
        )
    return version
