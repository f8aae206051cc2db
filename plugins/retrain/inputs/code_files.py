"""Which files of a repository are code or configuration, by their names. All others are data."""

from __future__ import annotations

import posixpath
import re

_CODE = frozenset(
    [
        ".bash",
        ".bat",
        ".c",
        ".cc",
        ".cfg",
        ".conf",
        ".cpp",
        ".dockerfile",
        ".env",
        ".fish",
        ".go",
        ".h",
        ".hpp",
        ".ini",
        ".ipynb",
        ".java",
        ".jl",
        ".js",
        ".lock",
        ".lua",
        ".m",
        ".md",
        ".mk",
        ".mjs",
        ".pl",
        ".ps1",
        ".py",
        ".pyi",
        ".pyx",
        ".qmd",
        ".r",
        ".rb",
        ".rmd",
        ".rs",
        ".rst",
        ".scala",
        ".sh",
        ".sql",
        ".stan",
        ".toml",
        ".ts",
        ".yaml",
        ".yml",
        ".zsh",
    ]
)
# JSON and text may be either: a configuration is told by its name or its folder.
_EITHER = frozenset([".json", ".txt", ".xml"])
_CONFIGURATION = re.compile(r"conf|param|setting|schema|requirement|package|constraint|hyper", re.IGNORECASE)


def is_code(path: str) -> bool:
    """True for code and configuration; a file without a suffix is a program, such as `Makefile` or `bin/download`."""
    folder, name = posixpath.split(path)
    stem, suffix = posixpath.splitext(name)
    if suffix.lower() in _EITHER:
        last = posixpath.basename(folder)
        return bool(_CONFIGURATION.search(stem) or _CONFIGURATION.match(last))
    return not suffix or suffix.lower() in _CODE
