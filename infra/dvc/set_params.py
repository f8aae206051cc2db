"""Set values in the params files of the checkout in the current folder, as DVC reads them.

Run it with the Python of the deployment's own DVC environment. On stdin it reads {"<file>": {"<key>": <value>}}, with keys in DVC's
dotted form; on stdout it prints {"set": [{"file", "key", "before", "after"}]}. A value keeps its kind: text over an integer becomes
an integer, or is refused. In YAML, texts keep their quotes: without them PyYAML, with which most stages read their params, takes
"no" for false and "12:30" for 750. A refusal is {"refused": {"why": "file" | "key" | "value", "text": "<sentence>"}}, and the exit code is 1.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.exceptions import DvcException
from dvc.utils.serialize import MODIFIERS
from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.scalarstring import ScalarString, SingleQuotedScalarString

_NEAR = 3  # keys that a refusal suggests
_INTEGER = re.compile(r"[+-]?\d+")
_NEVER_WRAPPED = 2**20  # characters of a line


class Refused(Exception):  # noqa: N818 - the document's own word
    """A value that cannot be set."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


def main() -> int:
    # DVC and its dependencies may print: redirected to stderr, so that stdout has only the document.
    document = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    wanted = json.loads(sys.stdin.buffer.read())
    try:
        done = [change for file, values in wanted.items() for change in set_in_file(file, values)]
        answer: dict[str, Any] = {"set": done}
    except Refused as error:
        answer = {"refused": {"why": error.why, "text": str(error)}}
    with document:
        json.dump(answer, document, sort_keys=True)
        document.write("\n")
    return int("refused" in answer)


def set_in_file(file: str, values: Mapping[str, Any]) -> list[dict[str, str]]:
    """Set values in one file, which is written only if one of them differs."""
    path = Path(file)
    if not path.is_file():
        raise Refused("file", f"{file} is not a file of the release. Commit it, or correct the name.")
    if not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise Refused("file", f"{file} is a link that leads outside the checkout. Commit the file itself.")
    suffix = PurePosixPath(file).suffix.lower()
    if suffix == ".py":
        raise Refused("file", f"{file} is Python code. Move the params that a run sets to YAML, JSON or TOML.")
    changes: list[dict[str, str]] = []
    try:
        with MODIFIERS.get(suffix, changed_yaml)(file) as content:
            if not isinstance(content, MutableMapping):
                raise Refused("file", f"{file} has no keys at its top. DVC reads params from a mapping.")
            for key, value in values.items():
                changes.append(set_one(file, content, key, value))
            if all(change["before"] == change["after"] for change in changes):
                raise Unchanged
    except Unchanged:
        return changes
    except (DvcException, YAMLError, ValueError, RecursionError, OSError) as error:
        raise Refused("file", f"{file} cannot be read or written: {' '.join(str(error).split())}.") from error
    return changes


class Unchanged(Exception):  # noqa: N818 - no failure: it keeps DVC from writing the file
    """All values are there already."""


@contextmanager
def changed_yaml(file: str) -> Iterator[Any]:
    """The content of a YAML file, which is written when the block ends. Comments and quotes stay; DVC's own writer drops quotes."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _NEVER_WRAPPED
    yaml.representer.add_representer(float, represented_float)
    content = yaml.load(Path(file))
    yield {} if content is None else content
    yaml.dump(content, Path(file))


def represented_float(representer: Any, value: float) -> Any:
    """A new number of a YAML file, as DVC and PyYAML read it: PyYAML takes 1e-05 for a text."""
    text = repr(value)
    return representer.represent_scalar("tag:yaml.org,2002:float", text if "." in text else text.replace("e", ".0e"))


def set_one(file: str, content: MutableMapping[Any, Any], key: str, value: Any) -> dict[str, str]:
    found = next(places(content, key), None)
    if found is None:
        near = difflib.get_close_matches(key, sorted(keys(content)), _NEAR, 0.5)
        hint = f" Near it are {', '.join(near)}." if near else ""
        raise Refused("key", f"{file} has no key {key}.{hint}")
    parent, name = found
    before = parent[name]
    after = fitted(file, key, before, value)
    if (before, shown(before)) != (after, shown(after)):
        # ruamel keeps the quotes of a text, and gives a plain one those that DVC needs, which are fewer than PyYAML's.
        plain = isinstance(parent, CommentedMap | CommentedSeq) and not isinstance(before, ScalarString)
        parent[name] = SingleQuotedScalarString(after) if plain and isinstance(after, str) else after
    return {"file": file, "key": key, "before": shown(before), "after": shown(after)}


def places(content: Any, key: str) -> Iterator[tuple[Any, Any]]:
    """The container and the last key, or index, of a dotted key. A key that has dots itself is found too."""
    parts = key.split(".")
    for count in range(1, len(parts) + 1):
        first, rest = ".".join(parts[:count]), ".".join(parts[count:])
        for name in names(content, first):
            if rest:
                yield from places(content[name], rest)
            else:
                yield content, name


def names(content: Any, wanted: str) -> Iterator[Any]:
    """The key of a mapping, or the index of a list, that is written so."""
    if isinstance(content, MutableMapping):
        yield from (name for name in content if name == wanted or (not isinstance(name, str) and str(name) == wanted))
    elif isinstance(content, MutableSequence) and wanted.isdecimal() and int(wanted) < len(content):
        yield int(wanted)


def keys(content: Any, prefix: str = "") -> Iterator[str]:
    """All dotted keys of single values."""
    items = content.items() if isinstance(content, Mapping) else enumerate(content)
    for name, inner in items:
        if isinstance(inner, Mapping | MutableSequence) and inner:
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def fitted(file: str, key: str, before: Any, value: Any) -> Any:
    """The value in the kind of the one that stands there."""
    if before is None:
        return value
    if isinstance(before, Mapping | MutableSequence):
        raise Refused("value", f"{key} in {file} is a section or a list. Name one of its values.")
    kind = next((words for types, words in KINDS if isinstance(before, types)), None)
    if kind is None:
        known = ", ".join(words for _, words in KINDS)
        raise Refused("value", f"{key} in {file} is of a kind that a run cannot set. It can set {known}.")
    after = CONVERSIONS[kind](value, before)
    if after is None:
        raise Refused("value", f"{key} in {file} is {kind}, and {value!r} is not. Correct the value, or the release's.")
    return after


def whole(value: Any, _before: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any, _before: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def truth(value: Any, _before: Any) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))


def text(value: Any, _before: Any) -> str | None:
    return None if isinstance(value, bool) else str(value)


def day(value: Any, _before: Any) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


def moment(value: Any, before: datetime) -> datetime | None:
    """A date is its midnight; a time without a zone is in that of the value before."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=before.tzinfo)


# The kinds of single values; a type stands before those that it is a subclass of.
KINDS: tuple[tuple[Any, str], ...] = (
    ((bool, ScalarBoolean), "true or false"),
    (int, "an integer"),
    (float, "a number"),
    (str, "text"),
    (datetime, "a time"),
    (date, "a date (YYYY-MM-DD)"),
)
CONVERSIONS: dict[str, Callable[[Any, Any], Any]] = dict(
    zip((words for _, words in KINDS), (truth, whole, number, text, moment, day), strict=True)
)


def shown(value: Any) -> str:
    return str(value) if isinstance(value, str | date) else json.dumps(value, default=str)


if __name__ == "__main__":
    sys.exit(main())
