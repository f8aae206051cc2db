"""Install what the commands of the Makefile run on.

install.py uv VERSION FOLDER [LOCKED]                the program uv, in a new virtual environment FOLDER, by the hashes of LOCKED
install.py environment UV NAME PROJECT [FOLDER]      an environment from the lock of PROJECT, in PROJECT/.venv or FOLDER

It runs before there is any environment, so it needs nothing but Python.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from downloads import shared_downloads
from network_advice import advice
from pip_run import run_pip


class InstallError(Exception):
    """A program or an environment could not be installed; the message says what to check."""


def install_uv(version: str, folder: Path, locked: Path | None = None) -> None:
    """Install uv in the virtual environment `folder`. Its wheel is downloaded once for all checkouts of this user.

    `locked` is a requirements file with the hashes of its wheels; pip refuses other bytes.

    Raises:
        InstallError: the environment could not be made, or uv not be downloaded or installed. `folder` is removed.
    """
    wheels = shared_downloads()
    try:
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise InstallError(
                f"No virtual environment could be made with {sys.executable}: {(made.stderr or made.stdout).strip()} "
                "Debian: apt-get install python3-venv"
            )
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        wanted = ["--require-hashes", "--requirement", str(locked)] if locked else [f"uv=={version}"]
        install = ["install", "--no-index", "--find-links", str(wheels), *wanted]
        if run_pip(pip, install).returncode == 0:
            return
        download = ["download", "--no-deps", "--only-binary", ":all:", "--dest", str(wheels), *wanted]
        for arguments in (download, install):
            done = run_pip(pip, arguments)
            if done.returncode != 0:
                checked = advice(done.stdout + done.stderr, os.environ)
                raise InstallError(f"{done.stderr.strip()}\nuv {version} could not be fetched. {checked}")
    except InstallError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def install_environment(uv: Path, name: str, project: Path, folder: Path | None) -> None:
    """Install the packages that the lock of `project` names, by the program `uv`.

    Raises:
        InstallError: uv failed. `name` begins its sentence.
    """
    place = {"UV_PROJECT_ENVIRONMENT": str(folder.absolute())} if folder else {}
    command: list[str | Path] = [uv, "sync", "--quiet", "--locked", "--compile-bytecode", "--project", project]
    done = subprocess.run(command, env={**os.environ, **place}, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(
            f"{done.stderr.strip()}\n{name} could not be installed from its lock. {advice(done.stderr, os.environ)}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what the command line names. Returns 0, or 1 after the reason on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_uv = commands.add_parser("uv")
    of_uv.add_argument("version")
    of_uv.add_argument("folder", type=Path)
    of_uv.add_argument("locked", type=Path, nargs="?")
    of_environment = commands.add_parser("environment")
    of_environment.add_argument("uv", type=Path)
    of_environment.add_argument("name")
    of_environment.add_argument("project", type=Path)
    of_environment.add_argument("folder", type=Path, nargs="?")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "uv":
            install_uv(chosen.version, chosen.folder, chosen.locked)
        else:
            install_environment(chosen.uv, chosen.name, chosen.project, chosen.folder)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
