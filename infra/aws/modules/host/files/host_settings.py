"""The host's settings: /etc/retrain/host.env, as Terraform wrote them, and the folders of the programs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from host_errors import SettingError
from image_trust import Signer

IMAGES = ("airflow", "worker", "mlflow")


@dataclass(frozen=True)
class HostFolders:
    """Where the programs read and write."""

    etc: Path  # the settings
    place: Path  # the data disk: releases, `release` (the tag that is live), Docker's data
    secrets: Path  # in memory
    copy: Path | None  # the copy of Secrets Manager's values on the system disk, for a boot without AWS; None: no copy

    @property
    def releases(self) -> Path:
        return self.place / "releases"

    @property
    def mounts(self) -> Path:
        return self.place / "mounts"


@dataclass(frozen=True)
class SharedVolume:
    """The folder that workers share, on a file system of its own. `folder` exists only while that is mounted at `mounted_at`."""

    mounted_at: Path
    folder: Path
    instead: Path  # for the watch, while the volume is missing


@dataclass(frozen=True)
class DeploySettings:
    """What a deployment needs to know. `variables` are all settings, which the compose file reads too."""

    folders: HostFolders
    variables: Mapping[str, str]
    project: str
    region: str
    registry: str
    image_prefix: str
    signer: Signer
    third_party: frozenset[str]  # repositories of others whose images a release may use, by digest only
    chosen_images: frozenset[str]  # images that the settings of this host put in the place of the compose file's
    secret_names: tuple[str, ...]
    secrets_folder: str
    address: str  # on which pages are published
    volume: SharedVolume | None  # None: a Docker volume on the data disk


def read_variables(path: Path) -> dict[str, str]:
    """The variables of a file with lines `NAME='value'`; empty if there is no file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    written = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): " ".join(shlex.split(value)) for name, value in written}


def deploy_settings(environment: Mapping[str, str]) -> DeploySettings:
    """The settings of this host; variables of the environment count before those of the file.

    Raises:
        SettingError: a setting is missing or unreadable.
    """
    etc = Path(environment.get("RETRAIN_ETC", "/etc/retrain"))
    written = read_variables(etc / "host.env")
    known = written | {name: value for name, value in environment.items() if name.startswith(("RETRAIN_", "AWS_"))}

    def needed(name: str) -> str:
        if not known.get(name):
            raise SettingError(
                f"{name} is not in {etc / 'host.env'}. Run retrain-settings on the host, then this again."
            )
        return known[name]

    place = Path(known.get("RETRAIN_PLACE", "/srv/retrain")).resolve()
    copy = known.get("RETRAIN_SECRETS_COPY", "")
    mounted_at, folder = known.get("RETRAIN_VOLUME_AT", ""), known.get("RETRAIN_HOME_VOLUME", "")
    return DeploySettings(
        folders=HostFolders(
            etc, place, Path(known.get("RETRAIN_SECRETS", "/run/retrain/secrets")), Path(copy) if copy else None
        ),
        variables=written,
        project=known.get("RETRAIN_PROJECT", "retrain"),
        region=needed("AWS_REGION"),
        registry=needed("RETRAIN_REGISTRY"),
        image_prefix=needed("RETRAIN_IMAGE_PREFIX"),
        signer=Signer.parsed(needed("RETRAIN_SIGNER"), etc / "release.pub"),
        third_party=frozenset(known.get("RETRAIN_THIRD_PARTY_IMAGES", "").split()),
        chosen_images=frozenset(value for name, value in written.items() if name.endswith("_IMAGE")),
        secret_names=tuple(needed("RETRAIN_HOST_SECRETS").split()),
        secrets_folder=needed("RETRAIN_SECRETS_FOLDER"),
        address=known.get("RETRAIN_BIND", "127.0.0.1"),
        volume=SharedVolume(Path(mounted_at), Path(folder), place / "without-volume") if mounted_at else None,
    )
