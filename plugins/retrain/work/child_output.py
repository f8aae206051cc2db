"""Reads the output of a running child process line by line."""

from __future__ import annotations

import codecs
import io
import os
import selectors
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

_CHUNK = 1 << 16
_PIPE_HOLDS = 1 << 20  # bytes; Linux lets a user make no larger pipe


@contextmanager
def each_line(output: IO[bytes] | None, take: Callable[[str], None]) -> Iterator[None]:
    """Call `take` with every line of `output`, in a thread, until it ends or the block does. Then thread and pipe are closed.

    At the end of the block the lines that are already in the pipe are read. A process that keeps it open is not waited for.
    """
    if output is None:
        yield
        return
    stopped, stop = os.pipe()
    reader = threading.Thread(
        target=_pass_lines, args=(output.fileno(), stopped, take), name="output of a child process", daemon=True
    )
    reader.start()
    try:
        yield
    finally:
        os.close(stop)  # which makes `stopped` readable
        reader.join()
        os.close(stopped)
        output.close()


def _pass_lines(source: int, stopped: int, take: Callable[[str], None]) -> None:
    """Pass on the lines of the pipe `source` until it ends; once `stopped` is readable, only those that are already in it."""
    os.set_blocking(source, False)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    rest, left = "", _PIPE_HOLDS
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        selector.register(stopped, selectors.EVENT_READ)
        while left > 0:
            ready = {key.fd for key, _ in selector.select()}
            chunk = os.read(source, _CHUNK) if source in ready else b""
            if not chunk:  # the pipe has ended, or reading was stopped and it is empty
                break
            if stopped in ready:
                left -= len(chunk)
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in whole:
                take(line)
    rest = (rest + decoder.decode(b"", final=True)).rstrip("\n")
    if rest:
        take(rest)
