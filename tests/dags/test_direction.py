"""Who may import whom: the two environments never meet, and one module talks to each outside party."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "retrain"
PURE = (
    "adoption/own_programs",
    "adoption/errors",
    "adoption/observation",
    "adoption/snapshot",
    "adoption/shell",
    "adoption/python_code",
    "adoption/stage_code",
    "adoption/pipeline_code",
    "adoption/layout",
    "adoption/tags",
    "adoption/toml_text",
    "adoption/uv_workspace",
    "adoption/remotes",
    "adoption/inputs_of_stages",
    "adoption/commands_of_stages",
    "adoption/own_modules",
    "adoption/variables",
    "adoption/tracking_calls",
    "adoption/results_of_stages",
    "adoption/day_params",
    "adoption/packages",
    "adoption/imported_packages",
    "adoption/project_place",
    "adoption/proposal",
    "adoption/days",
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
    "deployment/git_address",
    "deployment/policies",
    "deployment/sections",
    "deployment/run_settings",
    "run/landed",
    "run/landings",
    "run/raw_layout",
    "run/s3_messages",
    "deployment/values",
    "judge/day",
    "judge/drift",
    "work/errors",
    "work/origin",
    "work/submodules",
    "work/dvc/committed_locks",
    "work/dvc/declared",
    "work/dvc/errors",
    "work/dvc/repeatability",
    "work/dvc/dvc_lock",
    "work/dvc/outputs",
    "work/dvc/param_values",
    "work/dvc/repro_targets",
    "work/remote_access",
    "errors",
    "inputs/code_files",
    "inputs/day_dependence",
    "inputs/errors",
    "trial/errors",
    "inputs/names",
    "inputs/places",
    "inputs/reserved_names",
    "inputs/fetch_stages",
    "inputs/fetched_stage",
    "inputs/likely_fetchers",
    "inputs/stage_graph",
    "inputs/stage_programs",
    "work/errors",
    "work/masking",
    "work/stage_variables",
    "alerts/errors",
    "archive/explain",
    "archive/stage_differences",
    "work/environments/fixed_versions",
    "work/environments/frozen",
    "work/environments/git_requirements",
    "work/environments/local_project",
    "work/environments/locked",
    "work/environments/poetry_versions",
    "work/environments/python_versions",
    "work/environments/requirements_file",
    "archive/history",
    "deployment/holiday",
    "run/manifest",
    "run/partition",
    "judge/performance",
    "judge/promotion",
    "store/events",
    "store/errors",
    "store/first_attempt",
    "store/kept_record",
    "store/receipt",
    "run/release",
    "run/label",
    "run/tag_pattern",
    "run/errors",
    "deployment/git_names",
    "run/run_spec",
    "judge/verdict",
    "judge/episode",
    "judge/run_days",
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
    """Connections and the pin reach them through two interfaces.

    The page, the sensor with its trigger, the callbacks and the parts of DAGs are Airflow's own.
    """
    between = {
        "airflow/adapters",
        "airflow/connections",
        "airflow/git_connection",
        "airflow/log_folders",
        "airflow/partition_trigger",
        "airflow/remote_options",
        "airflow/slots",
        "airflow/stage_secrets",
        "tasks/wait_for_partition",
        "alerts/callbacks",
        "dag/broken_dag",
        "dag/defaults",
        "dag/landings_dag",
    }
    assert {name_of(path) for path in PACKAGE.rglob("*.py") if "airflow" in tops(path)} == between


def test_git_is_run_by_one_module() -> None:
    talkers = {path.stem for path in PACKAGE.rglob("*.py") if '["git", ' in path.read_text()}
    assert talkers == {"git_program"}


def test_requests_to_s3_are_made_by_four_modules_and_only_one_replaces_or_deletes_objects() -> None:
    asking = {name_of(path) for path in PACKAGE.rglob("*.py") if "(Bucket=" in path.read_text()}
    assert asking == {"store/s3", "store/mutable_objects", "store/object_content", "store/bucket_settings"}
    # Whether a day has landed is asked in one way, by the trigger asynchronously.
    looking = {name_of(path) for path in PACKAGE.rglob("*.py") if "list_objects_v2(**" in path.read_text()}
    assert looking == {"store/raw_landing", "airflow/partition_trigger"}
    changing = ("create_transfer_manager(", ".delete_objects(", ".copy_object(", ".upload_file(")
    found = {name_of(path) for path in PACKAGE.rglob("*.py") if any(call in path.read_text() for call in changing)}
    assert found == {"store/mutable_objects"}


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
