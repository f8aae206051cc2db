"""Writes the tables of keys in infra/docs/pipeline-file.md: `python -m retrain.commands.pipeline_file_page`.

The page's text is written by hand. A comment `<!-- keys: schedule trigger -->` names the keys, or sections, of the table below it.
"""

from __future__ import annotations

import re
from typing import Any

from retrain.commands.chosen_pipeline import ROOT
from retrain.deployment.keys import FileKey, keys

PAGE = ROOT / "infra" / "docs" / "pipeline-file.md"
_TABLE = re.compile(r"^(<!-- keys: (?P<names>[\w ]+) -->\n)\n*(?:\|.*\n)*\n*", re.MULTILINE)
_HEAD = "| Key | Default | Meaning |\n| --- | --- | --- |\n"


def main() -> None:
    """Write the page again."""
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(page: str) -> str:
    """The text of the page with each of its tables made from the models."""
    known = list(keys())

    def table(found: re.Match[str]) -> str:
        rows = [_row(key) for name in found["names"].split() for key in known if section_of(key) == name]
        return "\n".join([found[1], _HEAD + "".join(rows), ""])

    return _TABLE.sub(table, page).rstrip("\n") + "\n"


def named(page: str) -> list[str]:
    """The keys and sections that the comments of the page name, in their order."""
    return [name for found in _TABLE.finditer(page) for name in found["names"].split()]


def section_of(key: FileKey) -> str:
    """The key or the section at the top of the file."""
    return key.name.partition(".")[0].removesuffix("[]")


def _row(key: FileKey) -> str:
    return f"| `{key.name}` | {'required' if key.required else _shown(key.default)} | {key.meaning} |\n"


def _shown(default: Any) -> str:
    if default in (None, "", (), {}):
        return "-"
    return f"`{default}`" if isinstance(default, str) else str(default)


if __name__ == "__main__":
    main()
