"""The description of a stack: its ports and secrets, the variables of its programs, its private files."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest
from airflow_configuration import airflow_variables
from loopback import ROOT
from program_variables import STACK_MARK, inherited_environment
from programs import plan_programs
from stack_loading import AirflowPathError, PortError, load_stack
from stack_model import Ports, Secrets, Stack
from state_files import (
    NoStackError,
    StoredSecretsError,
    read_stack_file,
    stack_file_variables,
    write_private,
    write_stack_file,
)
from supervision import configuration, socket_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_two_stacks_share_no_secret_and_no_address(tmp_path):
    first = load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path / "a")})
    names = ("AIRFLOW", "MLFLOW", "S3", "SLACK", "EXECUTION", "ALERTS")
    ports = {f"RETRAIN_{name}_PORT": str(21000 + i) for i, name in enumerate(names)}
    second = load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path / "b"), **ports})
    one, two = stack_file_variables(first), stack_file_variables(second)
    shared = {name for name in one if one[name] == two[name]}
    telling = ("SECRET", "_KEY", "_PORT", "_URL", "AIRFLOW_CONN_", "HOME", "RETRAIN_STATE", "REPOSITORY", "SQL", "BASE")
    assert not [name for name in shared if any(word in name for word in telling)]
    for field in dataclasses.fields(Secrets):
        assert getattr(first.secrets, field.name) != getattr(second.secrets, field.name)


def test_airflow_below_a_path_is_found_there_by_its_users_its_tasks_and_the_next_command(tmp_path):
    stack = load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path), "RETRAIN_AIRFLOW_PATH": "/tools/airflow"})
    variables = stack_file_variables(stack)
    for name in ("AIRFLOW__API__BASE_URL", "RETRAIN_AIRFLOW_URL"):
        assert variables[name] == f"http://127.0.0.1:{stack.ports.airflow}/tools/airflow"
    tasks = f"http://127.0.0.1:{stack.ports.execution}/tools/airflow/execution/"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == tasks
    write_stack_file(stack)
    assert load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path)}) == stack


@pytest.mark.parametrize("path", ["airflow", "/", "/airflow/", "/a b", "http://x"])
def test_a_path_that_airflow_cannot_be_served_below_is_refused(tmp_path, path):
    with pytest.raises(AirflowPathError, match=r"is not a path\. Set it to one such as /airflow"):
        load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path), "RETRAIN_AIRFLOW_PATH": path})


def test_the_same_stack_gives_the_same_programs(stack):
    assert plan_programs(stack, os.environ) == plan_programs(stack, os.environ)


def test_secrets_are_generated_once_and_kept_from_others(tmp_path):
    environ = {"RETRAIN_STATE": str(tmp_path)}
    assert load_stack(ROOT, environ) == load_stack(ROOT, environ)
    assert mode(tmp_path / "secrets.json") == 0o600


def test_the_stack_file_is_private_and_reads_back_as_it_was_written(stack):
    write_stack_file(stack)
    assert mode(stack.env_file) == 0o600
    assert read_stack_file(stack.env_file) == stack_file_variables(stack)


def test_a_private_file_is_private_even_where_a_public_one_lay(tmp_path):
    path = tmp_path / "secrets.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_clients_of_the_stack_do_not_carry_its_mark(stack):
    assert STACK_MARK not in stack_file_variables(stack)
    assert all(program.env[STACK_MARK] == str(stack.state) for program in plan_programs(stack, os.environ))


def test_the_connections_name_the_servers_of_this_stack(stack):
    variables = airflow_variables(stack)
    aws = json.loads(variables["AIRFLOW_CONN_AWS_DEFAULT"])
    assert (aws["conn_type"], aws["extra"]["endpoint_url"]) == ("aws", stack.s3_url)
    assert (aws["login"], aws["password"]) == (stack.secrets.s3_access_key, stack.secrets.s3_secret_key)
    assert json.loads(variables["AIRFLOW_CONN_MLFLOW_DEFAULT"])["port"] == stack.ports.mlflow


def test_only_the_watch_and_slack_itself_have_slack_s_token(stack):
    holders = {p.name for p in plan_programs(stack, os.environ) if stack.secrets.slack_token in p.env.values()}
    assert holders == {"alerts", "slack"}
    watch = next(p for p in plan_programs(stack, os.environ) if p.name == "alerts")
    assert not [name for name in watch.env if name.startswith("AIRFLOW")]


def test_variables_that_configure_other_servers_are_not_inherited():
    foreign = {
        "AIRFLOW_HOME": "/elsewhere",
        "AWS_PROFILE": "production",
        "GIT_DIR": "/elsewhere",
        "MLFLOW_TRACKING_URI": "http://production",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/elsewhere",
        "RETRAIN_REPOSITORY": "elsewhere",
        "VIRTUAL_ENV": "/elsewhere",
    }
    needed = {"PATH": "/bin", "HOME": "/nowhere", "UV_INDEX_URL": "https://index", "NO_PROXY": "corp"}
    kept = inherited_environment(foreign | needed)
    assert not foreign.keys() & kept.keys()
    assert kept["UV_INDEX_URL"] == "https://index"
    assert kept["NO_PROXY"] == kept["no_proxy"] == "corp,127.0.0.1,localhost"


def test_the_supervisor_configuration_holds_no_secret_and_escapes_folder_names(tmp_path):
    stack = Stack(ROOT, tmp_path / "50% of 'it'", Ports(), Secrets.generate())
    text = configuration(stack, plan_programs(stack, os.environ))
    assert not [value for value in vars(stack.secrets).values() if value in text]
    assert "50%% of" in text


def test_a_deep_state_folder_gets_a_socket_path_that_is_short_enough(tmp_path):
    stack = Stack(ROOT, tmp_path / ("deep" * 30), Ports(), Secrets.generate())
    assert len(str(socket_file(stack))) < 104


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1"])
def test_a_variable_that_is_not_a_port_number_is_refused_by_name(tmp_path, value):
    with pytest.raises(PortError, match=r"RETRAIN_S3_PORT='.*' is not a port"):
        load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path), "RETRAIN_S3_PORT": value})


def test_two_servers_on_one_port_are_refused(tmp_path):
    with pytest.raises(PortError, match="cannot share a port"):
        load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path), "RETRAIN_S3_PORT": "8080"})


def test_a_damaged_secrets_file_is_named_with_the_next_step(tmp_path):
    (tmp_path / "secrets.json").write_text('{"s3_access_key": "x"}')
    with pytest.raises(StoredSecretsError, match=r"secrets\.json should be .* delete the file"):
        load_stack(ROOT, {"RETRAIN_STATE": str(tmp_path)})


def test_reading_the_stack_file_without_a_stack_says_what_to_run(tmp_path):
    with pytest.raises(NoStackError, match="make up"):
        read_stack_file(tmp_path / "stack.env")
