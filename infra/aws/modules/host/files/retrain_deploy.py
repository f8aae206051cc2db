"""Start a release on this host: `retrain-deploy v1.2.0`. Without a tag, start the release that is live; at a boot, with `--boot`.

    images -> files -> shape -> secrets -> workers stop -> compose up -> older releases go

Nothing of an image runs before its signature was verified, and no compose file is used before its shape was checked. A boot needs
neither the registry, nor the signer's log, nor Secrets Manager if images and secrets are on this host. Any step may be repeated.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bind_sources
import compose_shape
import host_secrets
import missing_volume
import old_releases
from host_errors import HostError, MissingVolumeError, NotAReleaseError, ProgramFailedError
from host_program import run
from host_settings import DeploySettings, SharedVolume, deploy_settings
from image_trust import require_user
from release_images import ReleaseImages, provide

_RELEASE = re.compile(r"v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_STOP_SECONDS = 1000  # 15 minutes for running stages
_HEALTHY_SECONDS = 600
_DEPLOYMENT = "/opt/retrain/deployment"
_SECRETS_SCRIPT = f"{_DEPLOYMENT}/infra/docker/secret_files.py"
# It gives each secret to its reader, and can do nothing else: no network, no files but the secrets'.
_GIVES_FILES_AWAY = (
    "--network=none", "--user=0:0", "--read-only", "--cap-drop=ALL", "--cap-add=CHOWN", "--cap-add=FOWNER", "--cap-add=DAC_OVERRIDE",
    "--security-opt=no-new-privileges",
)  # fmt: skip

Say = Callable[[str], None]


def deploy(release: str, settings: DeploySettings, say: Say, *, boot: bool) -> None:
    """Start a release and wait until all its services are healthy.

    Raises:
        HostError: it was refused or did not come up. Containers of the release before run on, unless compose had begun.
    """
    folders = settings.folders
    images = provide(release, settings, say)
    folder = folders.releases / release
    _unpack(images, folder)
    document = checked(settings, images, folder)
    write_secrets(settings, images, say, boot=boot)
    volume = settings.volume
    missing = volume is not None and not _is_mounted(volume)
    if missing and volume:
        volume.instead.mkdir(parents=True, exist_ok=True)
        os.chown(volume.instead, 50000, 50000)
        document = missing_volume.without_volume(document, volume.folder, volume.instead)
        say(
            f"The shared volume is not mounted at {volume.mounted_at}: only {', '.join(sorted(document['services']))} start."
        )
    compose_file = folder / old_releases.COMPOSE
    draft = compose_file.with_suffix(".new")
    draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
    draft.replace(compose_file)
    stop_workers(settings.project)
    _up(settings, compose_file, whole=not missing)
    if missing and volume:
        raise MissingVolumeError(
            f"{volume.mounted_at} is not mounted. Look at the file system in EFS and at `journalctl -u mnt-retrain.mount`; "
            "systemd tries again every minute."
        )
    _note_live(release, settings, say)


def checked(settings: DeploySettings, images: ReleaseImages, folder: Path) -> dict[str, Any]:
    """The release's compose file with every variable's value, checked, and with mounts that stay where they are.

    Raises:
        RefusedServiceError: it asks for more than this host allows.
    """
    for reference in images.references:
        require_user(reference)
    variables = {
        "RETRAIN_SECRETS": str(settings.folders.secrets),
        "AWS_DEFAULT_REGION": settings.region,
        **{f"RETRAIN_{name.upper()}_IMAGE": getattr(images, name) for name in ("airflow", "worker", "mlflow")},
    }
    file = folder / "docker-compose.airflow.yml"
    compose_shape.require_alone(file)
    command = _compose(settings, file)
    document: dict[str, Any] = json.loads(run([*command, "config", "--format=json"], variables=variables))
    given = settings.variables
    allowed = compose_shape.AllowedShape(
        trusted=frozenset(images.references) | settings.chosen_images,
        third_party=settings.third_party,
        folder=folder,
        shared=frozenset(
            given[name]
            for name in ("RETRAIN_HOME_VOLUME", "AIRFLOW_LOGS_VOLUME")
            if given.get(name, "").startswith("/")
        ),
        readable=frozenset(_views(given)),
        secrets=settings.folders.secrets,
        addresses=frozenset({settings.address, "127.0.0.1"}),
    )
    compose_shape.check(document, allowed)
    return bind_sources.with_stable_sources(document, folder, settings.folders.mounts)


def _views(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Folders of this host that the settings let a service read: (service or "*", folder)."""
    if given.get("RETRAIN_ORIGIN"):
        yield "*", given["RETRAIN_ORIGIN"]
    for each in given.get("RETRAIN_HOST_VIEWS", "").split():
        service, _, folder = each.partition(":")
        yield service, folder


