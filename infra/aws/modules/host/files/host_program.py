"""One call of another program, with a time limit and an error that shows the end of its output."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from host_errors import ProgramFailedError

# Systemd gives a service no home folder; docker and cosign read their settings there.
_HOME = {"HOME": "/root"}


def run(
    command: Sequence[str | Path],
    *,
    seconds: float = 120,
    variables: Mapping[str, str] | None = None,
    given: str | None = None,
) -> str:
    """Run a program and return its standard output. `variables` are added to the environment; `given` is its standard input.

    Raises:
        ProgramFailedError: it is not installed, ended with an error, or took longer than `seconds`.
    """
    words = [str(part) for part in command]
    try:
        with subprocess.Popen(
            words,
            env=_HOME | os.environ | dict(variables or {}),
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                out, err = process.communicate(given, timeout=seconds)
            except subprocess.TimeoutExpired as error:
                process.send_signal(signal.SIGKILL)
                raise ProgramFailedError(
                    f"{_name(words)} took more than {seconds:.0f} s. Run the same command again."
                ) from error
    except OSError as error:
        raise ProgramFailedError(f"{words[0]} cannot be started: {error}. Run retrain-install on the host.") from error
    if process.returncode:
        said = " ".join((err or out).split())[-800:] or "it printed nothing"
        raise ProgramFailedError(f"{_name(words)} ended with exit code {process.returncode}: {said}")
    return out


def _name(words: Sequence[str]) -> str:
    """The program and its first words, without options: those may be long."""
    return " ".join([Path(words[0]).name, *(word for word in words[1:3] if not word.startswith("-"))])
