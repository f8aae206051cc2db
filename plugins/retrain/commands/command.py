"""The form of a command: a parser whose default `command` is a function from the parsed arguments to an Answer."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

# argparse has no public name for what `add_subparsers` returns.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


@dataclass(frozen=True)
class Answer:
    """The answer of a command.

    `document`: plain JSON values, for --json. `lines`: text for people. `well`: False makes the exit code 1.
    """

    document: Any
    lines: list[str]
    well: bool = True


def add_command(
    commands: Subparsers, word: str, answer: Callable[[argparse.Namespace], Answer], description: str
) -> argparse.ArgumentParser:
    """Add a command to the command line; returns its parser, for its arguments."""
    parser = commands.add_parser(word, help=description, description=description)
    parser.set_defaults(command=answer)
    return parser
