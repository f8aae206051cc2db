"""DVC's configuration of one workspace: the shared cache and our remote, whatever the release's own configuration says."""

from __future__ import annotations

import configparser
from pathlib import Path

from retrain.errors import DvcError

REMOTE = "retrain"


def write(checkout: Path, cache: Path, identity: str, remote: str, endpoint: str | None) -> None:
    """Write `.dvc/config.local` of the checkout.

    Args:
        checkout: the checkout of one workspace. DVC's own files go beside it.
        cache: the pipeline's cache, shared by all workspaces.
        identity: the identity of the release's environment.
        remote: the S3 URL of the remote.
        endpoint: the address of an S3 that is not AWS's.

    Raises:
        DvcError: the environment's cache folder does not lead to the shared objects.
    """
    config = configparser.ConfigParser(interpolation=None)
    config["core"] = {
        "remote": REMOTE,
        "analytics": "false",
        "check_update": "false",
        "site_cache_dir": str(checkout.parent / "site-cache"),
    }
    # Copies, never links: an append through a hard link would silently corrupt the shared object.
    config["cache"] = {"dir": str(_cache_of_environment(cache, identity)), "type": "reflink,copy"}
    config[f"'remote \"{REMOTE}\"'"] = {"url": remote, **({"endpointurl": endpoint} if endpoint else {})}
    target = _file(checkout)
    target.parent.mkdir(exist_ok=True)
    with target.open("w", encoding="utf-8") as file:
        config.write(file)


def remote_url(checkout: Path) -> str:
    """The URL of the remote, as `write` wrote it."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(_file(checkout), encoding="utf-8")
    return config.get(f"'remote \"{REMOTE}\"'", "url", fallback=REMOTE)


def _file(checkout: Path) -> Path:
    return checkout / ".dvc" / "config.local"


def _cache_of_environment(cache: Path, identity: str) -> Path:
    """A cache folder for this environment alone, in which `files` is a link to the objects that all environments share.

    DVC keeps its run cache in `runs`, beside `files`. That knows the command, dependencies and parameters of a stage, but not
    its packages: with one run cache for all, a release that changes only packages would get the old outputs.
    """
    folder, objects = cache / "environments" / identity[:32], cache / "files"
    for each in (folder, objects):
        each.mkdir(parents=True, exist_ok=True)
    link = folder / "files"
    try:
        link.symlink_to(Path("..", "..", "files"))  # relative, because the volume may be mounted elsewhere later
    except FileExistsError:
        if not link.samefile(objects):
            raise DvcError(
                f"{link} is not the link to {objects} that it should be, so DVC would keep objects elsewhere. "
                f"Move it away, then clear reproduce."
            ) from None
    return folder
