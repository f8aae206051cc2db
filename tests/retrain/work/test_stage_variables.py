"""The variables that only stages get."""

from __future__ import annotations

import pytest

from retrain.work.run_environment import run_cache_identity
from retrain.work.stage_variables import StageVariables

OURS = {
    "PATH": "/bin",
    "AWS_ACCESS_KEY_ID": "ours",
    "AWS_SECRET_ACCESS_KEY": "ours",
    "AWS_SESSION_TOKEN": "ours",
    "AWS_ENDPOINT_URL": "http://ours",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def test_variables_and_secrets_are_added_to_the_deployment_s() -> None:
    variables = StageVariables({"MODE": "daily", "EMPTY": ""}, {"TOKEN": "secret"})
    assert variables.over(OURS) == {**OURS, "MODE": "daily", "EMPTY": "", "TOKEN": "secret"}


@pytest.mark.parametrize("login", [{"AWS_PROFILE": "theirs"}, {"AWS_ACCESS_KEY_ID": "theirs"}])
def test_an_aws_login_of_the_stages_own_leaves_nothing_of_the_deployment_s(login: dict[str, str]) -> None:
    expected = {"PATH": "/bin", "AWS_DEFAULT_REGION": "eu-central-1", **login}
    assert StageVariables(secrets=login).over(OURS) == expected


def test_secrets_are_not_shown_by_an_error_that_prints_the_variables() -> None:
    assert "secret" not in repr(StageVariables({}, {"TOKEN": "secret"}))


def test_the_run_cache_is_the_environment_s_unless_there_is_more_that_dvc_does_not_see() -> None:
    plain = "a" * 64
    assert run_cache_identity(plain, {}, {}) == plain
    kinds = [({".": "tree 1"}, {}), ({".": "tree 2"}, {}), ({}, {"MODE": "daily"}), ({}, {"MODE": "weekly"})]
    identities = {run_cache_identity(plain, trees, variables) for trees, variables in kinds}
    assert len(identities) == len(kinds)
    assert all(each.startswith("a" * 32 + "-") for each in identities)
