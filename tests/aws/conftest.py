"""The example root, applied to a stand-in for an AWS account and destroyed at the end. Minutes, not seconds: `make test-aws`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from accounts import REGION, Account, describing, enforcing
from terraform_cli import Terraform, copied

_SETTINGS = {
    "region": REGION,
    "trial": True,
    "pipeline_repository": "https://github.com/example/trip-duration.git",
    "alarm_emails": ["ml-platform@example.com"],
    "ami_id": "ami-0123456789abcdef0",
    "release_signer": "none",
    "compose": {"version": "2.40.3", "sha256": "0" * 64},
}

GITHUB = {
    "github_repository": "example/trip-duration",
    "github_owner_id": "583231",
    "github_repository_id": "1296269",
}


def _trust(account: str) -> dict[str, Any]:
    """Whose credentials may take a role: the account's."""
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass(frozen=True)
class AppliedExample:
    """The applied example: its account, its Terraform, its outputs."""

    account: Account
    terraform: Terraform
    targets: Sequence[str]
    outputs: dict[str, Any]

    def state(self) -> list[dict[str, Any]]:
        """The resources in Terraform's own state."""
        document = json.loads((self.terraform.folder / "terraform.tfstate").read_text())
        resources: list[dict[str, Any]] = document["resources"]
        return resources

    def changes(self) -> dict[str, set[str]]:
        """The changes of a second plan: address -> attributes, `*` for a resource that is created or removed."""
        found = {}
        for each in self.terraform.plan(*self.targets)["resource_changes"]:
            change = each["change"]
            if change["actions"] == ["update"]:
                before, after = change["before"], change["after"]
                unknown = {name for name, is_unknown in change["after_unknown"].items() if is_unknown}
                found[each["address"]] = {name for name in before if before[name] != after.get(name)} - unknown
            elif change["actions"] not in (["no-op"], ["read"]):
                found[each["address"]] = {"*"}
        return found


@contextmanager
def applied(
    account: Account, folder: Path, settings: Mapping[str, Any], targets: Sequence[str] = ()
) -> Iterator[AppliedExample]:
    """Apply the example with its own settings, completely or only these targets; destroy everything at the end."""
    terraform = copied(folder, account.environment())
    (terraform.folder / "stand_in_override.tf").write_text('provider "aws" {\n  s3_use_path_style = true\n}\n')
    (terraform.folder / "terraform.tfvars.json").write_text(json.dumps({**_SETTINGS, **settings}))
    try:
        terraform.run("apply", "-input=false", "-no-color", "-auto-approve", *targets)
        outputs = json.loads(terraform.run("output", "-json"))
        yield AppliedExample(account, terraform, targets, {name: each["value"] for name, each in outputs.items()})
    finally:
        terraform.run("destroy", "-input=false", "-no-color", "-auto-approve")
    assert terraform.run("state", "list") == ""


@pytest.fixture(scope="session")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppliedExample]:
    """Data, messages, images, secrets, roles, budget. The machine is not here: this stand-in, which enforces IAM, forgets half of its attributes."""
    folder = tmp_path_factory.mktemp("enforced")
    with enforcing(folder / "server") as account:
        iam = account.client("iam")
        iam.create_role(RoleName="producer", AssumeRolePolicyDocument=json.dumps(_trust(account.number)))
        settings = {
            "enable_host": False,
            "operator_arns": [f"arn:aws:iam::{account.number}:user/operator"],
            "producers": {f"arn:aws:iam::{account.number}:role/producer": ["raw/yellow/"]},
            "raw_prefixes": ["raw/yellow/", "raw/green/"],
            "event_pipelines": {"trip_duration": "raw/yellow/", "green_tips": "raw/green/"},
        }
        with applied(account, folder, settings) as deployment:
            yield deployment


@pytest.fixture(scope="session")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppliedExample]:
    """The deploy role and GitHub's identity provider alone: the stand-in that enforces IAM has no documents of Systems Manager."""
    folder = tmp_path_factory.mktemp("trusting")
    targets = ["-target=module.deployer[0].aws_iam_role.this"]
    with enforcing(folder / "server") as account, applied(account, folder, GITHUB, targets) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppliedExample]:
    """The machine with its network, volume and database, the deployer, the alarms. Neither stand-in has all of backups and Redis."""
    folder = tmp_path_factory.mktemp("described")
    targets = [f"-target=module.{name}" for name in ("deployer", "alarms", "database")]
    settings = {
        "release": "v1.0.0",
        "live": True,
        "enable_database": True,
        "event_pipelines": {"trip_duration": "raw/yellow/"},
        **GITHUB,
    }
    with describing(folder / "server") as account:
        # A machine can only be made from an image that the account knows.
        settings["ami_id"] = account.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        with applied(account, folder, settings, targets) as deployment:
            yield deployment
            # The stand-in accepts the volume's policy but cannot remove it.
            deployment.terraform.run("state", "rm", "module.shared_volume[0].aws_efs_file_system_policy.this")
