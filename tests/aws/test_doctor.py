"""The doctor in an account that decides by IAM: the roles as Terraform makes them, and one that was widened by hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import REGION, Account
from conftest import AppliedExample
from terraform_cli import ROOT

# Applying and destroying belong to the first and the last test of the session.
pytestmark = pytest.mark.timeout(1200)
PYTHON = ROOT / ".venv" / "bin" / "python"
PROFILES = {"default": "run", "control": "control", "watch": "watch", "mlflow": "mlflow"}


@pytest.fixture(scope="session")
def host(enforced: AppliedExample) -> Account:
    """The credentials of the machine, with which every other role is taken."""
    return enforced.account.role("retrain-host")


def doctor(enforced: AppliedExample, host: Account, folder: Path, *checks: str) -> dict[str, tuple[str, str]]:
    """Run the doctor as in the api-server's container; returns state and sight by thing."""
    file = folder / "aws_credentials"
    keys = "\n".join(f"{name} = {value}" for name, value in host.keys.items())
    profiles = [f"[host]\n{keys}"]
    for profile, role in PROFILES.items():
        profiles.append(f"[{profile}]\nrole_arn = {enforced.outputs['roles'][role]}\nsource_profile = host")
    file.write_text("\n\n".join(profiles) + "\n")
    buckets = enforced.outputs["buckets"]
    environment = {
        name: value for name, value in host.environment().items() if "ACCESS" not in name and "TOKEN" not in name
    }
    environment |= {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT / "plugins"),
        "AIRFLOW_HOME": str(folder),
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_PROFILE": "control",
        "RETRAIN_COMMANDS_PROFILE": "default",
        "AWS_DEFAULT_REGION": REGION,
        "RETRAIN_REPOSITORY": "unused",
        "RETRAIN_RAW_BUCKET": buckets["raw"],
        "RETRAIN_STORE_BUCKET": buckets["store"],
        "RETRAIN_LEDGER_BUCKET": buckets["ledger"],
        "RETRAIN_SLACK_CHANNEL": "#retrain-alerts",
    }
    only = [word for check in checks for word in ("--only", check)]
    command = [str(PYTHON), "-m", "retrain", "--json", "doctor", *only]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout, done.stderr
    for secret in host.keys.values():
        assert secret not in done.stdout
    return {each["thing"]: (each["found"], each["seen"]) for each in json.loads(done.stdout)["findings"]}


@pytest.fixture
def widened(enforced: AppliedExample) -> Iterator[None]:
    """Somebody has given the watch the right to write everywhere."""
    iam = enforced.account.client("iam")
    anything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anything]})
    iam.put_role_policy(RoleName="retrain-watch", PolicyName="by-hand", PolicyDocument=policy)
    yield
    iam.delete_role_policy(RoleName="retrain-watch", PolicyName="by-hand")


def test_the_roles_of_terraform_do_their_work_and_no_other_s(
    enforced: AppliedExample, host: Account, tmp_path: Path
) -> None:
    found = doctor(enforced, host, tmp_path, "aws", "buckets", "roles")
    assert {thing: seen for thing, seen in found.items() if seen[0] == "WRONG"} == {}
    assert {f"role of profile {profile}" for profile in PROFILES} <= {
        thing for thing, (state, _) in found.items() if state == "ok"
    }


def test_a_role_with_a_right_too_many_is_named_with_it(
    enforced: AppliedExample, host: Account, tmp_path: Path, widened: None
) -> None:
    assert widened is None
    found = doctor(enforced, host, tmp_path, "roles")
    state, seen = found["role of profile watch"]
    assert state == "WRONG"
    assert "it may write raw, and must not" in seen
    assert "it may list store, and must not" in seen
    assert [thing for thing, (state, _) in found.items() if state == "WRONG"] == ["role of profile watch"]


def test_a_role_that_cannot_be_taken_is_wrong_and_the_others_are_tried(
    enforced: AppliedExample, host: Account, tmp_path: Path
) -> None:
    watch = enforced.outputs["roles"]["watch"]
    roles = enforced.outputs["roles"] | {"watch": f"{watch}-of-nobody"}
    changed = AppliedExample(
        enforced.account, enforced.terraform, enforced.targets, enforced.outputs | {"roles": roles}
    )
    found = doctor(changed, host, tmp_path, "roles")
    wrong = {thing: seen for thing, (state, seen) in found.items() if state == "WRONG"}
    assert list(wrong) == ["role of profile watch"], wrong
    assert "AssumeRole" in wrong["role of profile watch"]
