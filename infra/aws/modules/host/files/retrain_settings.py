"""Bring this host's settings and programs up to date: `retrain-settings`.

Terraform keeps each file in an SSM parameter, and in the parameter `index` the path, mode and SHA-256 of each. A file that differs is
fetched and checked; only when all are here are they written. Without AWS the files on this host stay as they are (exit code 69).

It is a single file that needs only the standard library: user data brings it to a new host, and from then on it updates itself.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_AT_ONCE = 10  # names that SSM takes in one request
_UNITS = Path("/etc/systemd/system")
UNCHANGED_WITHOUT_AWS = 69


class SettingsNotFetchedError(Exception):
    """A parameter was not read, or is not what the index says; the message says which and what to do."""


@dataclass(frozen=True)
class HostFile:
    """A file of the host as the index names it. `parameter` is the name of the SSM parameter with its content, gzip in Base64."""

    parameter: str
    path: Path
    mode: int
    sha256: str

    def is_current(self) -> bool:
        return (
            self.path.is_file()
            and hashlib.sha256(self.path.read_bytes()).hexdigest() == self.sha256
            and self.path.stat().st_mode & 0o777 == self.mode
        )

    def write(self, content: bytes) -> None:
        """Replace the file at once. A program that runs keeps the file that it was started from."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.new")
        draft.write_bytes(content)
        draft.chmod(self.mode)
        draft.replace(self.path)


def update(folder: str, region: str, root: Path) -> list[Path]:
    """Fetch and write the files that differ from the index; returns their paths. Paths of the index are below `root`.

    Raises:
        SettingsNotFetchedError: a parameter is missing, unreadable, or has other content than the index says.
    """
    index = json.loads(_parameters([f"{folder}/index"], region)[f"{folder}/index"])
    files = [
        HostFile(f"{folder}/files/{name}", root / each["path"].lstrip("/"), int(each["mode"], 8), each["sha256"])
        for name, each in index.items()
    ]
    stale = [file for file in files if not file.is_current()]
    contents: dict[HostFile, bytes] = {}
    for start in range(0, len(stale), _AT_ONCE):
        some = stale[start : start + _AT_ONCE]
        values = _parameters([file.parameter for file in some], region)
        contents |= {file: _content(file, values[file.parameter]) for file in some}
    for file, content in contents.items():
        file.write(content)
    return [file.path for file in contents]


def _content(file: HostFile, value: str) -> bytes:
    try:
        content = gzip.decompress(base64.b64decode(value))
    except (ValueError, OSError, EOFError) as error:
        raise SettingsNotFetchedError(
            f"The parameter {file.parameter} is no gzip in Base64 ({error}). Run terraform apply."
        ) from error
    if (found := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise SettingsNotFetchedError(
            f"The parameter {file.parameter} has the SHA-256 {found}, the index says {file.sha256}. "
            "Is an apply under way? Run retrain-settings again when it has ended."
        )
    return content


def _parameters(names: list[str], region: str) -> Mapping[str, str]:
    command = [
        "aws",
        "ssm",
        "get-parameters",
        f"--region={region}",
        "--output=json",
        "--cli-connect-timeout=5",
        "--cli-read-timeout=10",
    ]
    try:
        done = subprocess.run(
            [*command, "--names", *names],
            env=os.environ | {"AWS_MAX_ATTEMPTS": "2"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingsNotFetchedError(f"{', '.join(names)} were not read: {error}.") from error
    if done.returncode:
        raise SettingsNotFetchedError(f"{', '.join(names)} were not read: {' '.join(done.stderr.split())[-500:]}")
    found = {each["Name"]: each["Value"] for each in json.loads(done.stdout)["Parameters"]}
    if missing := [name for name in names if name not in found]:
        raise SettingsNotFetchedError(f"SSM has no parameter {', '.join(missing)}. Run terraform apply.")
    return found


def reload_units(changed: Iterable[Path], root: Path) -> None:
    """Tell systemd about units that changed, and start a timer that has a new time."""
    units = [path for path in changed if path.is_relative_to(root / _UNITS.relative_to("/"))]
    if not units:
        return
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    timers = {
        next(part for part in (path.name, path.parent.name) if ".timer" in part).removesuffix(".d")
        for path in units
        if ".timer" in str(path)
    }
    for timer in sorted(timers):
        # Does nothing where the timer is not enabled yet: retrain-install does that.
        subprocess.run(["systemctl", "try-restart", timer], check=True)


def main() -> int:
    etc = Path(os.environ.get("RETRAIN_ETC", "/etc/retrain"))
    root = Path(os.environ.get("RETRAIN_ROOT", "/"))
    try:
        folder, region = (etc / "parameters").read_text(encoding="utf-8").split()
        changed = update(folder, region, root)
        reload_units(changed, root)
    except (SettingsNotFetchedError, OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        print(f"The settings on this host stay as they are. {error}", file=sys.stderr)
        return UNCHANGED_WITHOUT_AWS
    for path in changed:
        print(f"{path} is new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
