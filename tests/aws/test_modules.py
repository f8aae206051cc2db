"""infra/aws without an account: formatted, valid, and every module passes its own tests."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml
from terraform_cli import MODULES, ROOT, Terraform, copied


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return copied(tmp_path_factory.mktemp("modules"))


def test_every_file_is_formatted(terraform):
    assert terraform.run("fmt", "-check", "-recursive", "-diff", "..") == ""


def test_the_example_is_valid_with_every_module(terraform):
    assert "The configuration is valid" in terraform.run("validate", "-no-color")
    used = set(re.findall(r'source += "../modules/(\w+)"', (MODULES / "example" / "main.tf").read_text()))
    assert used == {module.name for module in (MODULES / "modules").iterdir()}


def test_each_module_holds_what_its_own_tests_ask(terraform):
    said = terraform.run("test", "-no-color")
    assert re.search(r"Success! (\d+) passed, 0 failed\.", said)
    tried = set(re.findall(r"modules/(\w+)", "".join(file.read_text() for file in MODULES.glob("example/tests/*"))))
    assert tried == {module.name for module in (MODULES / "modules").iterdir()}


def test_every_module_pins_the_same_terraform_and_provider():
    pins = {file.read_text() for file in MODULES.glob("*/**/versions.tf") if ".terraform" not in file.parts}
    assert len(pins) == 1
    assert re.search(r'version = "\d+\.\d+\.\d+"', pins.pop())


@pytest.mark.parametrize(
    "script", sorted((MODULES / "modules/host/files").glob("retrain-*")), ids=lambda script: script.name
)
def test_the_hosts_scripts_are_read_by_bash(script):
    assert shutil.which("bash")
    subprocess.run(["bash", "-n", script], check=True)
    assert script.stat().st_mode & 0o111


def test_what_the_host_hands_over_is_what_the_containers_ask_for():
    compose = (ROOT / "docker-compose.airflow.yml").read_text()
    asked = set(re.findall(r"\$\{(\w+):-", compose))
    script = (MODULES / "modules/host/files/retrain_deploy.py").read_text()
    example = (MODULES / "example" / "main.tf").read_text()
    handed = set(re.findall(r"^    ([A-Z_]+) +=", example, re.MULTILINE))
    # The number of workers is also an argument of compose, which the host passes.
    assert {"RETRAIN_AIRFLOW_URL", "RETRAIN_WORKERS", "AIRFLOW_WORKER_CONCURRENCY"} <= handed
    assert handed - {"RETRAIN_WORKERS"} <= asked
    assert (
        {"RETRAIN_SECRETS", "AWS_DEFAULT_REGION"} <= set(re.findall(r'^ +"([A-Z_]+)":', script, re.MULTILINE)) <= asked
    )
    assert {f"RETRAIN_{name.upper()}_IMAGE" for name in ("airflow", "worker", "mlflow")} <= asked

    secrets = set(yaml.safe_load(compose)["secrets"])
    variables = (MODULES / "example" / "variables.tf").read_text()
    block = variables.split('variable "host_secrets"')[1].split("\n}\n")[0]
    kept = set(re.findall(r"^    (\w+) +=", block, re.MULTILINE))
    assert kept <= secrets | {"admin_password"}
    assert {"slack_token", "slack_webhook", "git_credentials", "fernet_key", "postgres_password"} <= kept

    images = re.search(
        r'variable "repositories".*?default += \[(.*?)\]',
        (MODULES / "modules/registry/variables.tf").read_text(),
        re.DOTALL,
    )
    (known,) = re.findall(
        r"^IMAGES = \((.*)\)", (MODULES / "modules/host/files/host_settings.py").read_text(), re.MULTILINE
    )
    assert images
    assert re.findall(r'"(\w+)"', images[1]) == re.findall(r'"(\w+)"', known)


def test_the_host_allows_every_image_of_others_that_the_compose_file_names():
    services = yaml.safe_load((ROOT / "docker-compose.airflow.yml").read_text())["services"].values()
    named = {re.sub(r"\$\{\w+:-(.+)\}", r"\1", service["image"]) for service in services}
    others = {image for image in named if not image.startswith("retrain/")}
    assert others
    for file in ("example/variables.tf", "modules/host/variables.tf"):
        block = (MODULES / file).read_text().split('variable "third_party_images"')[1].split("\n}\n")[0]
        default = block.split("default = [")[1]
        assert {image.partition(":")[0] for image in others} == set(re.findall(r'"([^"\s]+)"', default))
        assert all(re.search("@sha256:[0-9a-f]{64}$", image) for image in others)
