"""The errors for tracked data that cannot be fetched, in sentences that name the data, its remote and the next step."""

from __future__ import annotations

from collections.abc import Callable

from retrain.errors import DiskFullError, RetrainError
from retrain.inputs import errors
from retrain.work.dvc.tracked_inputs import TrackedInput
from retrain.work.dvc.tracked_programs import FetchRefusal

_EXTRAS = {
    "gs": "gs", "azure": "azure", "ssh": "ssh", "gdrive": "gdrive", "oss": "oss", "webdav": "webdav", "webdavs": "webdav",
    "hdfs": "hdfs", "webhdfs": "webhdfs",
}  # fmt: skip


def refusal(found: FetchRefusal, wanted: TrackedInput, release: str) -> RetrainError:
    """The error for data that cannot be fetched. `release` names the release."""
    kind, sentence = _SENTENCES.get(found.why, (errors.TrackedFetchError, _other))
    data = f"{release} tracks {wanted.path} with {wanted.named_by}, and stage {wanted.needed_by} needs it."
    return kind(f"{data} {sentence(found, wanted)}")


def too_slow(wanted: TrackedInput, release: str, seconds: float) -> RetrainError:
    """The error for data that was not fetched in time."""
    return errors.RemoteUnreachableError(
        f"{release} tracks {wanted.path} with {wanted.named_by}, and fetching it took more than {seconds / 60:.0f} minutes. "
        "Raise limits.reproduce_minutes in the pipeline's file, or clear the task when the remote is faster."
    )


def _place(found: FetchRefusal) -> str:
    if found.remote:
        return f"remote {found.remote} ({found.address})" if found.address else f"remote {found.remote}"
    return f"its source {found.address}" if found.address else "its source"


def _as(found: FetchRefusal) -> str:
    return f" connection {found.connection}" if found.connection else " a request without credentials"


def _lay(wanted: TrackedInput) -> str:
    return f"If it is the day's data, lay it there: `inputs: [{{path: {wanted.path}}}]` in the pipeline's file."


def _no_remote(_found: FetchRefusal, wanted: TrackedInput) -> str:
    return (
        "The release has no DVC remote. In a new release add one (dvc remote add --default, then dvc push), or commit the data "
        f"to Git. {_lay(wanted)}"
    )


def _no_default(found: FetchRefusal, _wanted: TrackedInput) -> str:
    return f"The release has the remotes {found.detail}, and none of them is the default. In a new release choose one: dvc remote default NAME."


def _unknown_remote(found: FetchRefusal, _wanted: TrackedInput) -> str:
    return (
        f"It names the remote {found.remote}, and .dvc/config has {found.detail}. Correct one of them in a new release."
    )


def _local_remote(found: FetchRefusal, wanted: TrackedInput) -> str:
    return (
        f"Its {_place(found)} is a folder that this machine does not have. In a new release push the data to a remote that "
        f"workers reach, such as S3, or commit it to Git. {_lay(wanted)}"
    )


def _absent(found: FetchRefusal, wanted: TrackedInput) -> str:
    return (
        f"{_capital(_place(found))} does not have it: {found.detail}. Run dvc push in a clone that has the data ({wanted.path}), then "
        f"try again or clear the task. {_lay(wanted)}"
    )


def _denied(found: FetchRefusal, _wanted: TrackedInput) -> str:
    key = f"`remotes: {{{found.remote or 'NAME'}: {{connection: ID}}}}`"
    if found.connection:
        fix = (
            f"Correct the keys of Airflow's connection {found.connection}, let them read there (S3: s3:GetObject and s3:ListBucket; "
            f"without the latter S3 answers 403 for an absent object too), or name another connection in the pipeline's file: {key}"
        )
    else:
        fix = f"Name a connection in the pipeline's file: {key}"
    return f"{_capital(_place(found))} refused{_as(found)}: {found.detail}. {fix}. Then try again, or clear the task."


