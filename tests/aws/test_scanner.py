"""A policy scanner checks infra/aws: every finding is fixed, or skipped with a reason beside it."""

from __future__ import annotations

import json
import os
import re
import subprocess

from terraform_cli import MODULES, ROOT


def test_checkov_finds_nothing_that_is_not_answered():
    checkov = ROOT / ".local" / "envs" / "checkov" / "bin" / "checkov"
    done = subprocess.run(
        [checkov, "--directory", MODULES, "--framework", "terraform", "--output", "json", "--skip-download", "--quiet"],
        env=os.environ | {"LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
    )
    results = json.loads(done.stdout)
    failed = [
        f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in results["results"]["failed_checks"]
    ]
    assert failed == []
    assert results["summary"]["passed"] > 150, "the scanner has read less than there is"
    assert results["summary"]["parsing_errors"] == 0


def test_every_answer_to_the_scanner_is_a_sentence():
    skips = [line for file in MODULES.rglob("*.tf") for line in file.read_text().splitlines() if "checkov:skip" in line]
    assert skips
    assert [line for line in skips if not re.fullmatch(r" *#checkov:skip=CKV2?_AWS_\d+:[A-Z].{20,}\.", line)] == []
