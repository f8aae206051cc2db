"""A Docker engine for the tests: a running engine if one answers, else our own below a folder, which ends with the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

_START_SECONDS = 60
_MIRROR = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")


class NoEngineError(Exception):
    """No engine can run here; the message says what is missing."""


def answers(host: str | None = None) -> bool:
    """True if a Docker engine answers, at `host` or at the address in the environment."""
    variables = os.environ | ({"DOCKER_HOST": host} if host else {})
    try:
        done = subprocess.run(["docker", "info"], env=variables, capture_output=True, timeout=30, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """The address of an engine. An engine that is started here keeps its data in `folder`, and is ended by its id.

    Raises:
        NoEngineError: there is none, and none can be started.
    """
    if answers():
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        return
    if os.geteuid() != 0:
        raise NoEngineError("no Docker engine answers, and only root can start one")
    _install()
    folder.mkdir(parents=True, exist_ok=True)
    host = f"unix://{folder}/docker.sock"
    command = [
        "dockerd",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--host={host}",
        f"--pidfile={folder}/dockerd.pid",
    ]
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        pause, deadline = Event(), time.monotonic() + _START_SECONDS
        while not answers(host):
            if daemon.poll() is not None or time.monotonic() > deadline:
                said = (folder / "dockerd.log").read_text(errors="replace").splitlines()[-3:]
                raise NoEngineError(f"dockerd does not start here: {' '.join(said)}")
            pause.wait(0.5)
        yield host
    finally:
        daemon.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(60)
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


def _install() -> None:
    """Install the programs that an engine needs from Debian's packages, if apt-get is there and one is missing."""
    needed = {"dockerd": "docker.io", "iptables": "iptables", "debootstrap": "debootstrap"}
    missing = [package for program, package in needed.items() if not shutil.which(program)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise NoEngineError(f"{', '.join(missing)} are missing, and there is no apt-get to install them with")
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "--quiet", *command], capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            raise NoEngineError(f"apt-get {command[0]} failed: {done.stderr.strip()[-300:]}")


def with_compose(program: str, folder: Path) -> dict[str, str]:
    """The variables with which `program` finds compose: none if it has compose, else those of a plugin below `folder`.

    Raises:
        NoEngineError: it has no compose, and the plugin cannot be downloaded.
    """
    if subprocess.run([program, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return {}
    # This Debian has only compose v1, which is no longer maintained; the plugin of the next Debian needs only libc.
    plugin = unpacked("docker-compose", "trixie", folder) / "usr/libexec/docker/cli-plugins/docker-compose"
    (folder / "docker" / "cli-plugins").mkdir(parents=True, exist_ok=True)
    shutil.copy(plugin, folder / "docker" / "cli-plugins")
    return {"DOCKER_CONFIG": str(folder / "docker")}


def unpacked(package: str, suite: str, folder: Path) -> Path:
    """A Debian package, unpacked below `folder` and not installed; apt checks its signature."""
    root, lists, archives = (folder / "packages" / name for name in (package, f"{suite}-lists", f"{suite}-cache"))
    if root.is_dir():
        return root
    if not shutil.which("apt-get"):
        raise NoEngineError(f"{package} is missing, and there is no apt-get to fetch it with")
    for path in (lists / "partial", archives / "archives" / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    mirror = next(line for line in _output(*_MIRROR).splitlines() if "security" not in line)
    sources = folder / "packages" / f"{suite}.list"
    sources.write_text(f"deb {mirror} {suite} main\n")
    options = {"Etc::sourcelist": sources, "Etc::sourceparts": "-", "State::lists": lists, "Cache": archives}
    apt = ["apt-get", "--quiet", *(f"--option=Dir::{name}={value}" for name, value in options.items())]
    _output(*apt, "update")
    _output(*apt, "install", "--yes", "--download-only", "--reinstall", "--no-install-recommends", package)
    (archive,) = (archives / "archives").glob(f"{package}_*.deb")
    draft = root.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    _output("dpkg-deb", "--extract", str(archive), str(draft))
    draft.rename(root)
    return root


def pulls(program: str, image: str) -> bool:
    """True if an image is here or can be pulled from its registry."""
    if subprocess.run([program, "image", "inspect", image], capture_output=True, check=False).returncode == 0:
        return True
    try:
        return (
            subprocess.run(
                [program, "pull", "--quiet", image], capture_output=True, timeout=300, check=False
            ).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def make_debian(program: str, tag: str, folder: Path) -> None:
    """A base image of the Debian that this machine has, by debootstrap from the mirror that apt uses."""
    root = folder / "debian"
    if not (root / "usr").is_dir():
        mirror = next(line for line in _output(*_MIRROR).splitlines() if "security" not in line)
        _output("debootstrap", "--variant=minbase", "bookworm", str(root), mirror)
        for path in (*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")):
            path.unlink()
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            [program, "import", '--change=CMD ["bash"]', "-", tag], stdin=tar.stdout, check=True, capture_output=True
        )


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise NoEngineError(f"{command[0]} answered {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
