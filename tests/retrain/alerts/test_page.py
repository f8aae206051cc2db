"""The watch's page: on the loopback, for phones, and never a file that is none of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from retrain.alerts.kinds import Kind
from retrain.alerts.page import Page
from retrain.alerts.settings import Settings
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch import Watch


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    settings = Settings.of({"RETRAIN_ALERTS": str(tmp_path / "alerts"), "RETRAIN_SLACK_CHANNEL": "#ours"})
    return Watch(replace(settings, pipelines=tmp_path), now=lambda: datetime(2020, 3, 18, 6, tzinfo=UTC))


@pytest.fixture
def browser(watch: Watch, tmp_path: Path) -> TestClient:
    (tmp_path / "task_failed.md").write_text(
        "# A task failed\n\n![as seen](pictures/x.png)\n\n| If | Do |\n| - | - |\n| a | b |\n"
    )
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "x.png").write_bytes(b"png")
    (tmp_path / "secret.md").write_text("secret")
    return TestClient(Page(watch, tmp_path).application(), base_url="http://127.0.0.1")


def test_all_is_well_is_200_and_anything_that_is_not_is_503_and_named(watch: Watch, browser: TestClient) -> None:
    assert (browser.get("/health").status_code, browser.get("/health").json()["problems"]) == (200, {})
    watch.broken = {"ours": "ours.yaml: slack.channel: <b>"}
    answer = browser.get("/health")
    assert (answer.status_code, list(answer.json()["problems"])) == (503, ["pipeline ours"])
    assert "slack.channel: &lt;b&gt;" in browser.get("/").text


def test_a_watch_that_sees_trouble_is_alive_and_no_supervisor_restarts_it(watch: Watch, browser: TestClient) -> None:
    watch.broken = {"ours": "ours.yaml: slack.channel"}
    assert browser.get("/alive").status_code == 200


def test_open_incidents_are_shown_with_whether_slack_has_them(watch: Watch, browser: TestClient) -> None:
    failed = Signal(
        "a", "2020-03-18T06:00:00", Step.TROUBLE, "ours", Kind.TASK_FAILED, "<b>push</b>", "2020-03-17", "push"
    )
    watch.book.fold(failed)
    page = browser.get("/").text
    assert "not in Slack" in page
    assert "<b>push</b>" not in page
    assert 'name="viewport"' in page


def test_a_runbook_is_shown_with_its_pictures_and_tables(browser: TestClient) -> None:
    page = browser.get("/runbooks/task_failed").text
    assert '<img src="/runbooks/pictures/x.png"' in page
    assert "<table>" in page
    assert browser.get("/runbooks/pictures/x.png").content == b"png"
    assert "task_failed" in browser.get("/runbooks").text


@pytest.mark.parametrize(
    "path",
    [
        "/runbooks/secret",
        "/runbooks/..%2Fsecret",
        "/runbooks/%2e%2e%2fsecret.md",
        "/runbooks/data_late",
        "/runbooks/pictures/..%2Fsecret.md",
        "/runbooks/pictures/secret.md",
        "/runbooks/pictures/%2Fetc%2Fpasswd",
    ],
)
def test_what_is_no_runbook_is_not_there(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_a_page_of_another_site_gets_no_answer(browser: TestClient) -> None:
    assert browser.get("/health", headers={"Host": "attacker.example"}).status_code == 400
