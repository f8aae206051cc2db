"""DVC's configuration of one workspace: the shared cache and our remote, whatever the release's own configuration says."""

from __future__ import annotations

import configparser
from pathlib import Path

from retrain.errors import DvcError
from retrain.work import git

REMOTE = "retrain"


def write(checkout: Path, cache: Path, identity: str, remote: str, endpoint: str | None) -> None:
    """Write `.dvc/config.local` of the checkout.

    Args:
        checkout: the checkout of one workspace. DVC's own files go beside it.
        cache: the pipeline's cache, shared by all workspaces.
        identity: the identity of all that DVC does not see: see `run_cache_identity`.
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
    if git.ignores_dvc_files(checkout):
        config["core"]["no_scm"] = "true"  # DVC refuses a dvc.lock that Git ignores, and a run commits nothing
    # Copies, never links: an append through a hard link would silently corrupt the shared object.
    config["cache"] = {"dir": str(_cache_of_environment(cache, identity)), "type": "reflink,copy"}
    config[f"'remote \"{REMOTE}\"'"] = {"url": remote, **({"endpointurl": endpoint} if endpoint else {})}
    for name in _asking_for_a_login(checkout):
        # `dvc push` makes a client of each remote that an output names, and ends if it has no login. It asks none of them.
        config[name] = {"user": "nobody", "password": "none"}
    target = _file(checkout)
    target.parent.mkdir(exist_ok=True)
    with target.open("w", encoding="utf-8") as file:
        config.write(file)


def remote_url(checkout: Path) -> str:
    """The URL of the remote, as `write` wrote it."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(_file(checkout), encoding="utf-8")
    return config.get(f"'remote \"{REMOTE}\"'", "url", fallback=REMOTE)


def names_hydra(checkout: Path) -> bool:
    """True if the project's own configuration names Hydra. Whether it turns Hydra on, DVC says."""
    config = checkout / ".dvc" / "config"
    return config.is_file() and "hydra" in config.read_text(encoding="utf-8", errors="replace")


def _asking_for_a_login(checkout: Path) -> list[str]:
    """The sections of the project's own remotes that need a login, which no release has in Git."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(checkout / ".dvc" / "config", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return []  # DVC refuses it, and says why
    remotes = (name for name in config.sections() if name.strip("'").startswith("remote "))
    return [name for name in remotes if config[name].get("auth") and not config[name].get("password")]


def _file(checkout: Path) -> Path:
    return checkout / ".dvc" / "config.local"


def _cache_of_environment(cache: Path, identity: str) -> Path:
    """A cache folder for this environment alone, in which `files` is a link to the objects that all environments share.

    DVC keeps its run cache in `runs`, beside `files`. That knows the command, dependencies and parameters of a stage, but not
    its packages: with one run cache for all, a release that changes only packages would get the old outputs.
    """
    packages, dash, more = identity.partition("-")
    folder, objects = cache / "environments" / f"{packages[:32]}{dash}{more[:16]}", cache / "files"
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
