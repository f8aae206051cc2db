#!/usr/bin/env python3.11
"""Bring a release to this host, or return the host to the release before: `retrain-release v1.2.0 [--keep-pin]`.

The deployer's SSM document runs it on the host, where it finishes even if the deployer stops waiting. Each step may be repeated.
The release that was live before is written down first (`release.json`, removed at the end), so an interrupted release is
continued by asking for it again. With `running_host.py` it is all that is needed, beside the standard library: both come with the
host, not with a release.

    start -> check -> pin -> confirm        after any failure, the release before is started, pinned and checked

With `--keep-pin`, or RETRAIN_KEEP_PIN=1, only the images change: for a pipeline whose repository is another one, with tags of its
own. A pipeline whose file is broken keeps its pin too, and is no reason to return.

Settings come from the environment, else from /etc/retrain/host.env. The last line on stdout is the outcome as JSON.
Exit codes: 0 released, 1 returned to the release before, 2 stuck (a person must look), 64 not a release, 75 another is under way.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from running_host import CHECK_SECONDS, PIN_SECONDS, START_SECONDS, BrokenPipelineError, Host, HostSettings, StepError

RELEASE = re.compile(r"v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
RELEASED, RETURNED, STUCK, NO_RELEASE, BUSY = 0, 1, 2, 64, 75

# SSM ends the command after the document's timeoutSeconds: a release and the return from it must take less.
LONGEST_SECONDS = 2 * START_SECONDS + 3 * CHECK_SECONDS + 2 * PIN_SECONDS


@dataclass(frozen=True)
class Journal:
    """A release under way: its target, and the state of the host before it, to which a failure returns."""

    target: str
    image_before: str | None
    pin_before: str | None
    mute_before: tuple[str, ...] = ()  # problems that kept the watch from delivering messages before this release

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        if not path.exists():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**document, "mute_before": tuple(document.get("mute_before", ()))})

    def write(self, path: Path) -> None:
        draft = path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)


def release(
    host: Host, target: str, journal_path: Path, say: Callable[[str], None], *, keep_pin: bool = False
) -> dict[str, Any]:
    """Bring `target` to the host, or return to the release before; the `outcome` is `released`, `returned` or `stuck`."""
    journal = Journal.read(journal_path)
    if journal:
        say(f"a release of {journal.target} was interrupted; before it {journal.image_before or 'nothing'} was live")
        journal = replace(journal, target=target)
    else:
        journal = Journal(target, host.image(), None, host.mute())
    if journal.mute_before:
        say(f"the watch could not deliver messages before: {', '.join(journal.mute_before)}")
    journal.write(journal_path)
    step, kept = "start", "as asked" if keep_pin else None
    try:
        say(f"start {target}; {journal.image_before or 'nothing'} was live")
        host.start(target)
        step = "check"
        host.await_healthy(journal.mute_before)
        if kept is None:
            step = "pin"
            journal = replace(journal, pin_before=journal.pin_before or host.pinned())
            journal.write(journal_path)
            say(f"pin {target}; {journal.pin_before or 'nothing'} was pinned")
            kept = _pin(host, target)
            step = "confirm"
            host.await_healthy(journal.mute_before)
    except (StepError, OSError, ValueError, KeyError) as error:
        say(f"{step} failed: {error}")
        return _back(host, journal, journal_path, step, str(error), say)
    journal_path.unlink()
    outcome = {"outcome": "released", "release": target, "before": journal.image_before}
    return outcome | ({"pin_kept": kept} if kept else {})


def _pin(host: Host, target: str) -> str | None:
    """Pin the release; returns why the pin stays where it is, None if it has moved.

    Raises:
        StepError: the pin did not move.
    """
    try:
        host.pin(target)
    except BrokenPipelineError as error:
        return str(error)
    if (pinned := host.pinned()) != target:
        raise StepError(f"{pinned} is pinned")
    return None


def _back(
    host: Host, journal: Journal, path: Path, step: str, cause: str, say: Callable[[str], None]
) -> dict[str, Any]:
    outcome = {"release": journal.target, "before": journal.image_before, "failed": step, "cause": cause}
    # The journal is kept when stuck: the next release still needs to know which release was live.
    if journal.image_before is None:
        return outcome | {
            "outcome": "stuck",
            "next": "Nothing was live before. Look at the containers, then ask again.",
        }
    try:
        if journal.image_before != journal.target:
            say(f"return to {journal.image_before}")
        # Also when it is the same release: its containers may not be what `retrain-deploy` would start.
        host.start(journal.image_before)
        if journal.pin_before is not None:
            host.return_pin(journal.target, journal.pin_before)
        host.await_healthy(journal.mute_before)
    except (StepError, OSError, ValueError, KeyError) as error:
        return outcome | {"outcome": "stuck", "next": f"The return to {journal.image_before} failed too: {error}"}
    path.unlink()
    return outcome | {"outcome": "returned"}


def _environment() -> dict[str, str]:
    path = Path(os.environ.get("RETRAIN_ETC", "/etc/retrain")) / "host.env"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    written = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name: " ".join(shlex.split(value)) for name, value in written} | dict(os.environ)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}", flush=True)


def main(arguments: list[str]) -> int:
    environment = _environment()
    keep_pin = "--keep-pin" in arguments or environment.get("RETRAIN_KEEP_PIN") == "1"
    tags = [each for each in arguments if each != "--keep-pin"]
    if len(tags) != 1 or not RELEASE.fullmatch(tags[0]):
        print(f"{arguments} is no release. A release is a tag such as v1.2.0.", file=sys.stderr)
        return NO_RELEASE
    settings = HostSettings.of(environment)
    settings.place.mkdir(parents=True, exist_ok=True)
    with (settings.place / "release.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another release is under way on this host.", file=sys.stderr)
            return BUSY
        host = Host(settings, lock.fileno())
        outcome = release(host, tags[0], settings.place / "release.json", _say, keep_pin=keep_pin)
    print(json.dumps(outcome), flush=True)
    return {"released": RELEASED, "returned": RETURNED}.get(outcome["outcome"], STUCK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