def write_secrets(settings: DeploySettings, images: ReleaseImages, say: Say, *, boot: bool) -> None:
    """Put the secrets into memory, each for its reader. Only a boot may use the copy: a deployment brings new values here.

    Raises:
        MissingSecretError: one has no value.
    """
    folders, names = settings.folders, settings.secret_names

    def ask() -> dict[str, str]:
        values = host_secrets.fetch(names, settings.secrets_folder, settings.region)
        host_secrets.keep_copy(values, folders.copy)
        return values

    values = host_secrets.secrets_of_boot(names, ask, folders.copy, say) if boot else ask()
    credentials = (folders.etc / "aws_credentials").read_text(encoding="utf-8")
    host_secrets.write({**values, "aws_credentials": credentials}, folders.secrets)
    give = ["docker", "run", "--rm", *_GIVES_FILES_AWAY, f"--volume={folders.secrets}:/secrets", images.airflow]
    run([*give, "python", _SECRETS_SCRIPT, "/secrets"])


def stop_workers(project: str) -> None:
    """Stop the workers while everything else runs, so that their tasks end and report. Compose would stop Airflow before them."""
    labels = [f"--filter=label=com.docker.compose.{name}" for name in (f"project={project}", "service=airflow-worker")]
    if workers := run(["docker", "ps", "--quiet", *labels]).split():
        run(["docker", "stop", *workers], seconds=_STOP_SECONDS)


def _unpack(images: ReleaseImages, folder: Path) -> None:
    """The files that start the release, out of its verified image, and a note of its images. An existing folder is kept.

    Raises:
        RefusedServiceError: the image has more than plain files there.
    """
    if (known := ReleaseImages.noted(folder)) and known == images:
        return
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    container = run(["docker", "create", images.airflow]).strip()
    try:
        run(["docker", "cp", f"{container}:{_DEPLOYMENT}/.", draft])
    finally:
        run(["docker", "rm", container])
    bind_sources.require_plain(draft)  # before anything is written there: a link could lead anywhere
    images.note(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _up(settings: DeploySettings, compose_file: Path, *, whole: bool) -> None:
    """Start the document's services. Containers of services that it lacks are removed only if it is the whole stack."""
    up = ["up", "--detach", "--wait", f"--wait-timeout={_HEALTHY_SECONDS}"]
    rest = ["--remove-orphans"] if whole else []
    run([*_compose(settings, compose_file), *up, *rest], seconds=_HEALTHY_SECONDS + 300)


def _compose(settings: DeploySettings, file: Path) -> list[str]:
    settings_file = settings.folders.etc / "host.env"
    return ["docker", "compose", f"--project-name={settings.project}", f"--env-file={settings_file}", f"--file={file}"]


def _is_mounted(volume: SharedVolume) -> bool:
    """True if the shared volume is mounted, after one try to mount it. Its folder is made on the volume, never below an empty mount point."""
    try:
        if not os.path.ismount(volume.mounted_at):
            run(["mount", volume.mounted_at], seconds=120)
        volume.folder.mkdir(exist_ok=True)
    except (ProgramFailedError, OSError) as error:
        print(error, file=sys.stderr)
        return False
    return True


def _note_live(release: str, settings: DeploySettings, say: Say) -> None:
    """Note which release is live and which was before; remove the others."""
    place = settings.folders.place
    live = _read(place / "release")
    if live and live != release:
        (place / "previous").write_text(f"{live}\n", encoding="utf-8")
    (place / "release").write_text(f"{release}\n", encoding="utf-8")
    kept = [release, *(tag for tag in [_read(place / "previous")] if tag)]
    old_releases.remove_all_but(kept, settings.folders.releases, settings.folders.mounts, settings.image_prefix, say)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def main(arguments: list[str]) -> int:
    try:
        boot = arguments == ["--boot"]
        asked = arguments[0] if arguments and not boot else None
        if asked is not None and not _RELEASE.fullmatch(asked):
            raise NotAReleaseError(f'"{asked}" is no release. A release is a tag such as v1.2.0.')
        settings = deploy_settings(os.environ)
        release = asked or _read(settings.folders.place / "release")
        if not release:
            print("No release is on this host yet. Push images, then: retrain-release v1.2.0", file=sys.stderr)
            return 0
        settings.folders.releases.mkdir(parents=True, exist_ok=True)
        with (settings.folders.place / "deploy.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a boot and a release may meet
            deploy(release, settings, lambda line: print(line, flush=True), boot=boot)
    except HostError as error:
        print(error, file=sys.stderr)
        return error.code
    print(f"{release} is up.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
