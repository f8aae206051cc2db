"""The terraform.tfvars of the page "First deployment on AWS": Terraform accepts it and plans a whole deployment."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from conftest import AppliedExample
from terraform_cli import ROOT, copied

# Applying and destroying belong to the first and the last test of the session.
pytestmark = pytest.mark.timeout(1200)
PAGE = (ROOT / "infra" / "docs" / "first-deployment.md").read_text()


def test_the_page_s_settings_plan_a_host_with_its_secrets_buckets_and_images(
    enforced: AppliedExample, tmp_path: Path
) -> None:
    (block,) = re.findall(r"^```hcl\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    filled_in = block.replace("OWNER/NAME", "example/trips").replace("YOUR-TEAM@YOUR-DOMAIN", "team@example.com")
    terraform = copied(tmp_path, enforced.account.environment())
    (terraform.folder / "stand_in_override.tf").write_text('provider "aws" {\n  s3_use_path_style = true\n}\n')
    (terraform.folder / "terraform.tfvars").write_text(filled_in)
    planned = [each for each in terraform.plan()["resource_changes"] if each["change"]["actions"] == ["create"]]
    kinds = Counter(each["type"] for each in planned)
    assert (kinds["aws_secretsmanager_secret"], kinds["aws_s3_bucket"], kinds["aws_ecr_repository"]) == (13, 4, 3)
    (host,) = (each["change"]["after"] for each in planned if each["type"] == "aws_instance")
    assert f'ami_id = "{host["ami"]}"' in block
    assert len(planned) > 100
