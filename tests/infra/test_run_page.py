"""What a run's Release tab shows in a browser: results as the tasks return them, and every state of a task."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from loopback import ROOT
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import frame_to_be_available_and_switch_to_it
from selenium.webdriver.support.ui import WebDriverWait

TASKS = ("resolve_run", "reproduce", "push", "record_run", "check_drift", "promote")
RUN = "manual__2020-03-21T06:00:00+00:00"
PLUGIN = ROOT / "plugins" / "retrain_plugin.py"
PAGE = ROOT / "plugins" / "retrain" / "airflow" / "run_page.html"
OLD_RESULTS = ROOT / "tests" / "contract" / "ledger_of_899b122" / "task_results"
PATIENCE = 120  # seconds; a page takes one, and many times that on a machine whose cores are all busy
# The visible text of the page, in one request to the browser: each request takes long on a busy machine.
SHOWN = """
const all = (selector) => [...document.querySelectorAll(selector)];
const text = (element) => element.checkVisibility() ? element.innerText.replaceAll("\\t", " ").trim() : "";
return {
  title: text(document.getElementById("title")),
  subtitle: text(document.getElementById("subtitle")),
  note: all("#note").map(text).join(""),
  rows: Object.fromEntries(all("#facts > tbody > tr").map(
    (row) => [text(row.querySelector("th")), text(row.querySelector("td"))])),
  links: Object.fromEntries(all("#facts a").map((link) => [text(link), link.href])),
}
"""


@cache
def results() -> str:
    """What today's tasks return, as JSON."""
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", ROOT / "tests" / "infra" / "run_page_results.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def airflow_states() -> list[str]:
    """Every state that Airflow knows of a task."""
    command = "from airflow.utils.state import TaskInstanceState as State; print(*(state.value for state in State))"
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", "-c", command], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.split()


@dataclass
class AirflowStandin:
    """One run as Airflow's REST API answers: each task's state, and its result if it has one.

    `path` is the path below which Airflow is served, and nothing is outside it.
    """

    url: str = ""
    path: str = ""
    states: dict[str, str | None] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    refuses: int | None = None

    def runs(self, states: dict[str, str | None], kept: dict[str, Any]) -> None:
        """A run whose other tasks succeeded."""
        self.states = {"wait_for_partition": "success", **dict.fromkeys(TASKS, "success"), **states}
        self.results = {task: kept[task] for task in TASKS if self.states[task] == "success" and task in kept}
        self.refuses = None

    def answer(self, path: str) -> tuple[int, object]:
        of_run = f"/api/v2/dags/trips/dagRuns/{RUN}/taskInstances"
        task = path.removeprefix(f"{of_run}/").removesuffix("/xcomEntries/return_value")
        if self.refuses:
            return self.refuses, {"detail": "Forbidden"}
        if path == of_run and self.states:
            instances = [{"task_id": name, "state": state} for name, state in self.states.items()]
            return HTTPStatus.OK, {"task_instances": instances, "total_entries": len(instances)}
        if path == f"{of_run}/{task}/xcomEntries/return_value" and task in self.results:
            return HTTPStatus.OK, {"key": "return_value", "task_id": task, "value": self.results[task]}
        return HTTPStatus.NOT_FOUND, {"detail": "Not Found"}


def airflow_page(path: str) -> str:
    """What matters of Airflow's page of a run: its base address, and the frame with the plugin's own `href`."""
    href = re.search(r'"href": "([^"]+)"', PLUGIN.read_text())
    assert href is not None
    src = href[1].replace("{DAG_ID}", "trips").replace("{RUN_ID}", quote(RUN, safe="")).replace("&", "&amp;")
    return f'<!doctype html><base href="{path}/"><iframe src="{src}" title="Release"></iframe>'


@pytest.fixture(scope="module")
def server() -> Iterator[AirflowStandin]:
    """The page at its address, with the API beside it."""
    airflow = AirflowStandin()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            inside = path.removeprefix(airflow.path) if path.startswith(f"{airflow.path}/") else None
            if inside == "/retrain/run":
                status, kind, body = 200, "text/html", PAGE.read_bytes()
            elif inside == f"/dags/trips/runs/{RUN}/plugin/release":
                status, kind, body = 200, "text/html", airflow_page(airflow.path).encode()
            else:
                status, answer = airflow.answer(inside or "")
                kind, body = "application/json", json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keep the requests out of the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        airflow.url = f"http://127.0.0.1:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield airflow
        listening.shutdown()
        thread.join()


@dataclass(frozen=True)
class Shown:
    """The page as a person reads it: its title and subtitle, the note below, and each row's text by its name."""

    title: str
    subtitle: str
    note: str
    rows: dict[str, str]
    links: dict[str, str]


@pytest.fixture
def show(server, browser):
    """Opens the page on a run: the states of its tasks, and what they returned."""

    def opened(states=None, kept=None, *, dag="trips"):
        if states is not None:
            server.runs(states, json.loads(results()) if kept is None else kept)
        browser.get(f"{server.url}/retrain/run?dag_id={dag}&run_id={quote(RUN, safe='')}")
        WebDriverWait(browser, PATIENCE).until(lambda page: "Reading" not in page.find_element(By.ID, "subtitle").text)
        return Shown(**browser.execute_script(SHOWN))

    return opened


