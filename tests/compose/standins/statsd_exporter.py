"""A stand-in for prom/statsd-exporter, as far as the stack uses it: UDP 9125 in, /metrics on 9102 out.

Counters, gauges, and timers in milliseconds as histograms in seconds; InfluxDB tags as labels; the `defaults` of the mapping
file for buckets. It knows no `mappings`, and refuses a file that has some rather than to do something else than the real one.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from bisect import bisect_left
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

_ILLEGAL = re.compile(r"[^a-zA-Z0-9_]")
_LOCK = threading.Lock()
_TYPES: dict[str, str] = {}
_VALUES: dict[tuple[str, tuple[tuple[str, str], ...]], float | list[float]] = {}


def take(line: str, buckets: list[float]) -> None:
    """One line, `name,label=value:number|kind[|@rate]`."""
    head, _, rest = line.partition(":")
    number, kind, *more = rest.split("|")
    name, *tags = head.split(",")
    rate = next((float(part[1:]) for part in more if part.startswith("@")), 1.0)
    labels = tuple(sorted((_ILLEGAL.sub("_", key), value) for key, _, value in (tag.partition("=") for tag in tags)))
    key = (_ILLEGAL.sub("_", name), labels)
    kind = {"c": "counter", "g": "gauge", "ms": "histogram"}[kind]
    with _LOCK:
        if _TYPES.setdefault(key[0], kind) != kind:
            raise ValueError(f"{key[0]} was a {_TYPES[key[0]]}, and now is a {kind}")
        if kind == "histogram":
            counts = _VALUES.setdefault(key, [0.0] * (len(buckets) + 2))  # a bucket each, more than all, and the sum
            seconds = float(number) / 1000
            counts[bisect_left(buckets, seconds)] += 1
            counts[-1] += seconds
        elif kind == "gauge":
            _VALUES[key] = float(number) + (_VALUES.get(key, 0.0) if number[0] in "+-" else 0.0)
        else:
            _VALUES[key] = _VALUES.get(key, 0.0) + float(number) / rate


def exposed(buckets: list[float]) -> str:
    """Everything, in Prometheus's text format."""
    with _LOCK:
        lines = ["# TYPE statsd_exporter_build_info gauge", 'statsd_exporter_build_info{version="stand-in"} 1']
        for name, kind in sorted(_TYPES.items()):
            lines.append(f"# TYPE {name} {kind}")
            for (_, labels), value in ((k, v) for k, v in sorted(_VALUES.items()) if k[0] == name):
                said = [f'{key}="{text}"' for key, text in labels]
                if isinstance(value, list):
                    total = 0.0
                    for bound, count in zip([*map(str, buckets), "+Inf"], value, strict=False):
                        total += count
                        lines.append(_sample(f"{name}_bucket", [*said, f'le="{bound}"'], total))
                    lines += [_sample(f"{name}_sum", said, value[-1]), _sample(f"{name}_count", said, total)]
                else:
                    lines.append(_sample(name, said, value))
    return "\n".join(lines) + "\n"


def _sample(name: str, labels: list[str], value: float) -> str:
    return f"{name}{{{','.join(labels)}}} {value!r}" if labels else f"{name} {value!r}"


def main() -> None:
    config = next(a.partition("=")[2] for a in sys.argv if a.startswith("--statsd.mapping-config="))
    mapping = yaml.safe_load(Path(config).read_text())
    if mapping.get("mappings") or mapping["defaults"]["observer_type"] != "histogram":
        sys.exit("The stand-in knows no mappings, and no observers but histograms.")
    buckets = [float(bound) for bound in mapping["defaults"]["histogram_options"]["buckets"]]

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposed(buckets).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing of each scrape."""

    threading.Thread(target=ThreadingHTTPServer(("", 9102), Metrics).serve_forever, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("", 9125))
        while True:
            for line in udp.recv(65535).decode(errors="replace").splitlines():
                try:
                    take(line, buckets)
                except (ValueError, KeyError, IndexError) as error:
                    print(f"{line!r}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
