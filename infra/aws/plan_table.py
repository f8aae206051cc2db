"""What a Terraform plan would make, as a table: terraform show -json plan | python plan_table.py."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

_INDEX = re.compile(r"\[[^]]*\]")


def table(plan: Mapping[str, Any]) -> str:
    """A Markdown table of the resources to be created, by module and type, the plan being `terraform show -json`'s."""
    made = Counter(
        (_INDEX.sub("", change.get("module_address", "")).removeprefix("module."), change["type"])
        for change in plan["resource_changes"]
        if change["mode"] == "managed" and change["change"]["actions"] == ["create"]
    )
    modules: dict[str, list[str]] = {}
    for (module, kind), count in sorted(made.items()):
        modules.setdefault(module, []).append(kind.removeprefix("aws_") + (f" x{count}" if count > 1 else ""))
    rows = [f"| `{module}` | {', '.join(kinds)} |" for module, kinds in modules.items()]
    return "\n".join(["| Module | Resources |", "| --- | --- |", *rows, f"| | {made.total()} in all |"])


if __name__ == "__main__":
    print(table(json.load(sys.stdin)))
