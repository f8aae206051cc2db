"""Names the failure of a `dvc repro` from the end of its output: exit code, signal, and what the stage printed."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from retrain.errors import (
    CacheCollisionError,
    DataRefusedError,
    DiskFullError,
    RetrainError,
    StageCodeError,
    StageFailedError,
    StageKilledError,
    StageTimeoutError,
    StageUnavailableError,
)
from retrain.work.process import Finished

# The exit codes by which a stage itself names its cause, after sysexits(3).
_OWN_REASON: dict[int | None, tuple[type[RetrainError], str]] = {
    65: (DataRefusedError, "refused its data"),
    75: (StageUnavailableError, "could not reach what it needs"),
    78: (StageCodeError, "cannot read its inputs"),
}
_SHELL_SIGNAL = 128
_LAST_LINES = 6
_MOST = 600  # characters of evidence
_SHOWN_LINES = 20
_MESSAGE_LINES = 8  # of one exception
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_RUNNING = re.compile(r"Running stage '(?P<stage>[^']+)'")
_FAILED = re.compile(r"(?:ERROR: )?failed to reproduce '(?P<stage>[^']+)': (?P<why>.*)")
_EXITED = re.compile(r"exited with (-?\d+)$")
# DVC's two failures where two processes write one object of a shared cache: of its run cache, and of a file in the workspace.
_COLLISION = re.compile(r"\[Errno 2\] .*/runs/.*\.tmp'|unable to remove '.*' without a confirmation")
_DVC = re.compile(r"WARNING: |> |Running stage '|Verifying |If DVC froze|Having any troubles\?")
_FRAME = re.compile(r"(?P<margin>[\s|]*)\s*File \".+\", line \d+")
_EXCEPTION = re.compile(r"(?P<kind>[A-Za-z_][\w.<>]*)(?:: (?P<message>.*))?")
_HINT = re.compile(
    r"\s*(hint|note|tip|help|info|debug|warning|see|for more|read more)\b|.*\b\w*Warning: ", re.IGNORECASE
)
_ERROR = re.compile(r"(?:[\w./-]+: )*(?:fatal|(?:[\w.]*\s)?[\w.]*(?:error|exception))\b[^:]*:", re.IGNORECASE)
# Errors that only a change of code fixes, wherever the pipeline runs.
_CODE = {
    "ModuleNotFoundError",
    "ImportError",
    "SyntaxError",
    "IndentationError",
    "TabError",
    "NameError",
    "UnboundLocalError",
    "AttributeError",
}


@dataclass(frozen=True)
class _Raised:
    """The exception of the last traceback. `message` is one line; `at_end`: nothing but hints was printed after it."""

    kind: str
    message: str
    at_end: bool

    def __str__(self) -> str:
        return _bounded(f"{self.kind}: {self.message}" if self.message else self.kind)


def why_failed(done: Finished) -> RetrainError:
    """The error for a failed `dvc repro`, from its evidence; StageFailedError if there is none.

    Its `stage` and `code` are set if DVC names the stage and the exit code of the stage's command. `printed` is what the stage
    printed last.
    """
    output = _STYLE.sub("", done.output)
    failed = next(iter(reversed(list(_FAILED.finditer(output)))), None)
    running = list(_RUNNING.finditer(output))
    stage = failed["stage"] if failed else (running[-1]["stage"] if running else None)
    exited = _EXITED.search(failed["why"].strip()) if failed else None
    code = int(exited[1]) if exited else None
    printed, why = _printed_by(stage, output), failed["why"].strip() if failed else None
    whose = f"Stage {stage}" if stage else "dvc repro"
    if done.timed_out:
        failure: RetrainError = StageTimeoutError(
            f"dvc repro was ended after {done.seconds / 60:.0f} minutes, {f'in stage {stage}' if stage else 'before any stage'}. "
            "Raise limits.reproduce_minutes, or find out what is slow; finished stages come back from the cache."
        )
    elif code in _OWN_REASON:
        kind, words = _OWN_REASON[code]
        failure = kind(f"{whose} {words}: {_own_reason(printed)}")
    elif code is None and _COLLISION.search(why or complaint(done)):
        failure = CacheCollisionError(
            f"{whose} failed because another run wrote the same object of the shared cache at that moment: "
            f"{_bounded(why or complaint(done))}. Clear reproduce; finished stages come back from the cache."
        )
    else:
        failure = _of_the_machine(done, whose, code, [*printed, why or complaint(done)]) or _of_the_code(
            done, whose, code, why, printed
        )
    failure.stage, failure.code, failure.printed = stage, code, tuple(printed[-_SHOWN_LINES:])
    return failure


def _of_the_machine(done: Finished, whose: str, code: int | None, said: Sequence[str]) -> RetrainError | None:
    if "No space left on device" in "\n".join(said):
        return DiskFullError(f"{whose}: no space left on device. Free some space, then clear reproduce.")
    number = _signal_of(code if code is not None else done.returncode)
    if number is None:
        return None
    memory = " (often the kernel's, out of memory)" if number == signal.SIGKILL else ""
    return StageKilledError(
        f"{whose} was ended by signal {number}{memory}. Clear reproduce; finished stages come back."
    )


def _of_the_code(done: Finished, whose: str, code: int | None, why: str | None, printed: Sequence[str]) -> RetrainError:
    raised = _last_exception(printed)
    if raised and raised.kind.rpartition(".")[2] in _CODE:
        return StageCodeError(
            f"{whose} failed: {str(raised).rstrip('.')}. Fix it in a new release, or go back: make rollback."
        )
    if why is None:
        return StageFailedError(f"dvc repro failed with exit {done.returncode}: {complaint(done)}")
    if code is None:
        return StageFailedError(f"{whose} failed: {_bounded(why)}")
    return StageFailedError(f"{whose} failed with exit {code}: {raised or _error_line(printed)}")


def _printed_by(stage: str | None, output: str) -> list[str]:
    """The lines that the failed stage printed, as far as they are in the end of the output that was kept."""
    lines = output.splitlines()
    begins = [n for n, line in enumerate(lines) if (found := _RUNNING.match(line)) and found["stage"] == stage]
    ends = [n for n, line in enumerate(lines) if _FAILED.match(line)]
    own = lines[begins[-1] + 1 if begins else 0 : ends[-1] if ends else None]
    return [line.rstrip() for line in own if not _DVC.match(line)]


def _last_exception(lines: Sequence[str]) -> _Raised | None:
    """The exception of the last traceback. Its message ends at a blank line, or after a few lines."""
    frames = [n for n, line in enumerate(lines) if _FRAME.match(line)]
    if not frames:
        return None
    frame = _FRAME.match(lines[frames[-1]])
    margin = frame["margin"].rstrip() if frame else ""
    rest = [line.removeprefix(margin).removeprefix(" ") if margin else line for line in lines[frames[-1] + 1 :]]
    first = next((n for n, line in enumerate(rest) if line.strip() and not line[0].isspace()), None)
    found = _EXCEPTION.fullmatch(rest[first]) if first is not None else None
    if first is None or found is None:
        return None
    after = rest[first + 1 :]
    blank = next((n for n, line in enumerate(after) if not line.strip()), len(after))
    message = after[: min(blank, _MESSAGE_LINES)]
    at_end = not any(line.strip() and not _HINT.match(line) for line in after[len(message) :])
    while message and _HINT.match(message[-1]):
        message.pop()
    text = " ".join(" ".join([found["message"] or "", *message]).split())
    return _Raised(found["kind"], text, at_end)


def _own_reason(lines: Sequence[str]) -> str:
    """The stage's own reason: the message of the exception that ends its output, else its last line that is not a hint."""
    raised = _last_exception(lines)
    if raised and raised.at_end:
        return _bounded(raised.message or raised.kind)
    return _bounded(_last_line(lines))


def _error_line(lines: Sequence[str]) -> str:
    """The last line that looks like an error, else the last line that is not a hint."""
    return _bounded(next((line.strip() for line in reversed(lines) if _ERROR.match(line.strip())), _last_line(lines)))


def _last_line(lines: Sequence[str]) -> str:
    printed = [line.strip() for line in lines if line.strip()]
    return next((line for line in reversed(printed) if not _HINT.match(line)), printed[-1] if printed else "no output")


def complaint(done: Finished) -> str:
    """DVC's own reason: its last line with ERROR, else the end of the output."""
    lines = [_STYLE.sub("", line) for line in done.lines]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    end = " ".join(line.strip() for line in lines[-_LAST_LINES:])
    return errors[-1].removeprefix("ERROR: ") if errors else end.strip() or "no output"


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1].rstrip()}…"


def _signal_of(returncode: int) -> int | None:
    """The signal that ended a process, from its own return code or a shell's 128 + n; else None."""
    if returncode < 0:
        return -returncode
    # DVC ends with other codes above 128 when it refuses its configuration.
    number = returncode - _SHELL_SIGNAL
    return number if number in signal.valid_signals() else None
