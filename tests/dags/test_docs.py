"""Names in infra/docs exist in the code: targets, commands, paths, variables, services, secrets, Terraform's names, Helm's values."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from retrain.deployment import cron
from retrain.deployment.housekeeping_file import FILE, load_housekeeping

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra" / "docs"
VALUES = FOLDER / "kubernetes" / "values.yaml"
PAGES = sorted(FOLDER.glob("*.md"))
COMPOSE = ROOT / "docker-compose.airflow.yml"
AWS = ROOT / "infra" / "aws"
CONTAINERS = ("docker-compose.airflow.yml", "infra/docker", "infra/monitoring")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
with_compose = pytest.mark.skipif(not COMPOSE.exists(), reason="NOT CHECKED: docker-compose.airflow.yml is not here")
with_aws = pytest.mark.skipif(not AWS.exists(), reason="NOT CHECKED: infra/aws is not here")


def require(missing: set[str], what: str) -> None:
    """Assert that nothing is missing. If a part of the deployment is not in this checkout, skip and name what was not checked."""
    absent = [str(path.relative_to(ROOT)) for path in (COMPOSE, AWS) if not path.exists()]
    if missing and absent:
        pytest.skip(f"NOT CHECKED, for {' and '.join(absent)} is not here: {what} {', '.join(sorted(missing))}")
    assert not missing, f"{what} that nothing here knows"


def blocks(text: str) -> list[str]:
    """The lines of all command blocks."""
    return [
        line
        for block in re.findall(r"^ *```bash\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]


def snippets(text: str) -> list[str]:
    """The texts between backticks, without command blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


@cache
def sources() -> str:
    """The text of all deployed files, without the documentation."""
    kinds = {".py", ".yml", ".yaml", ".tf", ".tftpl", ".sh", ".toml", ".example", ""}
    files = [ROOT / "Makefile", *ROOT.glob("*.y*ml"), ROOT / "pyproject.toml"]
    for top in ("dags", "plugins", "pipeline", "infra"):
        files += [path for path in (ROOT / top).rglob("*") if path.suffix in kinds and path.is_file()]
    skipped = (FOLDER, ROOT / "pipeline" / ".venv")
    return "\n".join(p.read_text(errors="ignore") for p in files if not any(p.is_relative_to(s) for s in skipped))


def known(name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", sources()) is not None


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert PAGES
    assert {f"infra/docs/{page.name}" for page in PAGES} <= set(re.findall(r"\]\(([^)#]+)\)", readme))


def test_the_page_of_tests_names_every_folder_of_tests_and_no_other() -> None:
    section = (FOLDER / "tests.md").read_text().partition("## What `make test` runs")[2]
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))}
    assert set(re.findall(r"`([a-z0-9]+)`", section)) == folders | {"bench"}


@each_page
def test_every_make_target_that_it_names_exists(page: Path) -> None:
    named = set(
        re.findall(
            r"(?:^|[`\s])make ([a-z][a-z0-9-]*)`?(?=[\s`.,:;)]|$)",
            "\n".join([*(f"`{s}`" for s in snippets(page.read_text())), *blocks(page.read_text())]),
            re.MULTILINE,
        )
    )
    require(named - set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)), "targets")


