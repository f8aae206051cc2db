"""Airflow's connections as options of DVC remotes. The connections come from environment variables, which Airflow asks first."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from retrain.airflow import remote_options
from retrain.airflow.connections import Aws
from retrain.deployment.sections import DvcRemote
from retrain.errors import RetrainError
from retrain.inputs.errors import RemoteConnectionError, RemoteOptionError
from retrain.work.remote_access import RemoteConnection

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"


@pytest.fixture
def masked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collects what is masked."""
    found: list[str] = []
    monkeypatch.setattr(remote_options, "mask_secret", lambda text, name=None: found.append(text))  # noqa: ARG005 - Airflow's own names
    return found


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RemoteConnection]:
    """The options that the remote `theirs` gets from a connection."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_OURS", json.dumps({"conn_type": "aws", "login": "AKIAOURS", "password": "our-secret"})
    )

    def of(**fields: Any) -> RemoteConnection:
        monkeypatch.setenv("AIRFLOW_CONN_THEIRS", json.dumps(fields))
        return remote_options.of_connection("theirs", "theirs")

    return of


@pytest.mark.parametrize(
    ("fields", "kind", "wanted"),
    [
        pytest.param(
            {"conn_type": "aws", "login": "AKIA", "password": "s3cret", "extra": {"region_name": "eu-west-1", "endpoint_url": "http://s3"}},
            "aws",
            {"access_key_id": "AKIA", "secret_access_key": "s3cret", "region": "eu-west-1", "endpointurl": "http://s3"},
            id="keys, region and endpoint of AWS",
        ),
        pytest.param(
            {"conn_type": "aws", "login": "AKIA", "password": "s3cret", "extra": {"aws_session_token": "t0ken", "verify": "/ca.pem"}},
            "aws",
            {"access_key_id": "AKIA", "secret_access_key": "s3cret", "session_token": "t0ken", "ssl_verify": "/ca.pem"},
            id="a session token and a certificate",
        ),
        pytest.param({"conn_type": "http", "login": "u", "password": "p4ss"}, "http", {"auth": "basic", "user": "u", "password": "p4ss"}, id="Basic auth"),
        pytest.param(
            {"conn_type": "http", "extra": {"X-Token": "t0ken", "timeout": 3}},
            "http",
            {"auth": "custom", "custom_auth_header": "X-Token", "password": "t0ken"},
            id="a header, beside what Airflow's hook takes",
        ),
        pytest.param(
            {"conn_type": "ssh", "login": "u", "port": 2222, "extra": {"private_key": KEY, "private_key_passphrase": "phr4se"}},
            "ssh",
            {"user": "u", "port": 2222, "keyfile": {"content": KEY}, "passphrase": "phr4se"},
            id="a private key",
        ),
        pytest.param({"conn_type": "sftp", "login": "u", "password": "p4ss", "extra": {"key_file": "/key"}}, "ssh", {"user": "u", "password": "p4ss", "keyfile": "/key"}, id="a key file"),
        pytest.param(
            {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": {"private_key": "k3y"}, "project": "p"}},
            "gcp",
            {
                "projectname": "p",
                "credentialpath": {"content": '{"private_key": "k3y"}'},
                "gdrive_use_service_account": True,
                "gdrive_service_account_json_file_path": {"content": '{"private_key": "k3y"}'},
            },
            id="a key of Google's",
        ),
        pytest.param(
            {"conn_type": "google_cloud_platform", "extra": {"extra__google_cloud_platform__key_path": "/k.json"}},
            "gcp",
            {"credentialpath": "/k.json", "gdrive_use_service_account": True, "gdrive_service_account_json_file_path": "/k.json"},
            id="the path of a key of Google's, under its old name",
        ),
        pytest.param({"conn_type": "wasb", "login": "account", "password": "k3y"}, "azure", {"account_name": "account", "account_key": "k3y"}, id="a key of Azure's"),
        pytest.param(
            {"conn_type": "wasb", "host": "https://account.blob.core.windows.net", "login": "id", "password": "s3cret", "extra": {"tenant_id": "t"}},
            "azure",
            {"tenant_id": "t", "account_name": "account", "client_id": "id", "client_secret": "s3cret"},
            id="a service principal of Azure's",
        ),
        pytest.param({"conn_type": "wasb", "extra": {"sas_token": "s4s"}}, "azure", {"sas_token": "s4s"}, id="a token of Azure's"),
    ],
)  # fmt: skip
def test_a_connection_gives_the_options_of_its_type(
    options: Callable[..., RemoteConnection], fields: dict[str, Any], kind: str, wanted: dict[str, Any]
) -> None:
    found = options(**fields)
    assert (found.connection, found.kind, found.options, found.more) == ("theirs", kind, wanted, {})
    assert "s3cret" not in repr(found)
    assert "t0ken" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "secrets"),
    [
        ({"conn_type": "http", "login": "u", "password": "p4ss"}, {"p4ss"}),
        ({"conn_type": "http", "extra": {"X-Any": "t0ken"}}, {"t0ken"}),
        ({"conn_type": "ssh", "extra": {"private_key": KEY, "private_key_passphrase": "phr4se"}}, {KEY, "phr4se"}),
        ({"conn_type": "ssh", "extra": {"private_key": f"{KEY}\nsecond"}}, {f"{KEY}\nsecond", KEY, "second"}),
        ({"conn_type": "wasb", "login": "a", "password": "k3y", "extra": {"sas_token": "s4s"}}, {"k3y", "s4s"}),
        ({"conn_type": "generic", "extra": {"dvc": {"oss_key_secret": "s3cret", "oss_endpoint": "e"}}}, {"s3cret"}),
    ],
)
def test_every_secret_of_a_connection_is_masked(
    options: Callable[..., RemoteConnection], masked: list[str], fields: dict[str, Any], secrets: set[str]
) -> None:
    options(**fields)
    assert set(masked) == secrets


def test_s3_without_a_connection_of_its_own_gets_the_pipeline_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_OURS", json.dumps({"conn_type": "aws", "login": "AKIAOURS", "password": "our-secret"})
    )
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", json.dumps({"conn_type": "http"}))
    found = remote_options.access({"theirs": DvcRemote(connection="theirs")}, Aws("ours"))
    assert (found.s3.connection, found.s3.options) == (
        "ours",
        {"access_key_id": "AKIAOURS", "secret_access_key": "our-secret"},
    )
    assert {name: each.kind for name, each in found.named.items()} == {"theirs": "http"}


def test_the_key_dvc_of_an_extra_adds_options_and_makes_any_type_fit(options: Callable[..., RemoteConnection]) -> None:
    assert options(conn_type="ssh", login="u", extra={"dvc": {"gss_auth": True}}).more == {"gss_auth": True}
    found = options(conn_type="postgres", extra={"dvc": {"user": "u"}})
    assert (found.kind, found.options, found.more) == ("generic", {}, {"user": "u"})


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"conn_type": "postgres"}, RemoteOptionError, "of the type postgres, which is no DVC remote's"),
        ({"conn_type": "http", "extra": {"A": "1", "B": "2"}}, RemoteOptionError, "has the headers A, B"),
        ({"conn_type": "http", "login": "u", "extra": {"A": "1"}}, RemoteOptionError, "has the headers A and a login"),
        ({"conn_type": "http", "extra": {"dvc": "user=u"}}, RemoteOptionError, "has dvc, which is no mapping"),
        (
            {"conn_type": "http", "extra": {"dvc": {"password": ["a"]}}},
            RemoteOptionError,
            "^password below dvc in the extra",
        ),
        (
            {"conn_type": "ssh", "extra": {"dvc": {"keyfile": {"path": "/k"}}}},
            RemoteOptionError,
            "^keyfile below dvc in",
        ),
        ({"conn_type": "http", "extra": {"headers": "A: 1"}}, RemoteOptionError, "has headers, which is no mapping"),
        ({"conn_type": "http", "extra": "no JSON"}, RemoteConnectionError, "is not JSON"),
    ],
)
def test_a_connection_that_does_not_fit_is_refused_with_its_name_and_its_remote(
    options: Callable[..., RemoteConnection], fields: dict[str, Any], error: type[RetrainError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        options(**fields)
    assert "connection theirs" in str(caught.value)


def test_a_connection_that_does_not_exist_is_refused_with_the_key_that_names_it() -> None:
    with pytest.raises(RemoteConnectionError, match=r"remotes\.other of the pipeline's file names .* nobody"):
        remote_options.of_connection("other", "nobody")
