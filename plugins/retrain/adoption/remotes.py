"""The repository's own DVC remotes, and outputs that name one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from retrain.adoption.layout import dvc_config
from retrain.adoption.observation import Observation, listed, noted, surprises
from retrain.adoption.pipeline_code import PipelineCode
from retrain.adoption.snapshot import Snapshot

TOPIC = "remotes"
_SECRET_OPTIONS = (
    "password", "secret_access_key", "access_key_id", "session_token", "connection_string", "account_key", "sas_token",
    "client_secret", "token", "gdrive_client_secret", "gdrive_service_account_json",
)  # fmt: skip


def kinds(snapshot: Snapshot) -> dict[str, str]:
    """The kind of each remote by its name: s3, gdrive, http, local, ..."""
    found = {}
    for section, options in dvc_config(snapshot).items():
        name = section.removeprefix("remote ").strip('"')
        if section.startswith("remote ") and "url" in options:
            scheme, separator, rest = options["url"].partition("://")
            kind = scheme if separator else "local"
            found[name] = "dagshub" if "dagshub.com" in rest else kind
    return found


@dataclass(frozen=True)
class DataRemote:
    """The remote of tracked data. `kind` as in `kinds`; `problem` and `fix` say why a run cannot read it, and are empty if it can."""

    name: str = ""
    kind: str = ""
    problem: str = ""
    fix: str = ""

    @property
    def needs_extra(self) -> bool:
        """True if the deployment's own DVC reads such a remote only with an extra."""
        return self.kind not in ("s3", "http", "https", "local", "dagshub", "")


def data_remote(snapshot: Snapshot, named: str | None) -> DataRemote:
    """The remote that has the data of an output: the one that the output names, the default one, or the only one."""
    config, known = dvc_config(snapshot), kinds(snapshot)
    name = named or config.get("core", {}).get("remote") or (next(iter(known)) if len(known) == 1 else "")
    if not known:
        return DataRemote(
            problem="the repository has no DVC remote", fix="add one (dvc remote add --default, dvc push)"
        )
    if not name:
        return DataRemote(problem="none of the remotes is the default", fix="choose one with dvc remote default")
    kind = next((kind for each, kind in known.items() if each.lower() == name.lower()), None)
    if kind is None:
        return DataRemote(name, problem=f".dvc/config has no remote {name}", fix="correct its name")
    if kind == "local":
        return DataRemote(
            name, kind, f"remote {name} is a path of somebody's disk", "push it to a remote that workers reach"
        )
    return DataRemote(name, kind)


def observations(snapshot: Snapshot) -> Iterator[Observation]:
    """Which remotes are there, and is a secret committed with them?"""
    found = kinds(snapshot)
    if found:
        named = listed(f"{name} ({kind})" for name, kind in found.items())
        yield noted(
            TOPIC,
            ".dvc/config",
            f"remotes: {named}. A run reads tracked data from them and writes nothing there: its outputs go to store.",
        )
    for section, options in dvc_config(snapshot).items():
        secret = [name for name in _SECRET_OPTIONS if options.get(name)]
        if "@" in options.get("url", "").partition("://")[2].partition("/")[0] and not options["url"].startswith("ssh"):
            secret.append("url")
        if secret:
            yield surprises(
                TOPIC, f".dvc/config [{section}]", f"a secret seems to be committed: {', '.join(secret)}.",
                "revoke it, and keep it in .dvc/config.local or in the environment.",
            )  # fmt: skip


def outputs(code: PipelineCode) -> Iterator[Observation]:
    """Do outputs name a remote of their own?"""
    for each in code.stages:
        named = [f"{out.path} ({out.remote})" for out in each.stage.outs if out.remote]
        if named:
            yield surprises(
                TOPIC, f"stage {each.stage.name}", f"outputs name a remote of their own: {listed(named)}.",
                "all outputs go to store, whatever they name: remove remote: if that is not meant.",
            )  # fmt: skip
