"""Exit 0 if this container's Celery worker answers. Airflow's own command for this would import all of Airflow.

The broker is the one of the secret, or of a file named as argument; over TLS if its URL is `rediss://`.
"""

import socket
import sys
from pathlib import Path

from celery import Celery

broker = Path(*sys.argv[1:] or ["/run/secrets/broker_url"]).read_text(encoding="utf-8").strip()
if not Celery(broker=broker).control.ping(destination=[f"celery@{socket.gethostname()}"], timeout=10):
    sys.exit("the worker does not answer")
