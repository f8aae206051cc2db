"""The watch's page: readable on phones, answered to known hosts only, and without access to other files."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urljoin

import pytest
from starlette.testclient import TestClient

from retrain.alerts.kinds import Kind
from retrain.alerts.message import messages
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch.page.reading import key_of
from retrain.alerts.watch.page.server import Page
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.watch import Watch
from retrain.errors import ConfigurationError

FAILED = Signal("f", "2020-03-18T05:50:00", Step.TROUBLE, "ours", Kind.TASK_FAILED, "push", "2020-03-17", "push")


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    settings = WatchSettings.of({"RETRAIN_ALERTS": str(tmp_path / "alerts"), "RETRAIN_SLACK_CHANNEL": "#ours"})
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


def test_health_is_200_while_messages_can_be_delivered_and_503_with_the_reason_while_not(
    watch: Watch, browser: TestClient
) -> None:
    answer = browser.get("/health")
    assert (answer.status_code, answer.json()["problems"], answer.json()["attention"]) == (200, {}, {})
    watch.parts["observe"].error = "KeyError: <b>"
    answer = browser.get("/health")
    assert (answer.status_code, answer.json()["well"]) == (503, False)
    assert answer.json()["problems"] == {"observe": "KeyError: <b>"}
    assert "KeyError: &lt;b&gt;" in browser.get("/").text


def test_findings_that_hold_up_no_message_are_named_and_keep_the_health_at_200(
    watch: Watch, browser: TestClient
) -> None:
    watch.state.configuration.broken = {"ours": "ours.yaml: slack.channel: <b>"}
    answer = browser.get("/health")
    assert (answer.status_code, answer.json()["problems"], list(answer.json()["attention"])) == (
        200,
        {},
        ["pipeline ours"],
    )
    assert "slack.channel: &lt;b&gt;" in browser.get("/").text


def test_a_watch_that_sees_trouble_is_alive_and_no_supervisor_restarts_it(watch: Watch, browser: TestClient) -> None:
    watch.parts["observe"].error = "KeyError"
    assert browser.get("/alive").status_code == 200


def test_open_incidents_are_shown_with_whether_slack_has_them(watch: Watch, browser: TestClient) -> None:
    failed = Signal(
        "a", "2020-03-18T06:00:00", Step.TROUBLE, "ours", Kind.TASK_FAILED, "<b>push</b>", "2020-03-17", "push"
    )
    watch.state.book.fold(failed)
    page = browser.get("/").text
    assert "Not in Slack" in page
    assert "<b>push</b>" not in page
    assert 'name="viewport"' in page


def test_a_runbook_is_shown_with_its_pictures_and_tables(browser: TestClient) -> None:
    page = browser.get("/runbooks/task_failed").text
    assert '<img src="pictures/x.png"' in page
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
def test_other_files_than_runbooks_are_not_served(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_every_link_is_relative_so_that_a_proxy_may_add_a_path_prefix(watch: Watch, browser: TestClient) -> None:
    watch.state.book.fold(FAILED)
    key = key_of(watch.state.book.open()[0].id)
    for path in ("/", f"/incidents/{key}", "/runbooks", "/runbooks/task_failed"):
        found = re.findall(r'(?:href|src)="([^"]*)"', browser.get(path).text)
        assert found
        for address in found:
            assert not address.startswith("/"), (path, address)
            if "://" not in address:
                assert browser.get(urljoin(f"http://127.0.0.1{path}", address)).status_code == 200, (path, address)


def test_no_page_allows_scripts_forms_frames_or_styles_other_than_its_own(watch: Watch, browser: TestClient) -> None:
    watch.state.book.fold(FAILED)
    for path in ("/", f"/incidents/{key_of(watch.state.book.open()[0].id)}", "/runbooks/task_failed", "/metrics"):
        answer = browser.get(path)
        policy = dict(each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
        for style in re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert policy["style-src"] == f"'sha256-{digest}'"


def test_the_page_reloads_itself_every_minute_unless_its_reader_stops_that(browser: TestClient) -> None:
    assert '<meta http-equiv="refresh" content="60">' in browser.get("/").text
    still = browser.get("/?reload=no").text
    assert "refresh" not in still
    assert "2020-03-18 06:00:00 UTC" in still


def test_an_incident_has_a_page_with_its_thread_and_its_pictures(watch: Watch, browser: TestClient) -> None:
    drifted = replace(FAILED, id="d", kind=Kind.DRIFT_DETECTED, task="check_drift", pictures=(("d.png", "<Speed>"),))
    watch.state.outbox.put(drifted, {"d.png": b"a picture", "other.png": b"of another incident"})
    watch.parts["signals"].take_turn()
    at = f"/incidents/{key_of(watch.state.book.open()[0].id)}"
    page = browser.get(at).text
    assert 'alt="&lt;Speed&gt;"' in page
    (picture,) = re.findall(r'<img src="([^"]+)"', page)
    assert browser.get(urljoin(f"http://127.0.0.1{at}", picture)).content == b"a picture"
    assert browser.get(f"{at}/pictures/other.png").status_code == 404
    assert browser.get("/incidents/000000000000").status_code == 404


def test_an_incident_whose_message_cannot_be_written_is_still_shown(
    watch: Watch, browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("<b> cannot be written")

    watch.state.book.fold(FAILED)
    monkeypatch.setattr(messages, "top", refuse)
    page = browser.get("/").text
    assert watch.state.book.open()[0].id in page
    assert "&lt;b&gt; cannot be written" in page


def test_a_page_of_another_site_gets_no_answer(browser: TestClient) -> None:
    assert browser.get("/health", headers={"Host": "attacker.example"}).status_code == 400


def test_the_page_answers_under_the_host_names_of_the_settings_with_any_port(tmp_path: Path) -> None:
    named = {"RETRAIN_ALERTS": str(tmp_path), "RETRAIN_ALERTS_ALLOWED_HOSTS": "alerts, watch.example"}
    asked = TestClient(Page(Watch(WatchSettings.of(named))).application(), base_url="http://127.0.0.1")
    for host, status in {"alerts:8091": 200, "watch.example": 200, "localhost:9": 200, "other:8091": 400}.items():
        assert asked.get("/alive", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("name", ["*", "a*b", "alerts:8091", "http://alerts"])
def test_a_setting_that_is_no_host_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a host name"):
        WatchSettings.of({"RETRAIN_ALERTS": str(tmp_path), "RETRAIN_ALERTS_ALLOWED_HOSTS": f"alerts,{name}"})
