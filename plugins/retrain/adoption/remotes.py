"""The repository's own DVC remotes, and outputs that name one."""

from __future__ import annotations

from collections.abc import Iterator

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


def observations(snapshot: Snapshot) -> Iterator[Observation]:
    """Which remotes are there, and is a secret committed with them?"""
    found = kinds(snapshot)
    if found:
        named = listed(f"{name} ({kind})" for name, kind in found.items())
        yield noted(
            TOPIC, ".dvc/config", f"remotes: {named}. A run neither reads nor writes them: its outputs go to store."
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
