"""What nobody foresaw: an answer with a number, and a log entry of the same number without any value."""

import errno
import logging
import traceback
from secrets import token_hex

from sqlalchemy.exc import OperationalError, TimeoutError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panlesion.aid.db import is_full
from panlesion.aid.guard.answer import refuse
from panlesion.aid.guard.words import FULL

_log = logging.getLogger(__name__)


class Incidents:
    """Catches every exception of a route: 500 with a number to look for in the log.

    The log gets the exception's class and where it came from, not its message: that may quote a patient's name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 - the server's boundary
            number = token_hex(6)
            _log.error("incident %s: %s", number, where_of(error))
            if begun or scope["type"] != "http":
                # the connection has to break, so that a half answer is not taken for a whole one
                raise RuntimeError(f"incident {number} in the middle of an answer") from None
            if _no_room(error):
                await refuse(send, 507, f"{FULL} (incident {number})")
                return
            if isinstance(error, OperationalError | TimeoutError):
                words = f"the database is busy, full or gone, and nothing was changed; try again (incident {number})"
                await refuse(send, 503, words, {"Retry-After": "5"})
                return
            await refuse(send, 500, f"something went wrong in the server; its log tells more under incident {number}")


def _no_room(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, OperationalError) and is_full(error)


def where_of(error: BaseException) -> str:
    """Classes of the error and its causes, each with the files and lines it passed through."""
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(told) < 5:
        frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(seen.__traceback__)]
        told.append(f"{type(seen).__module__}.{type(seen).__qualname__} at {' > '.join(frames[-12:])}")
        seen = seen.__cause__ or seen.__context__
    return "; from ".join(told)