def test_a_finished_run_says_which_release_ran_on_which_data(show):
    shown = show({})
    spec = json.loads(results())["resolve_run"]
    assert (shown.title, shown.subtitle, shown.note) == ("v1.1.0 on 2020-03-20", "Finished.", "")
    assert [shown.rows[name] for name in ("Release", "Partition")] == ["v1.1.0", "2020-03-20"]
    assert [shown.rows[name] for name in ("Commit", "Manifest", "Run key")] == [
        spec["commit"],
        spec["manifest_digest"],
        spec["run_key"],
    ]


def test_each_stage_has_its_time_and_memory_or_came_from_the_cache(show):
    stages = show({}).rows["Stages"]
    assert "ingest from the cache 0.1 s –" in stages
    assert "train ran 61.5 s 312 MB" in stages
    assert "evaluate ran 2.25 s –" in stages
    assert "64 s in all" in stages


def test_the_data_that_was_laid_and_the_params_that_were_set_are_listed(show):
    assert show({}).rows["Inputs"].splitlines() == [
        "3 files, 1,234 bytes laid at data/raw, in place of data/raw.dvc",
        "params.yaml: data.year is 2020, in the release 2019",
    ]


def test_the_proof_names_objects_bytes_and_what_was_sent_and_healed(show):
    shown = show({})
    assert shown.rows["Proof"].splitlines() == [
        "12 objects, 34,567,890 bytes proven on the remote.",
        "4 sent, 1 healed, 6 requests, 3.5 s",
    ]
    assert shown.rows["Receipt"] == "receipts/0123456789abcdef.json"


def test_the_mlflow_run_is_a_link_and_its_metrics_are_listed(show):
    shown = show({})
    assert shown.links[shown.rows["MLflow run"]] == "https://mlflow.example.org/#/experiments/1/runs/r1"
    assert shown.rows["Model version"] == "7"
    assert "model.mae 8.25" in shown.rows["Metrics"]
    assert shown.rows["Ledger"] == "A new entry."


def test_stages_that_are_not_repeatable_are_named_with_what_stands(show):
    assert "Not repeatable" not in show({}).rows
    kept = json.loads(results())
    kept["record_run"] |= {"new": False, "not_repeatable": ["draw", "prep/dvc.yaml:fit"], "note": "The record stands."}
    shown = show({}, kept)
    assert shown.rows["Ledger"] == "The entry was there already, and stands."
    assert shown.rows["Not repeatable"].splitlines() == ["draw, prep/dvc.yaml:fit", "The record stands."]


def test_drift_shows_its_verdict_and_each_feature_with_its_limit(show):
    drift = show({}).rows["Drift"]
    assert drift.startswith("alert, severity medium, since 2020-03-20\n")
    assert "duration psi 0.41 0.2" in drift


def test_performance_shows_the_error_with_its_interval_limit_and_baselines(show):
    performance = show({}).rows["Performance"]
    assert performance.startswith("alert, severity high, since 2020-03-20\n")
    assert "mae 8.25 (between 8.05 and 8.45), limit " in performance
    assert "Baselines: constant 6" in performance


@pytest.mark.parametrize(
    ("promoted", "said"),
    [
        pytest.param(False, "The champion is unchanged.", id="refused"),
        pytest.param(True, "Version 7 became the champion.", id="promoted"),
    ],
)
def test_promotion_says_what_became_of_the_champion_and_why(show, promoted, said):
    kept = json.loads(results())
    kept["promote"]["promoted"] = promoted
    assert show({}, kept).rows["Promotion"].splitlines() == [said, kept["promote"]["reason"]]


@pytest.mark.parametrize(
    ("states", "headline", "row", "said"),
    [
        pytest.param(
            dict.fromkeys(TASKS), "Waiting for resolve_run.", "Release", "Not run yet.", id="nothing has run yet"
        ),
        pytest.param(
            {**dict.fromkeys(TASKS), "wait_for_partition": "deferred"},
            "Waiting for the day's data.",
            "Release",
            "Not run yet.",
            id="the data has not landed",
        ),
        pytest.param(
            {**dict.fromkeys(TASKS[1:]), "reproduce": "running"},
            "Running: reproduce.",
            "Stages",
            "Running.",
            id="a task runs",
        ),
        pytest.param(
            {**dict.fromkeys(TASKS[2:], "upstream_failed"), "push": "failed"},
            "Failed: push.",
            "Proof",
            "Failed.\nOpen push",
            id="a task failed",
        ),
        pytest.param(
            {**dict.fromkeys(TASKS[2:], "upstream_failed"), "push": "failed"},
            "Failed: push.",
            "Promotion",
            "Not run, because an earlier task failed.",
            id="what comes after a failed task",
        ),
        pytest.param(
            {**dict.fromkeys(TASKS[2:]), "push": "up_for_retry"},
            "push failed and will be tried again.",
            "Proof",
            "Failed; it will be tried again.\nOpen push",
            id="a task is tried again",
        ),
        pytest.param(
            {**dict.fromkeys(TASKS, "upstream_failed"), "wait_for_partition": "failed"},
            "Failed: wait_for_partition.",
            "Release",
            "Not run, because an earlier task failed.",
            id="the partition never came",
        ),
        pytest.param(
            {"promote": "skipped"},
            "Finished.",
            "Promotion",
            "Skipped: the pipeline's file does not ask for it.",
            id="a task is skipped",
        ),
    ],
)
def test_a_task_without_a_result_says_why_it_has_none(show, states, headline, row, said):
    shown = show(states)
    assert (shown.subtitle, shown.rows[row]) == (headline, said)


