"""The deployer sends one command, waits for a limited time, and prints the host's answer. The account is moto's; the host's program really runs."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import deploy
import pytest
from botocore.exceptions import ClientError
from conftest import ROOT, DeployAccount
from deploy import Deployer, DeployError, summary
from host_standin import HostStandin
from web_identity import WebIdentityError, session

PROGRAM = f"{sys.executable} {ROOT / 'infra' / 'release' / 'retrain_release.py'}"


def deployer(account: DeployAccount, **settings: Any) -> Deployer:
    return Deployer(account.client("ssm"), account.document, account.instance, **({"poll_seconds": 0.05} | settings))


@pytest.fixture
def online(account: DeployAccount, host: HostStandin) -> DeployAccount:
    account.agent(program=PROGRAM, environment=host.environment(), absent=2)
    return account


def test_a_release_is_live_when_the_host_says_so(online: DeployAccount, host: HostStandin) -> None:
    host.was("v1.1.0")
    said: list[str] = []
    answer = deployer(online).deploy("v1.2.0", said.append)
    assert summary(answer) == "v1.2.0 is live (before: v1.1.0)."
    assert host.live == "v1.2.0"
    assert any("pin v1.2.0" in line for line in said)


def test_a_release_that_the_host_returned_from_fails_with_its_reason(
    online: DeployAccount, host: HostStandin, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.was("v1.1.0")
    host.fail(watch=["v1.2.0"])
    monkeypatch.setenv("RETRAIN_DEPLOY_DOCUMENT", online.document)
    monkeypatch.setenv("RETRAIN_DEPLOY_INSTANCE", online.instance)
    monkeypatch.setattr(deploy, "_POLL_SECONDS", 0.05)
    assert deploy.main(["v1.2.0"]) == 1
    said = capsys.readouterr().out
    assert "v1.2.0 was unhealthy and v1.1.0 is live again, with its pin. check failed" in said
    assert host.live == "v1.1.0"


def test_a_host_that_is_busy_is_asked_again(account: DeployAccount, host: HostStandin) -> None:
    once = host.folder / "asked"
    busy = f"bash -c 'if [ ! -e {once} ]; then touch {once}; exit 75; fi; exec {PROGRAM} $0'"
    account.agent(program=busy, environment=host.environment())
    said: list[str] = []
    assert deployer(account).deploy("v1.2.0", said.append).code == 0
    assert said[0].startswith("another release is under way")


def test_a_host_that_is_not_reached_is_reported_as_unreachable(account: DeployAccount) -> None:
    account.agent(offline=True)
    with pytest.raises(DeployError, match=r"Undeliverable.*is the instance running, and its SSM agent online"):
        deployer(account).deploy("v1.2.0")


def test_the_wait_for_a_host_that_does_not_answer_ends(account: DeployAccount) -> None:
    account.agent(program="exec sleep 5 #", environment={"PATH": "/usr/bin:/bin"})
    with pytest.raises(DeployError, match=r"No answer to command .* The host goes on by itself"):
        deployer(account, wait_seconds=0.3).deploy("v1.2.0")


def test_a_host_that_ends_without_an_outcome_is_a_failure(account: DeployAccount) -> None:
    account.agent(program="true", environment={"PATH": "/usr/bin:/bin"})
    with pytest.raises(DeployError, match="gave no outcome: Success"):
        deployer(account).deploy("v1.2.0")


def test_the_document_takes_nothing_but_a_release(online: DeployAccount) -> None:
    with pytest.raises(ClientError, match="InvalidParameters"):
        deployer(online).deploy("v1.2.0'; reboot '")


def test_an_argument_that_is_no_release_is_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["v1.2"]) == 1
    assert "A release is a tag such as v1.2.0" in capsys.readouterr().err


def test_a_variable_that_is_missing_is_named(account: DeployAccount, capsys: pytest.CaptureFixture[str]) -> None:
    assert account
    assert deploy.main(["v1.2.0"]) == 1
    assert "RETRAIN_DEPLOY_DOCUMENT" in capsys.readouterr().err


@pytest.fixture
def github_tokens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """GitHub's token service; yields the requests that it got."""
    asked: list[str] = []

    class Tokens(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Authorization']}")
            content = b'{"value": "eyJ0.e30.sig"}' if "secret-of-the-job" in asked[-1] else b"{}"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Tokens)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"http://127.0.0.1:{server.server_address[1]}/token?v=2")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret-of-the-job")
    return asked


def test_the_job_proves_itself_to_aws_by_githubs_token_alone(
    account: DeployAccount, github_tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert account
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_DEPLOY_ROLE", "arn:aws:iam::123456789012:role/retrain-deploy")
    monkeypatch.setenv("GITHUB_RUN_ID", "77")
    who = session().client("sts").get_caller_identity()["Arn"]
    assert who == "arn:aws:sts::123456789012:assumed-role/retrain-deploy/release-77"
    assert github_tokens == ["/token?v=2&audience=sts.amazonaws.com bearer secret-of-the-job"]


def test_a_job_without_the_permission_is_told_which_one_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEPLOY_ROLE", "arn:aws:iam::123456789012:role/retrain-deploy")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(WebIdentityError, match="id-token: write"):
        session().client("ssm").list_commands()