@each_page
def test_every_link_and_every_path_that_it_names_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    linked = {(FOLDER / target).resolve() for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", text)}
    named = set(re.findall(r"(?<![\w./-])((?:dags|plugins|pipeline|infra|tests)/[\w./-]*\w/?)", text))
    paths = {str(path.relative_to(ROOT)) for path in linked} | named
    made_by_its_reader = {"infra/aws/production"}
    missing = {path for path in paths - made_by_its_reader if not (ROOT / path).exists()}
    waiting = {path for path in missing if path.startswith("infra/aws" if not AWS.exists() else CONTAINERS)}
    assert not missing - waiting - {path for path in missing if path.startswith(CONTAINERS) and not COMPOSE.exists()}
    require(missing, "paths")


@each_page
def test_every_command_of_ours_and_of_airflow_s_parses(page: Path) -> None:
    from airflow.cli.cli_parser import get_parser

    from retrain.commands.command_line import parser

    text = page.read_text()
    for line in [*blocks(text), *snippets(text)]:
        _, ours, arguments = line.partition("python -m retrain ")
        if ours:
            assert parser().parse_args(shlex.split(arguments)).command, line
        if line.startswith("airflow ") and not line.startswith("airflow-"):
            assert get_parser().parse_args(shlex.split(line)[1:]).func, line


def names(text: str) -> set[str]:
    """Environment variables, and names written like_this: settings, secrets, Terraform's variables, tasks, alerts, tags."""
    typed = "\n".join([*snippets(text), *blocks(text)])
    variables = set(re.findall(r"\b((?:RETRAIN|AIRFLOW|MLFLOW)_[A-Z0-9_]+)\b", typed))
    return variables | {each for each in snippets(text) if re.fullmatch(r"[a-z]+(?:_[a-z]+)+", each)}


def test_names_are_found_in_type_and_in_commands() -> None:
    assert {"RETRAIN_SECRETS", "slack_token"} <= names((FOLDER / "secrets.md").read_text())
    assert "RETRAIN_WORKERS" in names("```bash\nRETRAIN_WORKERS=3 make compose-up\n```\n")


@each_page
def test_every_name_that_it_sets_in_type_is_one_of_the_deployment_s(page: Path) -> None:
    require({name for name in names(page.read_text()) if not known(name)}, "names")


@with_compose
@each_page
def test_every_container_that_it_names_is_one_of_compose_s(page: Path) -> None:
    services = set(yaml.safe_load(COMPOSE.read_text())["services"])
    assert set(re.findall(r"\bretrain-([a-z-]+)-1\b", page.read_text())) <= services
    if page.stem == "secrets":
        cells = [row.split("|")[4] for row in page.read_text().splitlines() if row.startswith("| `")]
        assert {
            name for cell in cells for names in re.findall(r"`([a-z0-9 -]+)`", cell) for name in names.split()
        } <= services


@with_compose
def test_every_secret_of_the_containers_has_a_row_and_no_row_is_orphaned() -> None:
    rows = [row.split("|")[1] for row in (FOLDER / "secrets.md").read_text().splitlines() if row.startswith("| `")]
    documented = {name for cell in rows for name in re.findall(r"`([\w.]+)`", cell)}
    mounted = set(yaml.safe_load(COMPOSE.read_text())["secrets"])
    assert mounted <= documented
    assert documented - mounted == {"admin_password"}, "for people, mounted nowhere"


@with_aws
@each_page
def test_every_output_of_terraform_s_that_it_reads_exists(page: Path) -> None:
    outputs = set(re.findall(r'^output "(\w+)"', (AWS / "example" / "outputs.tf").read_text(), re.MULTILINE))
    assert set(re.findall(r"terraform output (?:-raw )?([a-z_]+)", page.read_text())) <= outputs


def test_helm_s_values_are_yaml_for_the_locked_airflow_and_its_variables_are_ours() -> None:
    values = yaml.safe_load(VALUES.read_text())
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert values["airflowVersion"] == next(p["version"] for p in packages if p["name"] == "apache-airflow")
    names = [each["name"] for each in values["env"]]
    assert len(names) == len(set(names))
    assert all(isinstance(each["value"], str) for each in values["env"]), "the chart takes strings only"
    from airflow.configuration import conf

    airflows = {name for name in names if name.count("__") > 1 and conf.has_option(*name.lower().split("__")[1:])}
    require({name for name in names if not known(name)} - airflows, "variables")
    manager = next(each["value"] for each in values["env"] if each["name"].endswith("AUTH_MANAGER"))
    module, _, name = manager.rpartition(".")
    found = find_spec(module)
    assert found is not None
    assert f"class {name}(" in Path(str(found.origin)).read_text()


def test_helm_s_values_hold_no_secret_and_hand_the_volume_to_every_container() -> None:
    values = yaml.safe_load(VALUES.read_text())
    assert not {
        key for key in ("fernetKey", "apiSecretKey", "jwtSecret", "webserverSecretKey", "extraSecrets") if key in values
    }
    assert set(values["data"]) == {"metadataSecretName", "brokerUrlSecretName", "resultBackendSecretName"}
    (mount,) = values["volumeMounts"]
    home = next(each["value"] for each in values["env"] if each["name"] == "RETRAIN_HOME")
    assert (mount["name"], mount["mountPath"]) == (values["volumes"][0]["name"], home)


@with_compose
def test_helm_s_values_say_what_the_compose_file_says() -> None:
    """The same settings of Airflow's, and the same memory."""
    compose, values = yaml.safe_load(COMPOSE.read_text()), yaml.safe_load(VALUES.read_text())
    ours = compose["x-airflow-variables"] | compose["x-celery-variables"] | compose["x-database-variables"]
    for each in values["env"]:
        said = re.sub(r"^\$\{[^:]+:-(.*)\}$", r"\1", str(ours.get(each["name"], each["value"])))
        own = ("AIRFLOW__SECRETS__", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
        assert each["value"] == said or each["name"].startswith(own), each["name"]
    limits = {"workers": "3Gi", "triggerer": "1Gi", "scheduler": "1Gi", "dagProcessor": "1Gi", "apiServer": "1536Mi"}
    for part, limit in limits.items():
        service = "airflow-" + re.sub("([A-Z])", r"-\1", part.removesuffix("s")).lower()
        memory = re.sub(r"^\$\{[^:]+:-(.*)\}$", r"\1", compose["services"][service]["mem_limit"])
        assert values[part]["resources"]["limits"]["memory"] == limit == f"{memory[:-1]}{memory[-1].upper()}i"


@with_compose
def test_helm_s_job_cleans_the_database_with_the_program_of_the_compose_file_an_hour_before_the_housekeeping() -> None:
    cleaner = yaml.safe_load(COMPOSE.read_text())["services"]["airflow-database-cleaner"]
    job = yaml.safe_load(VALUES.read_text())["databaseCleanup"]
    assert job["args"] == [*cleaner["command"], "--once"]
    assert job["resources"]["limits"]["memory"] == f"{cleaner['mem_limit'][:-1]}{cleaner['mem_limit'][-1].upper()}i"
    limits = load_housekeeping(FILE, {})
    starts = cron.time_of(limits.cron)
    assert limits.timezone == "UTC"  # a CronJob's
    assert job["schedule"] == f"{starts.minute} {starts.hour - 1} * * *"
