"""The page of the pipeline's file has every key, with its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from retrain.deployment.pipeline_file import Deployment

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "infra" / "docs" / "pipeline-file.md").read_text()
ROWS = dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|", PAGE, re.MULTILINE))
DOCUMENTS = sorted([*(ROOT / "infra" / "docs").glob("*.md"), *(ROOT / "infra" / "runbooks").glob("*.md")])


def keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that a file may have, with those of its sections. `pipeline` is the file's name, not a key."""
    for name, field in model.model_fields.items():
        section = next(
            (each for each in (field.annotation, *get_args(field.annotation)) if isinstance(each, type)), object
        )
        if issubclass(section, BaseModel):
            yield from keys(section, f"{above}{name}.")
        elif (model, name) != (Deployment, "pipeline"):
            yield f"{above}{name}", field


def test_every_key_of_a_pipeline_s_file_has_a_row_and_no_row_is_orphaned() -> None:
    assert {"schema_version", "schedule.cron", "replay.ordinary.max_share"} <= set(ROWS)
    assert set(ROWS) == {name for name, _ in keys(Deployment)}


@pytest.mark.parametrize(("name", "field"), list(keys(Deployment)), ids=[name for name, _ in keys(Deployment)])
def test_a_row_has_the_default_of_its_key(name: str, field: FieldInfo) -> None:
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        assert ROWS[name] == "required"
    elif default in (None, "", (), {}):
        assert ROWS[name] == "-"
    else:
        said: Any = yaml.safe_load(ROWS[name].strip("`"))
        assert said == default


def test_every_key_of_the_example_has_a_row() -> None:
    example = yaml.safe_load((ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text())

    def named(content: Any, above: str) -> Iterator[str]:
        if isinstance(content, dict) and above.removesuffix(".") not in ROWS:
            for name, value in content.items():
                yield from named(value, f"{above}{name}.")
        elif isinstance(content, list) and any(isinstance(each, dict) for each in content):
            for each in content:
                yield from named(each, above)
        else:
            yield above.removesuffix(".")

    assert set(named(example, "")) <= set(ROWS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT / "infra")))
def test_every_key_that_a_page_or_a_runbook_names_exists(document: Path) -> None:
    sections = {name.partition(".")[0] for name in ROWS if "." in name}
    named = set(re.findall(r"`(\w+\.\w+)`", document.read_text()))
    assert {name for name in named if name.partition(".")[0] in sections} <= set(ROWS)
