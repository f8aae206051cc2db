"""Build the deployment's images from a commit: `images.py [--commit HEAD] [--release v1.2.0] [--platform linux/amd64] [TARGET…]`.

The build context is `git archive` of the commit: it has only the commit's files, all with the commit's time. PYTHON_IMAGE and
UV_IMAGE replace the Dockerfile's base images. If the network has its own CAs, SSL_CERT_FILE names their bundle; UV_CONFIG_FILE names
a uv.toml with another package index. Both are build secrets, which leave no trace in an image. Without --platform, the images of a release are for linux/amd64, wherever they are built, and
others for this machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("airflow", "worker", "mlflow", "local")
UNRELEASED = "unreleased"
RELEASE_PLATFORM = "linux/amd64"  # the hosts' machines
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class ImageError(Exception):
    """An image was not built; the message says why."""


@cache
def docker() -> str:
    """A Docker client that can build: DOCKER, else the first client on the PATH that has BuildKit.

    Raises:
        ImageError: there is none.
    """
    found = [os.environ["DOCKER"]] if os.environ.get("DOCKER") else _on_path("docker")
    for program in found:
        # Since version 23 a client needs the plugin buildx to build; older clients contain BuildKit.
        version = _says(program, "version", "--format", "{{.Client.Version}}").partition(".")[0]
        if (version.isdecimal() and int(version) < 23) or _says(program, "buildx", "version"):  # noqa: PLR2004
            return program
    raise ImageError(
        f"No Docker client that can build was found among {found or 'none'}. Install Docker with buildx, or set DOCKER to such a client."
    )


def build(targets: Sequence[str], commit: str, release: str, *, tag: str, platform: str = "") -> dict[str, str]:
    """Build `retrain/<target>:<tag>` for each target from `commit`; returns target -> image name. `release` goes into a label.

    `platform` is the machine on which they run, such as linux/amd64; by default this one.

    Raises:
        ImageError: no Docker client, no such commit, or the build failed.
    """
    program, revision = docker(), _git("rev-parse", "--verify", f"{commit}^{{commit}}")
    epoch = _git("show", "--no-patch", "--format=%ct", revision)
    created = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # Not in the Dockerfile: there, every commit would rebuild layers that it does not change.
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
        command += [f"--platform={platform}"] if platform else []
        command += [f"--label=org.opencontainers.image.{name}={value}" for name, value in labels.items()]
        command += [f"--build-arg={name}={value}" for name, value in bases.items()]
        command += [f"--secret=id={name},src={path}" for name, path in secrets.items() if path.is_file()]
        _build([*command, "-"], revision)
    return names


def build_missing(say: Callable[[str], None]) -> bool:
    """Build the `local` images of this checkout's commit, except those that exist or that a variable names.

    Returns True if any was built.

    Raises:
        ImageError: an image was not built.
    """
    built = False
    program, head = docker(), _git("rev-parse", "HEAD")
    for target in TARGETS:
        if os.environ.get(f"RETRAIN_{target.upper()}_IMAGE"):
            continue
        label = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
        if _says(program, "image", "inspect", f"--format={label}", f"retrain/{target}:local") != head:
            say(f"building retrain/{target}:local from {head[:12]}")
            build([target], head, UNRELEASED, tag="local")
            built = True
    return built


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
        raise ImageError(f"{' '.join(command)} ended with exit code {done.returncode}:\n{done.stdout[-4000:]}")
    name = next(part for part in command if part.startswith("--tag=")).removeprefix("--tag=")
    size = int(_says(command[0], "image", "inspect", "--format={{.Size}}", name))
    print(f"{name} built in {time.monotonic() - began:.0f} s, {size / 1e9:.2f} GB", flush=True)


def _on_path(name: str) -> list[str]:
    places = [Path(folder) / name for folder in os.environ.get("PATH", "").split(os.pathsep)]
    return list(dict.fromkeys(str(place) for place in places if os.access(place, os.X_OK) and place.is_file()))


def _says(*command: str) -> str:
    """A command's stdout, whatever its exit code."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"git {arguments[0]} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"any of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--commit", default="HEAD")
    parser.add_argument("--release", default=UNRELEASED, help="the release's tag, for the labels")
    parser.add_argument("--tag", default="local", help="the image's tag")
    parser.add_argument(
        "--platform",
        default="",
        help=f"such as linux/arm64; default: {RELEASE_PLATFORM} for a release, else this machine's",
    )
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    platform = options.platform or ("" if options.release == UNRELEASED else RELEASE_PLATFORM)
    try:
        build(options.targets or TARGETS, options.commit, options.release, tag=options.tag, platform=platform)
    except ImageError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
