"""What a pyproject.toml, setup.py or setup.cfg says about the project of its folder."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any


def toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; empty if it does not exist or is broken, which uv reports better."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def at(table: Any, *keys: str) -> Any:
    """The value below these keys; None if there is none."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def names_packages(folder: Path) -> bool:
    """True if the pyproject.toml of a folder names packages; False for one that only has settings of tools."""
    content = toml(folder / "pyproject.toml")
    return bool(content.get("project") or at(content, "tool", "poetry") or content.get("dependency-groups"))


def has_setup(folder: Path) -> bool:
    """True if setup.py or setup.cfg of a folder defines a package."""
    return _calls_setup(folder / "setup.py") or _setup_cfg(folder / "setup.cfg")


def is_installable(folder: Path) -> bool:
    """True if pip can install the project of a folder, as far as its files show."""
    content = toml(folder / "pyproject.toml")
    stated = at(content, "tool", "uv", "package")
    poetry = at(content, "tool", "poetry")
    if isinstance(stated, bool):
        return stated
    if at(poetry, "package-mode") is False:
        return False
    if has_setup(folder):
        return True
    if not content.get("build-system") or not (content.get("project") or poetry):
        return False
    return not _is_poetrys(content) or _has_poetrys_packages(folder, content)


def required_python(folder: Path) -> str | None:
    """`requires-python` of a folder's pyproject.toml; None if it does not say."""
    said = at(toml(folder / "pyproject.toml"), "project", "requires-python")
    return said if isinstance(said, str) else None


def declared(folder: Path) -> list[str]:
    """The dependencies of a folder's pyproject.toml, the optional ones and those of groups included."""
    content = toml(folder / "pyproject.toml")
    lists = [at(content, "project", "dependencies"), *(at(content, "project", "optional-dependencies") or {}).values()]
    lists += (content.get("dependency-groups") or {}).values()
    return [text for each in lists if isinstance(each, list) for text in each if isinstance(text, str)]


def _calls_setup(path: Path) -> bool:
    return path.is_file() and bool(re.search(r"\bsetup\s*\(", path.read_text("utf-8", "replace")))


def _setup_cfg(path: Path) -> bool:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(path.read_text("utf-8", "replace") if path.is_file() else "")
    except configparser.Error:
        return False
    return parser.has_option("metadata", "name") or any(
        parser.has_option("options", key) for key in ("packages", "py_modules", "install_requires")
    )


def _is_poetrys(content: dict[str, Any]) -> bool:
    return str(at(content, "build-system", "build-backend") or "").startswith("poetry.")


def _has_poetrys_packages(folder: Path, content: dict[str, Any]) -> bool:
    """True if Poetry finds the code of the project, which it otherwise refuses to build."""
    poetry = at(content, "tool", "poetry") or {}
    if included := poetry.get("packages"):
        return all(
            any((folder / str(each.get("from", "."))).glob(str(each["include"])))
            for each in included
            if isinstance(each, dict) and "include" in each
        )
    name = re.sub(r"[-_.]+", "_", str(poetry.get("name") or at(content, "project", "name") or ""))
    return (
        any((folder / place / each).exists() for place in (".", "src") for each in (name, f"{name}.py"))
        if name
        else False
    )
