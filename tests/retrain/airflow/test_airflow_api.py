"""Airflow's API as our commands and the watch ask it, over HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from retrain.airflow.api import AirflowApi
from retrain.errors import AirflowApiError, AirflowUnreachableError


class Server(ThreadingHTTPServer):
    """Hands out tokens, and takes the one of its present secret alone. `asked` is every path, in order.

    `connections` are all that were ever opened, `cookies` those of each request. It sets one in each answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.secret, self.asked, self.connections, self.cookies = "first", [], [], []
        super().__init__(("127.0.0.1", 0), Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps its connections open, as Airflow does
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.cookies.append(self.headers["Cookie"])
        if self.path == "/auth/token":
            return self.answer(201, {"access_token": self.server.secret})
        if self.headers["Authorization"] != f"Bearer {self.server.secret}":
            return self.answer(401, {"detail": "Not authenticated"})
        return self.answer(200, {"is_paused": True})

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Set-Cookie", f"_token={self.server.secret}; Path=/")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("AIRFLOW_API_TOKEN", "AIRFLOW_API_USER", "AIRFLOW_API_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_token_serves_until_airflow_refuses_it(server: Server) -> None:
    api = AirflowApi(server.url)
    assert api.is_paused("taxi")
    assert api.is_paused("taxi")
    assert server.asked.count("/auth/token") == 1
    server.secret = "second"  # as after a new jwt_secret
    assert api.is_paused("taxi")
    assert server.asked.count("/auth/token") == 2


def test_questions_in_a_row_share_one_connection(server: Server) -> None:
    api = AirflowApi(server.url)
    for _ in range(3):
        api.is_paused("taxi")
    assert len(server.asked) == 4
    assert len(server.connections) == 1


def test_a_connection_that_has_been_idle_is_not_used_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be closing it at this very moment."""
    monkeypatch.setattr("retrain.airflow.api._IDLE", 0.0)
    api = AirflowApi(server.url)
    api.is_paused("taxi")
    api.is_paused("taxi")
    assert len(server.connections) == len(server.asked) == 3


def test_a_cookie_of_an_answer_is_not_sent_back(server: Server) -> None:
    """Airflow would take it for a session beside the token, and renew that."""
    AirflowApi(server.url).is_paused("taxi")
    assert server.cookies == [None, None]


def test_a_server_that_takes_connections_and_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.airflow.api._TIMEOUT", 0.2)
    monkeypatch.setattr("retrain.airflow.api._HEALTH_TIMEOUT", 0.2)
    monkeypatch.setenv("AIRFLOW_API_TOKEN", "any")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        api = AirflowApi(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        for ask in (api.health, lambda: api.is_paused("taxi")):
            with pytest.raises(AirflowUnreachableError, match="did not answer"):
                ask()


def test_a_token_that_is_given_and_refused_is_an_error_and_not_asked_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_API_TOKEN", "stale")
    with pytest.raises(AirflowApiError, match="answered 401 to reading the DAG"):
        AirflowApi(server.url).is_paused("taxi")
    assert server.asked == ["/api/v2/dags/taxi"]


def test_a_token_is_in_no_picture_of_the_object(server: Server) -> None:
    api = AirflowApi(server.url)
    api.is_paused("taxi")
    assert "first" not in repr(api)


def test_a_password_file_that_is_not_there_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_API_USER", "watch")
    monkeypatch.setenv("AIRFLOW_API_PASSWORD_FILE", "/nowhere/password")
    with pytest.raises(AirflowApiError, match="/nowhere/password"):
        AirflowApi(server.url).is_paused("taxi")
