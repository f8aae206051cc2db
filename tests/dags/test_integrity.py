"""Rules for every DAG of ours, and proof that a broken configuration file affects its own DAG only."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

from retrain import results
from retrain.errors import ConfigurationError
from retrain.housekeeping.database import heartbeat_file
from retrain.run import partition
from retrain.work.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {
    "RETRAIN_REPOSITORY": "origin.git",
    "RETRAIN_RAW_BUCKET": "raw-bucket",
    "RETRAIN_STORE_BUCKET": "store-bucket",
    "RETRAIN_LEDGER_BUCKET": "ledger-bucket",
    "RETRAIN_SLACK_CHANNEL": "#alerts",
}
HOUSEKEEPING = [
    "remove_workspaces",
    "clean_dvc_caches",
    "clean_run_caches",
    "clean_raw_caches",
    "remove_environments",
    "pack_git_mirrors",
    "remove_retired_pipelines",
    "remove_files_put_aside",
    "remove_lock_files",
    "remove_task_logs",
    "check_metadata_database",
]
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/landings"
TASKS = [
    "wait_for_partition",
    "resolve_run",
    "reproduce",
    "push",
    "record_run",
    "check_drift",
    "promote",
    "remove_workspace",
]


def load_dags(folder: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(folder))


def laid_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of dags/ below a folder, with the addresses that a deployment sets."""
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    return Path(shutil.copytree(ROOT / "dags", folder / "dags"))


