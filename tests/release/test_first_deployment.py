"""The command blocks of the page "First deployment on AWS", typed in their order into one shell.

The account is moto's, asked by AWS's own command line; the host's program really runs. `docker`, `cosign` and `terraform` are stand-ins:
the last one answers with the outputs that infra/aws declares.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, DeployAccount
from host_standin import HostStandin

sys.path.insert(0, str(ROOT / "plugins"))
from retrain.doctor.secret_shapes import NO_CREDENTIALS, problem

PAGE = (ROOT / "infra" / "docs" / "first-deployment.md").read_text()
VARIABLES = (ROOT / "infra" / "aws" / "example" / "variables.tf").read_text()
TAG = "v1.2.0"
REGION = "export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1"
TYPED = {
    "slack_token": "xoxb-1-2-abcdef",
    "slack_webhook": "https://hooks.slack.com/services/T0/B0/abc",
    "git_credentials": NO_CREDENTIALS,
}
BUCKET = "retrain-123456789012-raw"
DOCKER = """\
import os, sys
folder, *words = sys.argv[1:]
if words[0] in ("build", "login"):
    sys.stdin.buffer.read()
with open(f"{folder}/docker-calls", "a") as calls:
    calls.write(f"{os.environ.get('DOCKER_DEFAULT_PLATFORM', '-')} {' '.join(words)}\\n")
answers = {"version": "28.0.0", "buildx": "v0.20", "image": "1000"}
# An engine with containerd's store knows an image under every name that it has.
named = words[-1].rpartition(":")[0]
answers["inspect"] = "\\n".join(f"{name}@sha256:abc" for name in (named.partition("/")[2], named))
print(answers.get(words[0], ""))
"""
TERRAFORM = """\
import json, sys
folder, *words = sys.argv[1:]
outputs = json.load(open(f"{folder}/outputs.json"))
form, name = (words[1], words[2]) if words[1].startswith("-") else ("", words[1])
assert words[0] == "output", words
print(outputs[name] if form == "-raw" else json.dumps(outputs[name], separators=(",", ":")))
"""


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no section {title}"
    return found.group(1)


def commands(title: str) -> list[str]:
    """The command blocks of a section."""
    return re.findall(r"^```bash\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)


@dataclass
class Newcomer:
    """A person with a checkout, the account's owner's keys and one shell, in infra/aws/production."""

    folder: Path
    account: DeployAccount
    environment: dict[str, str]

    def types(self, *blocks: str, answers: str = "") -> str:
        """Run blocks in one shell that ends at the first error; returns its output."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
            cwd=self.folder / "checkout" / "infra" / "aws" / "production",
            env=self.environment,
            input=answers,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def secrets(self) -> dict[str, str]:
        """The secrets that have a value, by the end of their names."""
        client, found = self.account.client("secretsmanager"), {}
        for each in client.list_secrets(MaxResults=100)["SecretList"]:
            value = client.get_secret_value(SecretId=each["Name"])["SecretString"]
            found[each["Name"].rpartition("/")[2]] = value
        return found

    def docker(self) -> list[str]:
        return (self.folder / "docker-calls").read_text().splitlines()


def program(folder: Path, name: str, script: str) -> None:
    (folder / f"{name}.py").write_text(script)
    path = folder / "bin" / name
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {folder / name}.py {folder} "$@"\n')
    path.chmod(0o755)


def checkout(folder: Path) -> None:
    """A checkout with a release: the programs that the page starts."""
    root = folder / "checkout"
    (root / "infra" / "aws" / "production").mkdir(parents=True)
    for name in ("docker", "release"):
        shutil.copytree(ROOT / "infra" / name, root / "infra" / name, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "infra" / "local").symlink_to(ROOT / "infra" / "local")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(root)]
    for words in (["init", "--quiet"], ["add", "infra/docker"], ["commit", "--quiet", "-m", "a"], ["tag", TAG]):
        subprocess.run([*git, *words], check=True)


@pytest.fixture
def newcomer(tmp_path: Path, account: DeployAccount) -> Newcomer:
    if shutil.which("aws") is None:
        pytest.skip("NOT TESTED: the commands of the page. There is no aws on the PATH; install the AWS CLI.")
    checkout(tmp_path)
    (tmp_path / "bin").mkdir()
    program(tmp_path, "docker", DOCKER)
    program(tmp_path, "terraform", TERRAFORM)
    program(tmp_path, "cosign", DOCKER.replace("docker-calls", "cosign-calls"))
    of_the_host = VARIABLES.partition('variable "host_secrets" {')[2].partition("\n}\n")[0]
    names = re.findall(r'^    (\w+) += "', of_the_host.partition("default = {")[2], re.MULTILINE)
    secrets = [*(f"retrain/host/{name}" for name in names), "airflow/connections/mlflow_default"]
    outputs: dict[str, Any] = {
        "secrets": secrets,
        "instance_id": account.instance,
        "deploy_document": account.document,
        "buckets": {"ledger": "l", "mlflow": "m", "raw": BUCKET, "store": "s"},
    }
    (tmp_path / "outputs.json").write_text(json.dumps(outputs))
    for name in secrets:
        account.client("secretsmanager").create_secret(Name=name)
    account.client("s3").create_bucket(Bucket=BUCKET)
    kept = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    environment = kept | {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
    }
    return Newcomer(tmp_path, account, environment)


