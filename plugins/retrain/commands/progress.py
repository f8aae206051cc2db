"""A progress bar on standard error, for people at a terminal."""

from __future__ import annotations

import sys

from retrain.store.fetch import Progress


def bar(label: str) -> Progress:
    """A function that shows a bar with this label when it is called; it does nothing if standard error is no terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    if not sys.stderr.isatty():
        return lambda _done, _total: None
    shown = Bar(console=Console(stderr=True))
    task = shown.add_task(label)

    def show(done: int, total: int) -> None:
        shown.start()  # not before: where there is nothing to do, nothing is shown
        shown.update(task, completed=done, total=total)
        if done == total:
            shown.stop()

    return show
