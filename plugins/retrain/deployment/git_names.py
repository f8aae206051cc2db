"""Names of Git tags that are safe to use as arguments, keys and messages."""

from __future__ import annotations

import re

LONGEST = 128
# A part of Git's grammar of references. JSON Schema and browsers read it too, so it has no syntax that only Python knows.
PATTERN = (
    r"^(?!.*(?:\.\.|//|/\.|[\/.]$|\.lock$|\.lock/))"  # what Git refuses
    rf"[A-Za-z0-9_][A-Za-z0-9_.@+=\/\-]{{0,{LONGEST - 1}}}$"  # not an option
)
_NAME = re.compile(PATTERN)


def is_safe(name: object) -> bool:
    """True if a value is a text that Git takes for a tag's name, without control characters, and that cannot be read as an option."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None