def _unreachable(found: FetchRefusal, _wanted: TrackedInput) -> str:
    return f"{_capital(_place(found))} does not answer: {found.detail}. Clear the task when it does, or correct its address."


def _damaged(found: FetchRefusal, _wanted: TrackedInput) -> str:
    return (
        f"{_capital(_place(found))} sent other bytes than the recorded ones: {found.detail}. None of it is kept. Clear the task; if "
        "it happens again, run dvc push in a clone that has the data."
    )


def _disk(found: FetchRefusal, _wanted: TrackedInput) -> str:
    return (
        f"The disk filled up while it was fetched from {_place(found)}: {found.detail}. Free space on the workers' volume, or raise "
        "limits.min_free_disk_mb in the pipeline's file, so that a run does not begin without it. Then clear the task."
    )


def _scheme(found: FetchRefusal, _wanted: TrackedInput) -> str:
    scheme = found.address.partition("://")[0]
    extra = _EXTRAS.get(scheme, scheme)
    return (
        f"Its {_place(found)} needs dvc[{extra}], which the deployment's own DVC does not have. Set RETRAIN_DVC_EXTRAS={extra} for "
        "the workers, as infra/docs/bring-your-own-pipeline.md says."
    )


def _options(found: FetchRefusal, _wanted: TrackedInput) -> str:
    connection = f"connection {found.connection}" if found.connection else "its configuration"
    return f"Its {_place(found)} cannot be opened with {connection}: {found.detail}. Correct the connection, or .dvc/config in a new release."


def _unhashed(_found: FetchRefusal, wanted: TrackedInput) -> str:
    return (
        f"{'dvc.lock' if wanted.file != wanted.stage else wanted.file} has no MD5 of it, so no content can be trusted. Run dvc repro, "
        "dvc commit or dvc update where the data is, push it, and release the changed file."
    )


def _import_changed(found: FetchRefusal, wanted: TrackedInput) -> str:
    return (
        f"It is on no remote of the release, and {_place(found)} has other content now: {found.detail}. Run dvc push in a clone that "
        f"has the imported data, or dvc update {wanted.file} and release it."
    )


def _import_gone(found: FetchRefusal, wanted: TrackedInput) -> str:
    return (
        f"It is on no remote of the release, and {_place(found)} does not have it any more: {found.detail}. Run dvc push in a clone "
        f"that has the imported data, or import it from elsewhere in a new release. {_lay(wanted)}"
    )


def _revision_gone(found: FetchRefusal, wanted: TrackedInput) -> str:
    return (
        f"{_capital(_place(found))} does not have the imported revision any more: {found.detail}. Bring it back there, or run dvc update "
        f"{wanted.file} and release it."
    )


def _other(found: FetchRefusal, _wanted: TrackedInput) -> str:
    return f"It could not be fetched from {_place(found)}: {found.detail}. Clear the task; if it happens again, try dvc pull in a clone."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_SENTENCES: dict[str, tuple[type[RetrainError], Callable[[FetchRefusal, TrackedInput], str]]] = {
    "no_remote": (errors.NoRemoteError, _no_remote),
    "no_default": (errors.NoRemoteError, _no_default),
    "unknown_remote": (errors.NoRemoteError, _unknown_remote),
    "local_remote": (errors.LocalRemoteError, _local_remote),
    "absent": (errors.NotOnRemoteError, _absent),
    "denied": (errors.RemoteDeniedError, _denied),
    "unreachable": (errors.RemoteUnreachableError, _unreachable),
    "damaged": (errors.RemoteDamagedError, _damaged),
    "disk": (DiskFullError, _disk),
    "scheme": (errors.RemoteExtraError, _scheme),
    "options": (errors.RemoteOptionError, _options),
    "unhashed": (errors.UnhashedInputError, _unhashed),
    "import_changed": (errors.ImportChangedError, _import_changed),
    "import_gone": (errors.ImportGoneError, _import_gone),
    "revision_gone": (errors.RevisionGoneError, _revision_gone),
}
