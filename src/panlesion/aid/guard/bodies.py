"""How much a request may bring, and that a stranger's is not read at all."""

import math
import re

import anyio
from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panlesion.aid.deps import COOKIE, SAFE_METHODS, live_login, live_token, sessions_of, settings_of
from panlesion.aid.guard.answer import refuse
from panlesion.aid.settings import Settings

LOGIN = "/api/login"
LOGIN_BYTES = 16 * 1024
JSON_BYTES = 8 * 1024**2
MASK_BYTES = 512 * 1024**2
PIECE_S, STRANGER_S = 60.0, 20.0
"""How long the next piece of a body may take to come, and the whole body of who is not logged in."""
_UPLOADS = re.compile(r"/api/studies/?|/dicomweb/.*")
_MASK = re.compile(r"/api/studies/[^/]+/mask/?")


class Bodies:
    """Refuses a body that is too large (413), by its length where it is told and by counting where not.

    Changes by nobody who is logged in are refused before their body is read (401): a form is spooled to disk before a route's
    own checks run.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        path = request.url.path
        if request.method not in SAFE_METHODS and path != LOGIN and not await run_in_threadpool(_known, request):
            await refuse(send, 401, "log in first")
            return
        most = self._most(request.method, path)
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            await refuse(send, 413, _too_large(most))
            return
        taken, over = 0, False
        until = anyio.current_time() + (STRANGER_S if path == LOGIN else math.inf)

        async def count() -> Message:
            nonlocal taken, over
            # once the body is over this waits for the client to go, for as long as the answer takes
            patience = math.inf if over else min(PIECE_S, until - anyio.current_time())
            try:
                with anyio.fail_after(patience):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(408, "the request's body does not come; send it again") from error
            over = not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413, _too_large(most))
            return message

        await self.app(scope, count, send)

    def _most(self, method: str, path: str) -> int:
        if path == LOGIN:
            return LOGIN_BYTES
        if method == "POST" and _UPLOADS.fullmatch(path):
            return self.settings.max_upload_bytes
        return MASK_BYTES if _MASK.fullmatch(path) else JSON_BYTES


def _known(request: Request) -> bool:
    """Whether a live session or bearer token comes with it; what it may do is asked by the route."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    with sessions_of(request)() as session:
        if scheme.lower() == "bearer":
            return live_token(session, secret.strip()) is not None
        return live_login(session, settings_of(request), request.cookies.get(COOKIE, "")) is not None


def _too_large(most: int) -> str:
    return f"the request brings more than {most / 1024**2:.4g} MiB, the most that is taken here"
