"""Celery's state in Prometheus' text format: `celery_exporter.py [PORT]` answers `/metrics`, and `/alive` without asking anybody.

It asks the broker and the workers at each request, with the address that the workers use. A worker counts if it answers a ping
within two seconds, as its main process does while all its slots are busy. An answer takes up to ten seconds, so requests wait
for each other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from celery import Celery
from kombu.exceptions import KombuError
from prometheus_client import PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_PORT = 9808
_QUEUE = "default"  # Airflow's only queue
_PING_SECONDS = 2.0
_TIMEOUTS = {"socket_connect_timeout": 2, "socket_timeout": 3}


class CeleryMetrics(Collector):
    """The broker, the workers and the queue, asked when Prometheus asks. `workers_expected` is how many should answer."""

    def __init__(self, broker: str, workers_expected: int) -> None:
        self._app = Celery(broker=broker, broker_transport_options=_TIMEOUTS, broker_pool_limit=1)
        self._app.conf.broker_connection_timeout = _TIMEOUTS["socket_connect_timeout"]
        self._workers_expected = workers_expected

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics. While the broker does not answer, nothing is known of workers and queue, and nothing is said of them."""
        yield _gauge(
            "celery_workers_expected", "RETRAIN_WORKERS: the workers that should answer", self._workers_expected
        )
        try:
            with self._app.connection_for_read() as connection:
                errors = (*connection.connection_errors, *connection.channel_errors, KombuError, OSError)
                connection.ensure_connection(
                    max_retries=1, interval_start=0, timeout=_TIMEOUTS["socket_connect_timeout"]
                )
                workers = self._app.control.ping(timeout=_PING_SECONDS, connection=connection)
                # After the ping: if Redis hung meanwhile, no worker could answer, and this fails.
                queued = connection.default_channel.client.llen(_QUEUE)
        except errors as error:
            print(f"The broker does not answer: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            yield _gauge("celery_broker_up", "1 if the broker answers the workers' address, else 0", 0)
            return
        yield _gauge("celery_broker_up", "1 if the broker answers the workers' address, else 0", 1)
        yield _gauge("celery_workers", "Workers that answered a ping", len(workers))
        length = GaugeMetricFamily("celery_queue_length", "Tasks that no worker has taken", labels=["queue"])
        length.add_metric([_QUEUE], queued)
        yield length


def _gauge(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, said, value)


def serve(metrics: CeleryMetrics, port: int) -> None:
    """Answer requests until the process ends."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    registry.register(PROCESS_COLLECTOR)

    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # seconds for a client to send its request

        def do_GET(self) -> None:
            if self.path not in ("/metrics", "/alive"):
                self.send_error(404)
                return
            body = generate_latest(registry) if self.path == "/metrics" else b"ok"
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing about each request."""

    HTTPServer((os.environ.get("CELERY_EXPORTER_HOST", "0.0.0.0"), port), Handler).serve_forever()  # noqa: S104 - inside its container, which publishes nothing


def main() -> None:
    broker = Path(os.environ.get("CELERY_EXPORTER_BROKER_FILE", "/run/secrets/broker_url")).read_text("utf-8").strip()
    port = int(sys.argv[1]) if len(sys.argv) > 1 else _PORT
    serve(CeleryMetrics(broker, int(os.environ.get("RETRAIN_WORKERS") or 0)), port)


if __name__ == "__main__":
    main()
