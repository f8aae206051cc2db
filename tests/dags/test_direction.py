"""Who may import whom: the two environments never meet, and one module talks to each outside party."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "retrain"
PURE = (
    "alerts.backfills",
    "alerts.clock",
    "alerts.deadlines",
    "alerts.details",
    "alerts.diagnosis",
    "alerts.digest",
    "alerts.facts",
    "alerts.incident",
    "alerts.kinds",
    "alerts.messages",
    "alerts.mrkdwn",
    "alerts.redaction",
    "alerts.signal",
    "alerts.silences",
    "alerts.wording",
    "drift",
    "errors",
    "explain",
    "history",
    "manifest",
    "partition",
    "promotion",
    "receipt",
    "release",
    "run_spec",
)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize(
    "path", [*(ROOT / "dags").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")], ids=lambda p: p.name
)
def test_airflows_side_imports_nothing_of_the_pipelines(path: Path) -> None:
    assert not tops(path) & {"pipeline", "pandas", "sklearn", "dvc", "numpy"}


@pytest.mark.parametrize("path", sorted((ROOT / "pipeline").glob("*.py")), ids=lambda p: p.name)
def test_the_pipeline_imports_nothing_of_airflows(path: Path) -> None:
    assert not tops(path) & {"airflow", "retrain", "dags", "slack_sdk"}


@pytest.mark.parametrize(
    ("module", "library"),
    [("slack", "slack_sdk"), ("tracking", "mlflow"), ("process", "subprocess"), ("airflow_api", "httpx")],
)
def test_one_module_talks_to_each_outside_party(module: str, library: str) -> None:
    talkers = {path.stem for path in PACKAGE.glob("*.py") if library in tops(path)}
    assert talkers == {module}


def test_git_is_run_by_one_module() -> None:
    talkers = {path.stem for path in PACKAGE.glob("*.py") if 'process.run(["git"' in path.read_text()}
    assert talkers == {"git"}


@pytest.mark.parametrize("module", PURE)
def test_what_decides_does_no_io(module: str) -> None:
    found = imports(PACKAGE / f"{module.replace('.', '/')}.py")
    assert not {name.split(".")[0] for name in found} & {
        "airflow",
        "boto3",
        "botocore",
        "os",
        "pathlib",
        "subprocess",
        "httpx",
        "mlflow",
        "slack_sdk",
    }
    packages = {"retrain", "retrain.alerts"}
    may = tuple(f"retrain.{name}" for name in (*PURE, "dvc", "deployment", "run_record"))
    for name in found - packages:
        assert not name.startswith("retrain.") or name.startswith(may), name
