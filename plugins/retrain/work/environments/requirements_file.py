"""Reads requirements files as pip does: their encodings, continued lines, comments, options and variables."""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
         (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_OPTIONS = {
    "-r": "--requirement", "--requirements": "--requirement", "-c": "--constraint", "--constraints": "--constraint",
    "-f": "--find-links", "-i": "--index-url", "--pypi-url": "--index-url",
}  # fmt: skip
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s*=\s*|\s*)")
_WITHOUT_VALUE = frozenset(["--no-index", "--pre", "--prefer-binary", "--require-hashes"])
# Options of one requirement that follow it.
_OWN = re.compile(r"\s(--(?:hash|config-settings?|global-option|install-option)(?:=|\s+))(\S+|\"[^\"]*\"|'[^']*')")


class Kind(StrEnum):
    """The kinds of lines."""

    REQUIREMENT = "requirement"
    OPTION = "option"


@dataclass(frozen=True)
class Line:
    """A requirement or one option. `number` is that of the line where it begins, from 1.

    For a requirement `text` has no options, which are in `hashes`, such as `sha256:...`. For an option `name` is its long name,
    such as `--constraint`, and `text` its value.
    """

    number: int
    kind: Kind
    text: str
    name: str = ""
    hashes: tuple[str, ...] = ()


def decoded(content: bytes) -> str:
    """The text of a requirements file: by its byte order mark, or its coding line, else UTF-8, else Latin-1, which knows every byte."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    for line in content.split(b"\n")[:2]:
        if (said := _CODING.match(line)) and _is_known(said[1].decode()):
            return content.decode(said[1].decode(), "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def lines(text: str, variables: Mapping[str, str]) -> Iterator[Line]:
    """The requirements and options of a file, in its order, with `${NAME}` replaced by `variables`. A line may have several options."""
    for number, written in _logical(text):
        line = _filled(written, variables)
        if line.startswith("-"):
            yield from _options(number, line)
        else:
            hashes = tuple(value.strip("\"'") for option, value in _OWN.findall(line) if option.startswith("--hash"))
            yield Line(number, Kind.REQUIREMENT, _OWN.sub("", line).strip(), hashes=hashes)


def variables(text: str) -> frozenset[str]:
    """The names of the variables that `lines` replaces."""
    return frozenset(name for _, line in _logical(text) if "://" not in line for name in _VARIABLE.findall(line))


def _is_known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """The lines without comments, with continued lines joined."""
    parts: list[str] = []
    start = 1
    for number, line in enumerate(text.splitlines(), 1):
        if not parts:
            start = number
        is_comment = bool(re.match(r"\s*#", line))
        if line.endswith("\\") and not is_comment:
            parts.append(line[:-1])
            continue
        parts.append(f" {line}" if is_comment and parts else line)
        joined, parts = _COMMENT.sub("", "".join(parts)).strip(), []
        if joined:
            yield start, joined
    if left := _COMMENT.sub("", "".join(parts)).strip():
        yield start, left


def _filled(line: str, variables: Mapping[str, str]) -> str:
    """Fill in `${NAME}`, but not in an address: there uv does it, so that a password stays out of the frozen text."""
    return line if "://" in line else _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), line)


def _options(number: int, line: str) -> Iterator[Line]:
    if editable := _EDITABLE.match(line):  # -e name @ address ; marker
        yield Line(number, Kind.OPTION, line[editable.end() :].strip(), "--editable")
        return
    words = _words(line)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if re.fullmatch(r"-[rcfi]\S+", word):  # -rbase.txt
            name, equals, value = word[:2], "=", word[2:].removeprefix("=")
        name = _OPTIONS.get(name, name)
        if not equals and name not in _WITHOUT_VALUE and words:
            value = words.pop(0)
        yield Line(number, Kind.OPTION, value, name)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, posix="\\" not in line)
    except ValueError:  # a quote that does not end
        return line.split()