def test_after_the_section_of_secrets_each_has_a_value_of_its_shape_and_no_two_are_the_same(newcomer: Newcomer) -> None:
    said = newcomer.types(*commands("3. Secrets"), answers="".join(f"{value}\n" for value in TYPED.values()))
    found = newcomer.secrets()
    assert {name: problem(name, value) for name, value in found.items() if problem(name, value)} == {}
    assert json.loads(found.pop("mlflow_default"))["host"] == "mlflow"
    assert {name: found[name] for name in TYPED} == TYPED
    assert len(set(found.values())) == len(found)
    assert not [value for value in found.values() if value in said]


def test_the_last_block_of_the_secrets_fails_if_one_has_no_value(newcomer: Newcomer) -> None:
    *_, last = commands("3. Secrets")
    with pytest.raises(AssertionError, match="ResourceNotFoundException"):
        newcomer.types(REGION, last)


def test_the_images_are_built_for_the_host_s_platform_and_each_is_pushed_under_its_tag(newcomer: Newcomer) -> None:
    images, signing = commands("4. Images")
    newcomer.types(REGION, images, signing)
    calls = newcomer.docker()
    built = [each for each in calls if each.split()[1] == "build"]
    assert len(built) == 3
    assert all(each.startswith("linux/amd64 ") for each in built)
    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    pushed = [each.split()[-1] for each in calls if each.split()[1] == "push"]
    assert pushed == [f"{registry}/retrain/{image}:{TAG}" for image in ("airflow", "worker", "mlflow")]
    signed = (newcomer.folder / "cosign-calls").read_text().splitlines()
    images = ("airflow", "worker", "mlflow")
    assert [each.split()[-1] for each in signed] == [f"{registry}/retrain/{image}@sha256:abc" for image in images]


def test_the_outcome_of_the_start_can_be_read_until_it_is_released(newcomer: Newcomer, host: HostStandin) -> None:
    program = f"{sys.executable} {ROOT / 'infra' / 'release' / 'retrain_release.py'}"
    newcomer.account.agent(program=program, environment=host.environment())
    start, outcome = commands("5. Start it")
    again = f'answer() {{ {outcome.strip()}; }}\nuntil said="$(answer)" && [[ $said != InProgress* ]]; do :; done'
    said = newcomer.types(REGION, f"tag={TAG}", start, again, 'echo "$said"')
    assert said.startswith("Success")
    assert '"outcome": "released"' in said
    assert host.live == TAG


def test_the_sample_data_is_landed_with_the_marker_of_each_day(newcomer: Newcomer) -> None:
    (block, _, _) = commands("8. The first day")
    python = ROOT / ".local" / "envs" / "servers" / "bin" / "python"
    if not (python.exists() and (ROOT / ".local" / "raw" / "yellow").exists()):
        pytest.skip("NOT TESTED: landing the sample data. make raw-days has not cut it.")
    # `make raw-days` has been run, and three days stand for the year.
    block = block.replace("make -C ../../.. raw-days", ":").replace(
        "../../../.local/envs/servers/bin/python", str(python)
    )
    newcomer.environment["RETRAIN_STATE"] = str(ROOT / ".local")
    newcomer.types(block.replace("--from 2019-03-10", "--from 2020-03-08"))
    listed = newcomer.account.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    days = [f"raw/yellow/dt=2020-03-{day:02}" for day in (8, 9, 10)]
    assert sorted(each["Key"] for each in listed) == [
        f"{day}/{name}" for day in days for name in ("_SUCCESS", "part-0.parquet")
    ]


def test_an_alarm_can_be_rung_without_breaking_anything(newcomer: Newcomer) -> None:
    alarms = newcomer.account.client("cloudwatch")
    alarms.put_metric_alarm(
        AlarmName="retrain-watch-silent",
        ComparisonOperator="LessThanThreshold",
        EvaluationPeriods=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Minimum",
        Threshold=1,
    )
    (_, _, block) = commands("8. The first day")
    newcomer.types(REGION, block)
    (alarm,) = alarms.describe_alarms(AlarmNames=["retrain-watch-silent"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
    assert (
        'alarm_name          = "${var.name}-${each.key}"'
        in (ROOT / "infra" / "aws" / "modules" / "alarms" / "main.tf").read_text()
    )


def test_slack_comes_before_the_start_and_its_scopes_are_those_that_the_watch_uses() -> None:
    sys.path.insert(0, str(ROOT / "plugins"))
    from retrain.alerts.watch.slack.scopes import needed

    assert PAGE.index("## 1. Slack") < PAGE.index("## 5. Start it")
    named = set(re.findall(r"`([a-z]+:[a-z]+)`", section("1. Slack")))
    assert named == needed([True, False])


def test_every_variable_of_the_page_s_tfvars_is_declared_and_every_one_without_a_default_is_set() -> None:
    (block,) = re.findall(r"^```hcl\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"^(?:# )?([a-z_]+) += ", block, re.MULTILINE))
    declared = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', VARIABLES, re.MULTILINE | re.DOTALL))
    assert named <= set(declared)
    needed = {name for name, body in declared.items() if "default" not in body}
    assert needed <= set(re.findall(r"^([a-z_]+) += ", block, re.MULTILINE))
