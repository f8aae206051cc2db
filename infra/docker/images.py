"""Build the deployment's images from a commit: `images.py [--commit HEAD] [--release v1.2.0] [TARGET…]`.

The context is `git archive` of the commit, so that nothing but the commit gets in, with the commit's time on every file.
Base images are the Dockerfile's own, unless PYTHON_IMAGE and UV_IMAGE name others. A machine whose network has CAs of its own
names its bundle in SSL_CERT_FILE, and another package index is configured in the uv.toml that UV_CONFIG_FILE names:
both are secrets of the build, which leave no trace in an image.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("airflow", "worker", "mlflow", "local")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class ImageError(Exception):
    """An image was not built; the message says why and what to do."""


@cache
def docker() -> str:
    """A Docker client that can build: DOCKER, else the first of those on the PATH that has BuildKit."""
    found = [os.environ["DOCKER"]] if os.environ.get("DOCKER") else _on_path("docker")
    for program in found:
        # Since 23, a client builds through its plugin buildx alone; before, BuildKit was in it.
        version = _says(program, "version", "--format", "{{.Client.Version}}").partition(".")[0]
        if (version.isdecimal() and int(version) < 23) or _says(program, "buildx", "version"):  # noqa: PLR2004
            return program
    raise ImageError(
        f"No Docker client that can build was found among {found or 'none'}. Install Docker with buildx, or name one in DOCKER."
    )


def build(targets: Sequence[str], commit: str, release: str, *, tag: str) -> dict[str, str]:
    """Build `retrain/<target>:<tag>` of each target from `commit`; returns the names by target.

    Raises:
        ImageError: no Docker client, no such commit, or the build failed.
    """
    program, revision = docker(), _git("rev-parse", "--verify", f"{commit}^{{commit}}")
    epoch = _git("show", "--no-patch", "--format=%ct", revision)
    created = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # Not in the Dockerfile: a commit that changes nothing in a layer must not build it anew.
    labels = {"title": "retrain", "version": release, "revision": revision, "created": created}
    bases = {name: os.environ[name] for name in ("PYTHON_IMAGE", "UV_IMAGE") if os.environ.get(name)}
    certificates = Path(os.environ.get("SSL_CERT_FILE") or _CERTIFICATES)
    secrets = {"certificates": certificates, "uv": Path(os.environ.get("UV_CONFIG_FILE") or "/nowhere")}
    names = {}
    for target in targets:
        names[target] = f"retrain/{target}:{tag}"
        command = [
            program,
            "build",
            "--progress=plain",
            "--file=infra/docker/Dockerfile",
            f"--target={target}",
            f"--tag={names[target]}",
        ]
        command += [f"--label=org.opencontainers.image.{name}={value}" for name, value in labels.items()]
        command += [f"--build-arg={name}={value}" for name, value in bases.items()]
        command += [f"--secret=id={name},src={path}" for name, path in secrets.items() if path.is_file()]
        _build([*command, "-"], revision)
    return names


def _build(command: list[str], revision: str) -> None:
    began = time.monotonic()
    with subprocess.Popen(["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE) as archive:
        done = subprocess.run(
            command,
            stdin=archive.stdout,
            cwd=ROOT,
            env=os.environ | {"DOCKER_BUILDKIT": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode:
        raise ImageError(f"{' '.join(command)} answered {done.returncode}:\n{done.stdout[-4000:]}")
    name = next(part for part in command if part.startswith("--tag=")).removeprefix("--tag=")
    size = int(_says(command[0], "image", "inspect", "--format={{.Size}}", name))
    print(f"{name} built in {time.monotonic() - began:.0f} s, {size / 1e9:.2f} GB", flush=True)


def _on_path(name: str) -> list[str]:
    places = [Path(folder) / name for folder in os.environ.get("PATH", "").split(os.pathsep)]
    return list(dict.fromkeys(str(place) for place in places if os.access(place, os.X_OK) and place.is_file()))


def _says(*command: str) -> str:
    """What a command prints, also where the engine behind it does not answer; nothing when it is not there."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"git {arguments[0]} answered {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all when none is named")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--release", default="unreleased", help="the tag that goes into the labels")
    parser.add_argument("--tag", default="local", help="the image's tag")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    try:
        build(options.targets or TARGETS, options.commit, options.release, tag=options.tag)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
