"""One `retrain` command in a process of its own, whose requests, seconds and memory are written to a file.

`counted_command.py RESULT history trip_duration` runs `python -m retrain history trip_duration`, and writes RESULT as JSON: requests
to S3 by operation, seconds, peak memory in bytes, exit status.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore.httpsession import URLLib3Session

_LISTS = ("list-type", "versions")


def operation(method: str, url: str) -> str:
    """The kind of a request to S3: LIST, DELETE for many objects, or its method."""
    query = parse_qs(urlsplit(url).query, keep_blank_values=True)
    if method == "GET" and any(name in query for name in _LISTS):
        return "LIST"
    return "DELETE" if method == "POST" and "delete" in query else method


def main() -> int:
    """Run the command of the arguments after the first."""
    result, arguments = Path(sys.argv[1]), sys.argv[2:]
    counted: Counter[str] = Counter()
    lock, send = Lock(), URLLib3Session.send

    def counting(self: URLLib3Session, request: Any) -> Any:
        with lock:
            counted[operation(request.method, request.url)] += 1
        return send(self, request)

    URLLib3Session.send = counting  # type: ignore[method-assign]
    from retrain.commands.command_line import main as command

    sys.argv = ["retrain", *arguments]
    started = time.perf_counter()
    status = command(arguments)
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    document = {"requests": dict(counted), "seconds": round(seconds, 1), "memory": memory, "status": status}
    result.write_text(json.dumps(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