def test_a_failed_task_is_linked(show):
    links = show({"check_drift": "failed"}).links
    assert links["Open check_drift"].endswith(f"/dags/trips/runs/{quote(RUN, safe='')}/tasks/check_drift")


@pytest.mark.parametrize("path", ["", "/airflow", "/tools/airflow"])
def test_airflow_s_page_finds_the_tab_and_the_tab_its_run_below_any_path(server, browser, path):
    server.path = path
    server.runs({"promote": "failed"}, json.loads(results()))
    try:
        browser.get(f"{server.url}{path}/dags/trips/runs/{quote(RUN, safe='')}/plugin/release")
        waiting = WebDriverWait(browser, PATIENCE)
        waiting.until(frame_to_be_available_and_switch_to_it((By.CSS_SELECTOR, "iframe[title=Release]")))
        waiting.until(lambda page: "Reading" not in page.find_element(By.ID, "subtitle").text)
        shown = Shown(**browser.execute_script(SHOWN))
    finally:
        server.path = ""
    assert (shown.title, shown.subtitle) == ("v1.1.0 on 2020-03-20", "Failed: promote.")
    task = f"{server.url}{path}/dags/trips/runs/{quote(RUN, safe='')}/tasks/promote"
    assert shown.links["Open promote"] == task


def test_every_state_of_a_task_is_said_in_words(show):
    for state in airflow_states():
        said = show({"promote": state}).rows["Promotion"].splitlines()[0]
        assert said[0].isupper(), f"{said!r} is the bare name of the state"


def test_a_pipeline_without_a_drift_report_has_no_row_for_it(show):
    kept = json.loads(results())
    kept["check_drift"]["drift"] = None
    rows = show({}, kept).rows
    assert "Drift" not in rows
    assert rows["Performance"].startswith("alert")


@pytest.mark.parametrize("name", ["2020-03-07", "2020-03-05-backfill"])
def test_results_of_an_older_deployment_are_shown_and_named_so(show, name):
    kept = json.loads((OLD_RESULTS / f"{name}.json").read_text())
    shown = show({}, kept)
    assert shown.note == "Written by an older deployment. Shown is what this page can read of it."
    assert shown.subtitle == "Finished."
    assert shown.rows["Stages that ran"].startswith(", ".join(kept["reproduce"]["executed"]))
    assert shown.rows["Stages from the cache"] == (", ".join(kept["reproduce"]["cached"]) or "none")
    assert shown.rows["Proof"].startswith(f"10 objects, {kept['push']['bytes']} bytes proven")
    assert shown.rows["Drift"].startswith("calm")
    assert kept["promote"]["reason"] in shown.rows["Promotion"]


def test_one_result_of_another_form_does_not_hide_the_others(show):
    kept = json.loads(results())
    kept["check_drift"] = {"schema_version": 9, "drift": {"state": "calm"}}
    shown = show({}, kept)
    assert shown.note.startswith("Written by a newer deployment.")
    assert "check_drift has another form" in shown.rows["Drift and performance"]
    assert shown.rows["Promotion"].startswith("The champion is unchanged.")


def test_a_result_that_airflow_has_deleted_is_named(show):
    kept = json.loads(results())
    del kept["push"]
    assert show({}, kept).rows["Proof"] == "Finished, but Airflow no longer has its result."


def test_a_run_of_another_dag_says_that_it_runs_no_release(show, server):
    server.states, server.results, server.refuses = {"read_messages": "success"}, {}, None
    assert show().subtitle == "This DAG runs no release."


def test_a_run_that_is_gone_is_named(show):
    assert show({}, dag="other").subtitle == "Airflow has no such run."


def test_a_refusal_is_shown_with_its_status(show, server):
    server.refuses = 403
    assert show().subtitle == "This page could not be read: Airflow answered 403 for taskInstances"


def test_text_of_a_result_is_never_markup(show):
    kept = json.loads(results())
    kept["promote"]["reason"] = "<img src=x onerror=alert(1)>"
    kept["record_run"]["url"] = "javascript:alert(1)"
    shown = show({}, kept)
    assert kept["promote"]["reason"] in shown.rows["Promotion"]
    assert "r1" not in shown.links
