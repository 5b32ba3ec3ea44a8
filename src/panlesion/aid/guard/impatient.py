"""Connections that say nothing, or say it a letter at a time: uvicorn waits for them for ever."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0
"""How long the head of a request may take, from the connection or from its first byte on."""


class Impatient(H11Protocol):
    """Closes a connection whose request's head is not whole in time, or that sends on once it was answered.

    How long the body of a request that is not answered yet may take is the application's (`guard.bodies`).
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._owes():
            self._wait()
        else:
            self._stop()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._owes():  # closed at once, it might miss the answer that its body is not wanted
            self._wait()

    def _owes(self) -> bool:
        """Whether the rest of a head is to come, or of a body that was answered without."""
        theirs = self.conn.their_state
        half = theirs is h11.IDLE and bool(self.conn.trailing_data[0])
        return half or (theirs is h11.SEND_BODY and self.conn.our_state is h11.DONE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
