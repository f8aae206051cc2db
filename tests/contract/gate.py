"""A reverse proxy of the tests' own in front of an S3 server: it notes what passes, and refuses or holds what it is told to."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import unquote, urlsplit

_BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "expect", "transfer-encoding"})
_HELD_SECONDS = 120
FOR_EVER = 10**9


class Gate:
    """What the proxy saw and what it does; the server behind it gets each request as it came, signature included."""

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind).netloc
        self.url = ""
        self.passed: list[tuple[str, str]] = []  # method and path of what the server has answered
        self._lock = Lock()
        self._refusals: Counter[str] = Counter()
        self._puts_left = FOR_EVER
        self._released = Event()
        self.hung: list[str] = []  # what was asked of `hang`'s folder
        self._hanging: str | None = None
        self.holding = Event()
        self.cut, self.flipped = (
            0,
            0,
        )  # the next answers to GET that break off in the middle, or have a wrong byte there
        self.after_put: Callable[[str], object] = lambda path: path  # what somebody else does to it then
        # The status and body of an answer that the server itself does not give, by method, path with query, and headers.
        self.own_answer: Callable[[str, str, Mapping[str, str]], tuple[int, str] | None] = lambda *_: None
        self.dropped_headers: frozenset[str] = frozenset()  # of requests, in lower case: a server that ignores them

    @property
    def puts(self) -> list[str]:
        """The keys that were written, in order; bucket in front."""
        return [path for method, path in self.passed if method in ("PUT", "POST")]

    def refuse(self, count: int, method: str = "*") -> None:
        """Answer 503 to the next `count` requests of a method, or of any."""
        self._refusals[method] = count

    def spoiled(self, content: bytes) -> tuple[bytes, int]:
        """The body that an answer to GET has, and how many bytes of it are sent."""
        middle = len(content) // 2
        with self._lock:
            if self.cut:
                self.cut -= 1
                return content, middle
            if self.flipped:
                self.flipped -= 1
                return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :], len(content)
        return content, len(content)

    def hold_after(self, puts: int) -> None:
        """Let that many PUTs pass and no more, until `release`; `holding` is set when the first of them is held."""
        self._puts_left = puts

    def hang(self, folder: str) -> None:
        """Answer nothing that is asked of a bucket, or of a folder in it, until `release`."""
        self._hanging = folder

    def hangs(self, path: str) -> bool:
        """Whether this request is one to hang; it was held until now."""
        if self._hanging is None or not path.startswith(self._hanging):
            return False
        self.hung.append(path)
        self._released.wait(_HELD_SECONDS)
        return True

    def release(self) -> None:
        """Drop what is held, as its sender is gone, and let everything pass again."""
        self._puts_left = FOR_EVER
        self._hanging = None
        self._released.set()

    def admits(self, method: str) -> bool | None:
        """Whether a request may pass; None when it was held and its connection is to be dropped."""
        with self._lock:
            for kind in (method, "*"):
                if self._refusals[kind] > 0:
                    self._refusals[kind] -= 1
                    return False
            if method != "PUT":
                return True
            self._puts_left -= 1
            if self._puts_left >= 0:
                return True
        self.holding.set()
        self._released.wait(_HELD_SECONDS)
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    gate: Gate

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = unquote(self.path.lstrip("/"))
        if own := self.gate.own_answer(self.command, query, self.headers):
            self._send(own[0], [("Content-Type", "application/xml")], own[1].encode())
            return
        admitted = None if self.gate.hangs(query) else self.gate.admits(self.command)
        if admitted is None:
            self.close_connection = True
        elif admitted:
            self._forward(body)
        else:
            self._send(503, [("Content-Type", "application/xml")], _BUSY)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - http.server calls them so

    def _forward(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.gate.behind, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP | self.gate.dropped_headers:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            path = unquote(urlsplit(self.path).path).lstrip("/")
            self.gate.passed.append((self.command, path))
            if self.command == "PUT":
                self.gate.after_put(path)
            content, sent = self.gate.spoiled(content) if self.command == "GET" else (content, len(content))
            self._send(answer.status, answer.getheaders(), content, sent)
        finally:
            connection.close()

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        sized = self.command == "HEAD" and status < 300
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP and (sized or name.lower() != "content-length"):
                self.send_header(name, value)
        if not sized:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])
            self.close_connection = self.close_connection or (sent is not None and sent < len(content))

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the client was killed
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: a test reads `passed`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def gate_to(url: str) -> Iterator[Gate]:
    """A gate on a free loopback port in front of the server at `url`."""
    gate = Gate(url)
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"gate": gate})) as server:
        gate.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield gate
        finally:
            gate.release()
            server.shutdown()
            thread.join(10)