@pytest.fixture
def dags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of dags/ for one test, which may change it."""
    return laid_out(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The DAGs of this repository, loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        return load_dags(laid_out(tmp_path_factory.mktemp("ours"), patch))


@pytest.fixture(scope="module")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every kind of DAG: of a pipeline that messages start, of the reader of these messages, and of a broken file. Loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        dags = event_driven(laid_out(tmp_path_factory.mktemp("all_kinds"), patch), QUEUE)
        return load_dags(copied(dags, "second", raw="none"))


def test_every_dag_loads_with_the_tasks_that_the_readme_names(ours: Any) -> None:
    assert ours.import_errors == {}
    assert {name: [t.task_id for t in dag.topological_sort()] for name, dag in ours.dags.items()} == {
        "trip_duration": TASKS,
        "retrain_housekeeping": HOUSEKEEPING,
    }


def test_tasks_modules_and_results_have_the_same_names_in_the_same_order() -> None:
    assert list(results.TASKS) == TASKS
    assert {name for name in TASKS if not find_spec(f"retrain.tasks.{name}")} == set()


def test_a_pipeline_without_raw_data_waits_for_none(dags: Path) -> None:
    bag = load_dags(copied(dags, "second", raw=None, expected=None, fetch=["download"]))
    assert bag.import_errors == {}
    assert [task.task_id for task in bag.dags["second"].topological_sort()] == TASKS[1:]
    assert [task.task_id for task in bag.dags["trip_duration"].topological_sort()] == TASKS


@pytest.mark.parametrize(("asked", "count"), [(None, ""), (0, "0"), (3, "3")])
def test_only_a_pipeline_that_fetches_its_own_data_can_be_told_to_fetch_again(
    dags: Path, asked: int | None, count: str
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    bag = load_dags(copied(dags, "second", raw=None, expected=None, fetch=["download"]))
    assert "refetch" not in bag.dags["trip_duration"].params
    field = bag.dags["second"].params.get_param("refetch")
    assert field.resolve(asked) == asked
    resolve = bag.dags["second"].get_task("resolve_run")
    given = resolve.render_template(resolve.op_args[-1], {"params": {"refetch": asked}}, resolve.get_template_env())
    assert given == count
    for other in ("1", 1.5, -1):
        with pytest.raises(ParamValidationError):
            field.resolve(other)


def test_every_task_that_a_sentence_says_to_clear_is_one_of_the_dags() -> None:
    """In messages and docstrings: `clear push.`, `Clear resolve_run`."""
    sources = [*(ROOT / "plugins").rglob("*.py"), *(ROOT / "dags").rglob("*.py")]
    named = {word for path in sources for word in re.findall(r"\b[Cc]lears? `?([a-z]\w*)", path.read_text())}
    no_names = {"the", "it", "that", "a", "this"}
    assert {"push", "reproduce"} <= named
    assert named - no_names <= {*TASKS, *HOUSEKEEPING}


def test_the_run_page_knows_the_results_and_their_version() -> None:
    page = (ROOT / "plugins" / "retrain" / "airflow" / "run_page.html").read_text()
    assert re.search(r"const VERSION = (\d+);", page)[1] == str(results.SCHEMA_VERSION)
    assert json.loads(re.search(r"const TASKS = (\[.*?\]);", page)[1]) == TASKS[1:-1]
    assert f'const LANDED = "{results.WAIT_FOR_PARTITION}";' in page


def copied(dags: Path, *names: str, **changes: Any) -> Path:
    """More pipelines, each our own under another name, with these changes."""
    plain = yaml.safe_load((dags / "pipelines" / "trip_duration.yaml").read_text())
    for name in names:
        (dags / "pipelines" / f"{name}.yaml").write_text(yaml.safe_dump({**plain, **changes}))
    return dags


def test_every_task_has_an_owner_documentation_a_failure_notice_and_no_shell(all_kinds: Any) -> None:
    assert set(all_kinds.dags) == {"trip_duration", "trip_duration_landings", "second", "retrain_housekeeping"}
    for dag in all_kinds.dags.values():
        for task in dag.tasks:
            assert task.owner == ("unknown" if dag.dag_id == "second" else "ml-platform"), task.task_id
            assert task.doc_md, task.task_id
            assert task.has_on_failure_callback or task.on_failure_callback, task.task_id
            assert "Bash" not in task.task_type, task.task_id


def test_every_task_ends_in_a_bounded_time(all_kinds: Any) -> None:
    for dag in all_kinds.dags.values():
        for task in dag.tasks:
            if task.task_id == "wait_for_partition":  # its hours of waiting would count
                assert (task.execution_timeout, task.timeout) == (None, 48 * 3600)
            else:
                limit = getattr(task, "partial_kwargs", {}).get("execution_timeout") or task.execution_timeout
                assert timedelta() < limit <= timedelta(hours=2), task.task_id


def test_reproduce_may_take_what_the_file_allows_it_and_the_time_around_it(dags: Path) -> None:
    copied(dags, "slow", limits={"reproduce_minutes": 600})
    reproduce = load_dags(dags).dags["slow"].get_task("reproduce")
    assert timedelta(hours=10) < reproduce.execution_timeout <= timedelta(hours=12)


def test_every_task_is_in_the_table_that_says_whether_it_may_be_cleared(ours: Any) -> None:
    for dag in ours.dags.values():
        rows = [line for line in dag.doc_md.splitlines() if line.startswith("| `")]
        assert [row.split("`")[1] for row in rows] == [task.task_id for task in dag.topological_sort()]


def test_a_day_has_a_data_interval_and_missed_days_are_not_caught_up(ours: Any) -> None:
    from airflow.sdk import CronDataIntervalTimetable

    dag = ours.dags["trip_duration"]
    assert isinstance(dag.timetable, CronDataIntervalTimetable)
    assert dag.catchup is False


def test_a_failure_before_the_record_leaves_no_green_leaf(ours: Any) -> None:
    dag = ours.dags["trip_duration"]
    for leaf in ("check_drift", "promote"):
        assert "push" in dag.get_task(leaf).get_flat_relative_ids(upstream=True)


def test_clearing_any_task_after_reproduce_brings_its_workspace_back(ours: Any) -> None:
    dag = ours.dags["trip_duration"]
    for task in ("push", "record_run", "check_drift", "promote"):
        assert "reproduce" in dag.partial_subset(task, include_downstream=False, include_upstream=False).task_ids


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partition", "2020-03-05; touch x"),
        ("partition", "2020-13-45x"),
        ("release", "v1.0.0 --upload-pack=x"),
        ("release", "main"),
        ("release", 7),
    ],
)
def test_a_parameter_that_does_not_fit_its_pattern_is_refused(ours: Any, field: str, value: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        ours.dags["trip_duration"].params.get_param(field).resolve(value)


@pytest.mark.parametrize(
    "release", [None, "v1.0.0", "taxi@v1.2.0", "ml/taxi/2026.11.27", "trial-1", "2026-assessment-year"]
)
def test_a_run_can_be_started_with_the_name_of_any_release(ours: Any, release: str | None) -> None:
    assert ours.dags["trip_duration"].params.get_param("release").resolve(release) == release


@pytest.mark.parametrize(
    "release", ["HEAD", "latest", "-x", "a..b", "a@{1}", "a b", "a:b", "$(touch x)", "", "x" * 129]
)
def test_a_run_cannot_be_started_with_a_name_that_moves_or_that_git_would_misread(ours: Any, release: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        ours.dags["trip_duration"].params.get_param("release").resolve(release)


def test_the_param_of_the_release_names_the_pipelines_own_pattern(dags: Path) -> None:
    good = yaml.safe_load((dags / "pipelines" / "trip_duration.yaml").read_text())
    tags = {**good["repository"], "tags": "{name}@v{version}"}
    (dags / "pipelines" / "second.yaml").write_text(yaml.safe_dump({**good, "repository": tags}))
    bag = load_dags(dags)
    shown = {name: bag.dags[name].params.get_param("release").description for name in ("trip_duration", "second")}
    assert shown == {
        "trip_duration": "a tag vX.Y.Z, or a label; empty: the pinned release",
        "second": "a tag second@v{version}, or a label; empty: the pinned release",
    }


def test_a_broken_file_fails_its_own_dag_and_no_other(dags: Path) -> None:
    good = yaml.safe_load((dags / "pipelines" / "trip_duration.yaml").read_text())
    (dags / "pipelines" / "second.yaml").write_text(
        yaml.safe_dump({**good, "raw": {**good["raw"], "window_days": "many"}})
    )
    bag = load_dags(dags)
    assert bag.import_errors == {}
    assert [t.task_id for t in bag.dags["trip_duration"].topological_sort()] == TASKS
    broken = bag.dags["second"]
    assert "raw.window_days" in broken.doc_md
    with pytest.raises(Exception, match=r"second\.yaml: raw\.window_days"):
        broken.get_task("read_configuration").python_callable()


def test_the_failure_of_a_broken_file_s_dag_is_reported_with_the_next_step(dags: Path) -> None:
    broken = load_dags(copied(dags, "second", raw="none")).dags["second"]
    (task,) = broken.tasks
    assert [callback.pipeline for callback in task.on_failure_callback] == ["second"]
    assert "Correct the file" in broken.doc_md
    with pytest.raises(Exception, match="Correct the file"):
        task.python_callable()
    run = SimpleNamespace(data_interval_start=datetime(2026, 3, 9, 6, tzinfo=UTC), run_type="scheduled")
    assert partition.of_context({"dag": broken, "params": {}, "dag_run": run}) == "2026-03-09"


def test_what_a_file_makes_airflow_refuse_breaks_its_own_dag_and_no_other(dags: Path) -> None:
    bag = load_dags(copied(dags, "second", tags=["t" * 101]))
    assert bag.import_errors == {}
    assert [t.task_id for t in bag.dags["trip_duration"].topological_sort()] == TASKS
    assert "second.yaml: ValueError: tag cannot be longer than 100 characters" in bag.dags["second"].doc_md


def test_a_file_whose_name_can_be_no_dag_breaks_no_other(dags: Path) -> None:
    bag = load_dags(copied(dags, "My pipeline"))
    assert bag.import_errors == {}
    assert set(bag.dags) == {"trip_duration", "My.20.pipeline", "retrain_housekeeping"}
    assert "My pipeline.yaml" in bag.dags["My.20.pipeline"].doc_md


def test_a_second_pipeline_needs_only_a_file(dags: Path) -> None:
    assert set(load_dags(copied(dags, "second")).dags) == {"trip_duration", "second", "retrain_housekeeping"}


def test_a_pipeline_may_have_any_name_that_the_dag_file_uses_itself(dags: Path) -> None:
    names = {
        node.id if isinstance(node, ast.Name) else node.asname or node.name
        for node in ast.walk(ast.parse((dags / "retrain_pipelines.py").read_text()))
        if isinstance(node, (ast.Name, ast.alias))
    } | {"tasks", "deployment", "load", "task", "time", "partition"}
    possible = sorted(name for name in names if re.fullmatch("[a-z][a-z0-9_]*", name))
    bag = load_dags(copied(dags, *possible))
    assert bag.import_errors == {}
    assert set(bag.dags) == {"trip_duration", "retrain_housekeeping", *possible}
    for name in ("trip_duration", *possible):
        assert [t.task_id for t in bag.dags[name].topological_sort()] == TASKS
    seen = bag.dags["trip_duration"].get_task("resolve_run").python_callable.__globals__
    assert isinstance(seen["partition"], ModuleType)


def test_a_broken_module_of_a_task_fails_that_task_and_not_the_parsing(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "retrain.tasks.push", None)
    bag = load_dags(dags)
    assert bag.import_errors == {}
    with pytest.raises(ImportError, match=r"retrain\.tasks\.push"):
        bag.dags["trip_duration"].get_task("push").python_callable({}, {})


@pytest.mark.parametrize("asked", ["second", "trip_duration", "trip_duration_landings", "retrain_housekeeping"])
def test_a_task_that_starts_builds_its_own_dag_only(dags: Path, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    from airflow.sdk import get_parsing_context

    event_driven(copied(dags, "second", "third"), QUEUE)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", asked)
    assert get_parsing_context().dag_id == asked
    assert set(load_dags(dags).dags) == {asked}


@pytest.mark.parametrize(
    ("cron", "zone", "start"),
    [
        pytest.param("0 6 * * *", "UTC", "2020-03-09T06:00Z", id="06:00 UTC"),
        pytest.param("0 6 * * *", "Asia/Tokyo", "2020-03-08T21:00Z", id="06:00 Tokyo"),
        pytest.param("0 21 * * *", "America/New_York", "2020-03-10T01:00Z", id="21:00 New York"),
    ],
)
def test_templates_and_callbacks_have_the_day_of_the_schedules_zone(
    dags: Path, cron: str, zone: str, start: str
) -> None:
    schedule = {"cron": cron, "timezone": zone, "start_date": "2020-03-09"}
    dag = load_dags(copied(dags, "second", schedule=schedule, expected=None)).dags["second"]
    run = SimpleNamespace(data_interval_start=datetime.fromisoformat(start), run_type="scheduled")
    context = {"dag": dag, "params": {"partition": None, "release": None}, "dag_run": run, "run_id": "a run"}
    sensor, resolve = dag.get_task("wait_for_partition"), dag.get_task("resolve_run")
    environment = dag.get_template_env()
    assert sensor.render_template(sensor.partition, context, environment) == "2020-03-09"
    assert resolve.render_template(resolve.op_args[0], context, environment) == "2020-03-09"
    assert partition.of_context(context) == "2020-03-09"
    assert dag.start_date <= run.data_interval_start < dag.start_date + timedelta(days=1)


def test_all_tasks_of_a_pipeline_with_a_queue_are_sent_there_and_those_of_others_are_not(dags: Path) -> None:
    copied(dags, "second")
    file = event_driven(dags, QUEUE) / "pipelines" / "trip_duration.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "queue": "theirs"}))
    bag = load_dags(dags)
    for name in ("trip_duration", "trip_duration_landings"):
        assert {task.queue for task in bag.dags[name].tasks} == {"theirs"}
    assert {task.queue for task in bag.dags["second"].tasks} == {"default"}


def event_driven(dags: Path, queue: str | None) -> Path:
    file = dags / "pipelines" / "trip_duration.yaml"
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**document, "trigger": "event", "raw": {**document["raw"], "queue": queue}}))
    return dags


def test_a_pipeline_that_messages_start_keeps_its_schedule_and_gets_a_dag_that_reads_them(dags: Path) -> None:
    bag = load_dags(event_driven(dags, QUEUE))
    assert bag.import_errors == {}
    assert [t.task_id for t in bag.dags["trip_duration"].topological_sort()] == TASKS
    assert bag.dags["trip_duration"].timetable.expression == "0 6 * * *"
    landings = bag.dags["trip_duration_landings"]
    assert {t.task_id: t.downstream_task_ids for t in landings.tasks} == {
        "read_messages": {"start_run"},
        "start_run": set(),
        "refuse_others": set(),
    }


@pytest.mark.parametrize("asked", [None, "second_landings"])
def test_pipelines_that_name_one_queue_read_nothing_and_keep_their_schedules(
    dags: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    """Each would take the other's messages. Also in the process of a task, which builds its own DAG only."""
    copied(event_driven(dags, QUEUE), "second")
    other = yaml.safe_load((dags / "pipelines" / "trip_duration.yaml").read_text())["raw"] | {"queue": f"{QUEUE}-third"}
    copied(dags, "third", raw=other)
    if asked:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", asked)
    bag = load_dags(dags)
    assert bag.import_errors == {}
    refused = {name for name, dag in bag.dags.items() if "broken" in dag.tags}
    assert refused == ({asked} if asked else {"trip_duration_landings", "second_landings"})
    said = bag.dags["second_landings"].doc_md
    assert f"second.yaml: raw.queue {QUEUE} is the queue of trip_duration.yaml too." in said
    with pytest.raises(ConfigurationError, match=r"\$\{RETRAIN_LANDED_QUEUES\}second"):
        bag.dags["second_landings"].get_task("read_configuration").python_callable()
    if not asked:
        assert {"read_messages", "refuse_others"} <= set(bag.dags["third_landings"].task_ids)
        assert [t.task_id for t in bag.dags["trip_duration"].topological_sort()] == TASKS


