"""Faults on request: what the next calls get in place of Slack's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

KINDS = ("429", "500", "503", "close", "error", "hang")
UPLOAD = "upload"


class FaultError(Exception):
    """A fault was asked for that there is not; the message says which part."""


@dataclass
class SlackFault:
    """What the next `count` calls get (None: all until cleared) of one `method` (empty: of any; "upload": a file's content).

    `accept` carries the call out all the same, so that only its answer is lost. `retry_after` is 429's, in seconds;
    `seconds` says how long a hanging call hangs before its connection ends without an answer; `error` is Slack's name.
    """

    kind: str
    count: int | None = 1
    method: str = ""
    accept: bool = False
    retry_after: int = 1
    seconds: float = 300
    error: str = ""

    @classmethod
    def read(cls, wanted: object) -> SlackFault:
        """Read a fault from JSON. Raises FaultError."""
        if not isinstance(wanted, Mapping):
            raise FaultError(f"{wanted!r} is no JSON object")
        try:
            fault = cls(**wanted)
        except TypeError as error:
            raise FaultError(str(error)) from error
        if fault.kind not in KINDS:
            raise FaultError(f"kind {fault.kind!r} is none of {', '.join(KINDS)}")
        if fault.kind == "error" and not fault.error:
            raise FaultError('kind "error" needs the name of an error, such as {"error": "token_expired"}')
        return fault


class Faults:
    """The faults that wait for a call, and the calls that hang."""

    def __init__(self) -> None:
        self._waiting: list[SlackFault] = []
        self._released = asyncio.Event()

    def add(self, fault: SlackFault) -> None:
        """Put a fault behind those that wait."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget the faults; connections of calls that hang end now."""
        self._waiting.clear()
        self._released.set()
        self._released = asyncio.Event()

    def waiting(self) -> list[dict[str, Any]]:
        """List the faults that no call has used up, oldest first."""
        return [asdict(fault) for fault in self._waiting]

    def take(self, method: str) -> SlackFault | None:
        """Give the fault of a call that has just come in."""
        for fault in self._waiting:
            if fault.method in ("", method):
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._waiting.remove(fault)
                return fault
        return None

    async def answer(self, fault: SlackFault, request: Request) -> Response:
        """Answer as the fault wants it, or not at all."""
        match fault.kind:
            case "429":
                headers = {"Retry-After": str(fault.retry_after)}
                return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=429, headers=headers)
            case "500" | "503":
                return PlainTextResponse("", status_code=int(fault.kind))
            case "error":
                return JSONResponse({"ok": False, "error": fault.error})
            case "hang":
                await self._hang(fault.seconds, request)
        request.state.connection.transport.abort()
        return PlainTextResponse("", status_code=500)  # reaches nobody

    async def _hang(self, seconds: float, request: Request) -> None:
        gone = asyncio.create_task(_disconnect(request))
        released = asyncio.create_task(self._released.wait())
        await asyncio.wait((gone, released), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        released.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
