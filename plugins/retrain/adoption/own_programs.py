"""The programs that the projects of a repository bring, by their own files."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from contextlib import suppress

from retrain.adoption import toml_text
from retrain.adoption.snapshot import Snapshot

_SCRIPTS = (("project", "scripts"), ("project", "gui-scripts"), ("tool", "poetry", "scripts"))


def own_programs(snapshot: Snapshot) -> frozenset[str]:
    """The console scripts of every pyproject.toml and setup.cfg; those of a broken file are left out."""
    return frozenset(
        name for path, text in snapshot.texts.items() for name in (*_of_toml(path, text), *_of_setup_cfg(path, text))
    )


def _of_toml(path: str, text: str) -> Iterator[str]:
    if path.rpartition("/")[2] != "pyproject.toml":
        return
    content = toml_text.read(text)
    for keys in _SCRIPTS:
        scripts = toml_text.at(content, *keys)
        yield from scripts if isinstance(scripts, dict) else ()


def _of_setup_cfg(path: str, text: str) -> Iterator[str]:
    if path.rpartition("/")[2] != "setup.cfg":
        return
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    with suppress(configparser.Error):
        parser.read_string(text)
        for line in parser.get("options.entry_points", "console_scripts", fallback="").splitlines():
            if "=" in line:
                yield line.partition("=")[0].strip()
