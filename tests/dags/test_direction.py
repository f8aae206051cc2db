"""Who may import whom: the two environments never meet, and one module talks to each outside party."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "retrain"
PURE = (
    "alerts/backfills",
    "alerts/message/clock",
    "alerts/watch/health",
    "alerts/watch/observe/deadlines",
    "alerts/watch/slack/plan",
    "alerts/watch/slack/posted",
    "alerts/watch/slack/refusals",
    "alerts/watch/slack/scopes",
    "alerts/message/details",
    "alerts/diagnosis",
    "alerts/message/digest",
    "alerts/fact_fields",
    "alerts/facts",
    "alerts/incident",
    "alerts/incident_document",
    "alerts/kinds",
    "alerts/message/messages",
    "alerts/message/mrkdwn",
    "alerts/message/plain_text",
    "alerts/redaction",
    "alerts/signal",
    "alerts/silences",
    "alerts/verdicts",
    "alerts/message/amounts",
    "alerts/message/headline",
    "alerts/message/impact",
    "alerts/message/next_action",
    "alerts/message/trouble",
    "deployment/cron",
    "doctor/clock",
    "doctor/finding",
    "doctor/secret_shapes",
    "deployment/dag_ids",
    "deployment/policies",
    "deployment/sections",
    "deployment/run_settings",
    "run/raw_layout",
    "deployment/values",
    "judge/day",
    "judge/drift",
    "work/dvc/declared",
    "work/dvc/dvc_lock",
    "work/dvc/outputs",
    "errors",
    "inputs/errors",
    "alerts/errors",
    "archive/explain",
    "work/environments/frozen",
    "archive/history",
    "deployment/holiday",
    "run/manifest",
    "run/partition",
    "judge/performance",
    "judge/promotion",
    "store/events",
    "store/receipt",
    "run/release",
    "run/run_spec",
    "judge/verdict",
    "judge/episode",
    "judge/policies",
    "results",
    "run/schema_version",
    "run/stage_run",
)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


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
    [
        ("alerts/watch/slack/client", "slack_sdk"),
        ("alerts/watch/second_channel", "apprise"),
        ("tracking/server", "mlflow"),
        ("work/process", "subprocess"),
        ("airflow/api", "httpx"),
        ("housekeeping/metadata_rows", "sqlalchemy"),
    ],
)
def test_one_module_talks_to_each_outside_party(module: str, library: str) -> None:
    talkers = {name_of(path) for path in PACKAGE.rglob("*.py") if library in tops(path)}
    # The heartbeat requests one address: that of the outside service that notices the watch's silence.
    assert talkers - {"alerts/watch/heartbeat"} == {module}


def test_nothing_of_the_watch_s_knows_airflow() -> None:
    in_tasks = {"alerts/callbacks"}
    assert {name_of(p) for p in (PACKAGE / "alerts").rglob("*.py") if "airflow" in tops(p)} <= in_tasks


def test_what_the_tasks_do_does_not_know_airflow() -> None:
    """Connections and the pin reach them through two interfaces; the page, the sensor and the callbacks are Airflow's own."""
    between = {
        "airflow/adapters",
        "airflow/connections",
        "airflow/log_folders",
        "airflow/slots",
        "tasks/wait_for_partition",
        "alerts/callbacks",
    }
    assert {name_of(path) for path in PACKAGE.rglob("*.py") if "airflow" in tops(path)} == between


def test_git_is_run_by_one_module() -> None:
    talkers = {path.stem for path in PACKAGE.rglob("*.py") if 'process.run(["git"' in path.read_text()}
    assert talkers == {"git"}


def test_requests_to_s3_are_made_by_two_modules_one_for_objects_and_one_for_settings() -> None:
    asking = {name_of(path) for path in PACKAGE.rglob("*.py") if "(Bucket=" in path.read_text()}
    assert asking == {"store/s3", "store/bucket_settings"}


@pytest.mark.parametrize("module", PURE)
def test_what_decides_does_no_io(module: str) -> None:
    found = imports(PACKAGE / f"{module}.py")
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
    modules = {name_of(path) for path in PACKAGE.rglob("*.py")}
    ours = {name.removeprefix("retrain.").replace(".", "/") for name in found if name.startswith("retrain.")} & modules
    assert ours <= {*PURE, "deployment/pipeline_file", "work/dvc/description", "run/run_record"}
