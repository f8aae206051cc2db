"""Faults on request: failures that the next calls get in place of Slack's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

KINDS = ("429", "500", "503", "close", "error", "hang")
UPLOAD = "upload"
WEBHOOK = "webhook"


class FaultError(Exception):
    """A requested fault is not valid; the message names the wrong part."""


@dataclass
class SlackFault:
    """The failure of the next `count` calls (None: of all until cleared) to `method` (empty: to any; "upload": a file's content; "webhook": a webhook).

    `accept`: the call is carried out and only its answer is lost. `retry_after`: the header of a 429, in seconds.
    `seconds`: how long a hanging call hangs before its connection ends without an answer. `error`: Slack's name of it.
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
        """Read a fault from parsed JSON.

        Raises:
            FaultError: not an object, an unknown part or kind, or kind "error" without `error`.
        """
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
    """The faults that wait for a call, and the calls that hang because of one."""

    def __init__(self) -> None:
        self._waiting: list[SlackFault] = []
        self._released = asyncio.Event()

    def add(self, fault: SlackFault) -> None:
        """Queue a fault after those that wait."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget the faults, and end the connections of hanging calls."""
        self._waiting.clear()
        self._released.set()
        self._released = asyncio.Event()

    def waiting(self) -> list[dict[str, Any]]:
        """List the faults that no call has used up, oldest first."""
        return [asdict(fault) for fault in self._waiting]

    def take(self, method: str) -> SlackFault | None:
        """The fault for a call that has just come in; None if no fault waits for it."""
        for fault in self._waiting:
            if fault.method in ("", method):
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._waiting.remove(fault)
                return fault
        return None

    async def answer(self, fault: SlackFault, request: Request) -> Response:
        """Answer with the fault's failure, or end the connection without an answer."""
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
        return PlainTextResponse("", status_code=500)  # never sent: the connection is gone

    async def _hang(self, seconds: float, request: Request) -> None:
        gone = asyncio.create_task(_disconnect(request))
        released = asyncio.create_task(self._released.wait())
        await asyncio.wait((gone, released), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        released.cancel()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