def test_pipelines_that_messages_start_read_each_other_s_files_once_for_all(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each of them would be the square of their number: 100 pipelines took a minute, of 90 s allowed."""
    from retrain.deployment import yaml_file

    read, opened = yaml_file.read, Counter[str]()

    def counting(path: Path) -> dict[str, Any]:
        opened[path.name] += 1
        return read(path)

    raw = yaml.safe_load((dags / "pipelines" / "trip_duration.yaml").read_text())["raw"]
    names = [f"event_{number}" for number in range(5)]
    for name in names:
        copied(dags, name, trigger="event", raw=raw | {"queue": f"{QUEUE}-{name}"})
    monkeypatch.setattr(yaml_file, "read", counting)
    assert {f"{name}_landings" for name in names} <= set(load_dags(dags).dags)
    assert max(opened.values()) == 2, opened


def test_messages_without_a_queue_are_refused_by_name(dags: Path) -> None:
    assert "trigger: event needs raw.queue" in load_dags(event_driven(dags, None)).dags["trip_duration"].doc_md


def test_reading_the_dags_imports_nothing_heavy_and_starts_nothing() -> None:
    code = (
        "import sys, airflow.sdk, airflow.providers.amazon.aws.sensors.s3; before = set(sys.modules);"
        f"sys.path[:0] = [{str(ROOT / 'plugins')!r}, {str(ROOT / 'dags')!r}];"
        "import retrain_pipelines, retrain_housekeeping;"
        "print(*sorted(m for m in set(sys.modules) - before if m.split('.')[0] in "
        "{'holidays', 'mlflow', 'slack_sdk', 'pandas', 'sklearn', 'dvc', 'numpy', 'sqlalchemy'}))"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **ADDRESSES},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == ""


def test_the_housekeeping_runs_once_a_day_and_never_twice_at_once(dags: Path) -> None:
    dag = load_dags(dags).dags["retrain_housekeeping"]
    assert dag.timetable.expression == "30 3 * * *"
    assert (dag.catchup, dag.max_active_runs, dag.max_active_tasks) == (False, 1, 1)
    assert dag.is_paused_upon_creation is False


@pytest.mark.parametrize(
    ("now", "last", "next_run"),
    [
        pytest.param("2026-03-31T09:00", None, "2026-04-01T03:30", id="a new deployment"),
        pytest.param("2026-03-31T03:31", None, "2026-03-31T03:30", id="read again while the first run is due"),
        pytest.param("2026-03-31T09:00", "2026-03-28T03:30", "2026-03-31T03:30", id="missed runs"),
        pytest.param("2026-03-31T09:00", "2026-03-31T03:30", "2026-04-01T03:30", id="every day"),
    ],
)
def test_a_new_deployment_is_first_cleaned_at_the_next_time_of_day_and_a_missed_run_is_made_up_for(
    ours: Any, monkeypatch: pytest.MonkeyPatch, now: str, last: str | None, next_run: str
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables import trigger
    from airflow.timetables.base import DagRunInfo

    at = {text: datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, last, next_run) if text}
    monkeypatch.setattr(trigger, "utcnow", lambda: at[now])
    dag = DagSerialization.from_dict(DagSerialization.to_dict(ours.dags["retrain_housekeeping"]))
    before = DagRunInfo.interval(at[last], at[last]) if last else None
    assert dag.next_dagrun_info(last_automated_run_info=before).run_after == at[next_run]


def test_the_metadata_database_of_a_new_deployment_is_not_reported_as_never_cleaned(
    ours: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path))
    check = ours.dags["retrain_housekeeping"].get_task("check_metadata_database").python_callable
    with pytest.raises(Exception, match="has not been cleaned yet"):
        check()
    write_whole(heartbeat_file(tmp_path), datetime.now(UTC).isoformat().encode())
    assert "The first cleaning is due by" in check()["summary"]


def test_no_task_of_the_housekeeping_waits_for_another_so_that_a_failure_holds_up_none(dags: Path) -> None:
    assert [task.upstream_task_ids for task in load_dags(dags).dags["retrain_housekeeping"].tasks] == [set()] * 11


def test_a_broken_file_of_limits_fails_each_day_with_the_key_and_is_reported(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = dags / "housekeeping.yaml"
    file.write_text(file.read_text().replace("keep_days: 30", "keep_days: many"))
    monkeypatch.setenv("RETRAIN_HOUSEKEEPING", str(file))
    bag = load_dags(dags)
    assert bag.import_errors == {}
    (task,) = bag.dags["retrain_housekeeping"].tasks
    assert [callback.pipeline for callback in task.on_failure_callback] == ["retrain_housekeeping"]
    assert "keep_days" in bag.dags["retrain_housekeeping"].doc_md
    with pytest.raises(Exception, match=r"housekeeping\.yaml: keep_days: .* Nothing was cleaned"):
        task.python_callable()


@pytest.mark.parametrize("value", ["yes", 0])
def test_the_housekeeping_refuses_params_that_it_would_misread(dags: Path, value: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = load_dags(dags).dags["retrain_housekeeping"].params
    for name in ("dry_run", "keep_days"):
        with pytest.raises(ParamValidationError):
            params.get_param(name).resolve(value)
