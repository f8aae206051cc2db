"""Runs the checks one after the other, each within a time limit; a check that fails or hangs does not end the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from retrain.doctor.finding import Finding, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import RetrainError
from retrain.work import process

Check = Callable[[Surroundings], Iterable[Finding]]
SECONDS = 60.0  # for each check; its requests give up sooner


def examine(checks: Mapping[str, Check], here: Surroundings, seconds: float = SECONDS) -> Iterator[Finding]:
    """Everything that the checks found, each check's as soon as it has ended or `seconds` have passed.

    If a check hangs, all child processes of this process are ended after the last check.
    """
    hanging = False
    for name, check in checks.items():
        found, ended = _within(name, check, here, seconds)
        hanging = hanging or not ended
        yield from found
    if hanging:
        process.end_children()


def _within(name: str, check: Check, here: Surroundings, seconds: float) -> tuple[list[Finding], bool]:
    """What a check found, and whether it ended in time."""
    found: list[Finding] = []

    def ask() -> None:
        try:
            found.extend(check(here))
        except RetrainError as error:
            found.append(wrong(name, f"{type(error).__name__}: {error}", "Act on that sentence, then run it again."))
        except Exception as error:  # noqa: BLE001 - the other checks must still run, and this one is reported
            found.append(wrong(name, f"the check itself failed: {type(error).__name__}: {error}", "Report it."))

    asking = threading.Thread(target=ask, name=f"doctor: {name}", daemon=True)
    asking.start()
    asking.join(seconds)
    if not asking.is_alive():
        return found, True
    late = wrong(name, f"no answer within {seconds:.0f} s", "Look whether that server is up and can be reached.")
    return [*found, late], False
