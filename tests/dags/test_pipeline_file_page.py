"""The page of the pipeline's file has every key with its meaning, and the examples of the documentation are valid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from retrain.commands.pipeline_file_page import PAGE, named, section_of, with_tables
from retrain.deployment.keys import FileKey, keys
from retrain.deployment.pipeline_file import Deployment, load
from retrain.deployment.run_settings import RunSettings
from retrain.inputs.names import placed
from retrain.run.landed import LandingRule
from retrain.run.manifest import Manifest, RawObject
from retrain.run.raw_layout import RawLayout

ROOT = Path(__file__).resolve().parents[2]
TEXT = PAGE.read_text()
KEYS = {key.name: key for key in keys()}
OWN = ROOT / "infra" / "docs" / "bring-your-own-pipeline.md"
DOCUMENTS = [*sorted([*(ROOT / "infra" / "docs").glob("*.md"), *(ROOT / "infra" / "runbooks").glob("*.md")])]
DAY = "2020-03-09"
COMPLETE = """
schema_version: 1
description: A pipeline.
owner: them
schedule: {cron: "0 6 * * *", start_date: 2020-01-01}
repository: {url: https://github.com/example/shop}
raw: {url: "s3://shop-landing/orders", window_days: 2}
store: s3://shop-store/dvc
ledger: s3://shop-store/ledger
tracking: {experiment: shop}
slack: {channel: "#shop"}
"""


def test_the_page_is_the_one_that_make_pipeline_file_page_writes() -> None:
    assert with_tables(TEXT) == TEXT


def test_every_key_has_one_row() -> None:
    tops = list(dict.fromkeys(section_of(key) for key in KEYS.values()))
    assert sorted(named(TEXT)) == sorted(tops)
    rows = re.findall(r"^\| `([\w.\[\]]+)` \|", TEXT, re.MULTILINE)
    assert {"schema_version", "schedule.cron", "inputs[].path", "replay.incidents[].kind"} <= set(rows)
    assert sorted(rows) == sorted(KEYS)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_key_says_what_it_means_in_one_line_of_a_table(key: FileKey) -> None:
    assert re.fullmatch(r"[^|\n]+\.", key.meaning)


def test_a_default_of_the_page_is_the_value_of_a_file_without_the_key() -> None:
    rows = dict(re.findall(r"^\| `([\w.\[\]]+)` \| (.+?) \|", TEXT, re.MULTILINE))
    of_file = Deployment.model_validate({**yaml.safe_load(COMPLETE), "pipeline": "shop"})
    assert of_file.raw is not None
    assert yaml.safe_load(rows["raw.partition"].strip("`")) == of_file.raw.partition
    assert yaml.safe_load(rows["limits.retries"]) == of_file.limits.retries
    assert rows["trigger"] == f"`{of_file.trigger}`"
    assert (rows["owner"], rows["raw.quiet_minutes"], rows["fetch"]) == ("required", "-", "-")


def test_every_key_of_the_example_has_a_row() -> None:
    example = yaml.safe_load((ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text())

    def found(content: Any, above: str) -> Iterator[str]:
        if isinstance(content, dict) and above.removesuffix(".") not in KEYS:
            for name, value in content.items():
                yield from found(value, f"{above}{name}.")
        elif isinstance(content, list) and any(isinstance(each, dict) for each in content):
            for each in content:
                yield from found(each, f"{above.removesuffix('.')}[].")
        else:
            yield above.removesuffix(".")

    assert set(found(example, "")) <= set(KEYS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT / "infra")))
def test_every_key_that_a_page_or_a_runbook_names_exists(document: Path) -> None:
    sections = {section_of(key) for key in KEYS.values() if "." in key.name}
    mentioned = set(re.findall(r"`(\w+(?:\[\])?\.\w+)`", document.read_text()))
    of_ours = {name for name in mentioned if re.split(r"\[|\.", name)[0] in sections}
    assert of_ours <= set(KEYS)


def examples(document: Path) -> list[str]:
    """The YAML blocks of a page that are parts of a pipeline's file."""
    return re.findall(r"^```yaml\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def completed(base: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `part`, section by section."""
    merged = dict(base)
    for name, value in part.items():
        below = base.get(name)
        merged[name] = completed(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


@pytest.mark.parametrize(
    ("document", "number"),
    [(document, number) for document in (PAGE, OWN, ROOT / "README.md") for number in range(len(examples(document)))],
    ids=lambda each: each.stem if isinstance(each, Path) else str(each),
)
def test_an_example_is_part_of_a_valid_file(document: Path, number: int, tmp_path: Path) -> None:
    part = yaml.safe_load(examples(document)[number])
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(completed(yaml.safe_load(COMPLETE), part)))
    load(file, {"RETRAIN_LANDED_QUEUES": "https://sqs.example.org/1/"})


def test_the_pages_have_examples_of_the_day_s_data() -> None:
    used = {name for document in (PAGE, OWN) for text in examples(document) for name in yaml.safe_load(text)}
    assert {"raw", "inputs", "params", "fetch", "static", "trigger"} <= used


def laid_examples() -> list[tuple[str, str]]:
    """The path that the page says an example lays a file at, and the example."""
    return re.findall(
        r"\(`(data/\S+)`\)[^\n]*:\n\n```yaml\n(inputs:\n.*?)^```", OWN.read_text(), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize(("path", "example"), laid_examples(), ids=[path for path, _ in laid_examples()])
def test_an_example_of_inputs_lays_a_file_where_the_page_says(path: str, example: str) -> None:
    names = ("orders.csv", "part-0.parquet", "customers.csv")
    objects = tuple(RawObject(f"dt={DAY}/{name}", "e" * 32, 1, "1") for name in names)
    settings = RunSettings.model_validate(yaml.safe_load(example))
    manifest = Manifest("shop", DAY, "s3://shop-landing/orders", objects, settings)
    assert path in {each.path for entry in settings.inputs for each in placed(entry, manifest)}


def test_the_page_has_four_examples_of_inputs() -> None:
    assert len(laid_examples()) == 4


def layouts() -> list[tuple[str, str, str | None, str]]:
    """The rows of the table of layouts: the key of a day's file, the pattern, the marker, and the key of the marker."""
    table = OWN.read_text().partition("| `raw.partition` | `raw.marker` |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\S+)`, then (?:`(\S+)`|nothing) \| `(\S+)` \| `(\S+)` \|$", table, re.MULTILINE)
    assert len(rows) == len(table.splitlines()) - 1, "a row has another form"
    return [(key, pattern, None if marker == "null" else marker, marked) for key, marked, pattern, marker in rows]


@pytest.mark.parametrize(("key", "pattern", "marker", "marked"), layouts())
def test_a_layout_of_the_page_reads_the_keys_beside_it(key: str, pattern: str, marker: str | None, marked: str) -> None:
    layout = RawLayout(pattern, marker)
    assert layout.day_of(key) == DAY
    if marker is None:
        assert not marked
        return
    assert layout.marked(marked) == layout.marked_days(DAY)
    assert layout.day_of(marked) is None
    assert LandingRule(layout).prefixes(DAY)
