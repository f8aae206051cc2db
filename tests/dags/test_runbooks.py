"""Every kind of alert has a runbook, and what a runbook names exists."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

from alert_examples import examples  # noqa: E402
from signal_templates import ADDRESSES  # noqa: E402

from retrain.alerts.kinds import Kind  # noqa: E402
from retrain.alerts.message import messages  # noqa: E402

FOLDER = ROOT / "infra" / "runbooks"
INDEX = FOLDER / "README.md"
RUNBOOKS = sorted(path for path in FOLDER.glob("*.md") if path != INDEX)
DAG = (ROOT / "dags" / "retrain_pipelines.py").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
SECTIONS = ["Means", "Severity", "Look", "Do", "Don't", "Known false positives"]

each_runbook = pytest.mark.parametrize("path", RUNBOOKS, ids=lambda p: p.stem)
each_page = pytest.mark.parametrize("path", [INDEX, *RUNBOOKS], ids=lambda p: p.stem)


def test_every_alert_kind_has_a_runbook_and_no_runbook_is_orphaned() -> None:
    assert {path.stem for path in RUNBOOKS} == set(Kind)


def test_the_index_and_the_readme_lead_to_every_runbook() -> None:
    assert set(re.findall(r"\]\((\w+)\.md\)", INDEX.read_text())) == set(Kind)
    readme = (ROOT / "README.md").read_text()
    for kind, example in examples().items():
        assert f"infra/runbooks/{example.open.key.kind}.md" in readme, kind


@each_runbook
def test_it_has_the_sections_of_a_runbook_in_their_order(path: Path) -> None:
    text = path.read_text()
    assert text.startswith(f"# {path.stem}\n\n> ")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == SECTIONS
    look = text.partition("## Look")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d)\. ", look, re.MULTILINE) == ["1", "2", "3"]
    assert "| If | Then |" in text.partition("## Do")[2].partition("## Don't")[0]


@pytest.mark.parametrize("name", list(examples()))
def test_it_quotes_the_alert_as_it_is_sent(name: str) -> None:
    incident = examples()[name].open
    quoted = (FOLDER / f"{incident.key.kind}.md").read_text()
    headline, impact = messages.top(incident, ADDRESSES).text.splitlines()
    _, _, quote = quoted.partition(f"> {headline}\n> ")
    assert quote, headline
    assert impact.startswith(quote.splitlines()[0])


@each_page
def test_its_links_and_pictures_are_there(path: Path) -> None:
    text = path.read_text()
    assert path == INDEX or re.search(rf"!\[.+\]\(pictures/({path.stem}|digest)\.png\)", text)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (FOLDER / target).is_file(), target


def test_every_picture_is_shown_and_loads_on_a_phone() -> None:
    shown = {name for page in [INDEX, *RUNBOOKS] for name in re.findall(r"\(pictures/(\w+\.png)\)", page.read_text())}
    pictures = {path.name: path.stat().st_size for path in (FOLDER / "pictures").iterdir()}
    assert shown == set(pictures)
    assert max(pictures.values()) <= 150_000


@each_page
def test_every_make_target_that_it_names_exists(path: Path) -> None:
    named = set(re.findall(r"`make ([a-z][a-z0-9-]*)", path.read_text()))
    assert named <= set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))


@each_page
def test_every_task_that_it_names_is_the_dag_s(path: Path) -> None:
    tasks = set(re.findall(r"^\| `(\w+)`", DAG, re.MULTILINE))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", path.read_text()))
    assert named <= tasks | set(Kind) | {"trip_duration_release", "retrain_housekeeping", "keep_days"}
    assert set(re.findall(r"[Cc]lear `(\w+)`", path.read_text())) <= tasks


@each_page
def test_every_file_that_it_names_exists(path: Path) -> None:
    text = path.read_text()
    for named in re.findall(r"(?<![\w/])((?:dags|plugins|pipeline|infra|tests)/[\w./-]*\w/?)", text):
        assert (ROOT / named).exists(), named
    for named in re.findall(r"`([\w.-]+\.(?:yaml|yml|py|toml))`", text):
        assert any((ROOT / folder / named).is_file() for folder in (".", "dags", "pipeline")), named


@each_page
def test_every_key_of_the_pipeline_s_file_that_it_names_exists(path: Path) -> None:
    import yaml

    deployed = yaml.safe_load((ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text())
    for section, key in re.findall(r"`(expected|raw|limits)\.(\w+)`", path.read_text()):
        assert key in deployed[section], f"{section}.{key}"
