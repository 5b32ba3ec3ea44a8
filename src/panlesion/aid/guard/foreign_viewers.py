"""Other viewers' pages (OHIF) may ask DICOMweb, by bearer token alone: no cookie of ours goes with their requests."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panlesion.aid.guard.hosts import DICOMWEB
from panlesion.aid.settings import Settings

_METHODS, _ASKED = "GET, HEAD, POST", "Authorization, Accept, Content-Type, Range, If-None-Match"
_TOLD = "Content-Type, Content-Range, ETag, Warning"


class ForeignViewers:
    """Cross-origin answers for the origins of `settings.allowed_origins`; all others get none."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.origins = frozenset(settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.origins or not scope["path"].startswith(DICOMWEB + "/"):
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        origin = asked.get("origin", "")
        known = origin in self.origins

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                if known:
                    headers["Access-Control-Allow-Origin"] = origin
                    headers["Access-Control-Expose-Headers"] = _TOLD
                    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            await send(message)

        if known and scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await add(
                {
                    "type": "http.response.start",
                    "status": 204,
                    "headers": [
                        (b"access-control-allow-methods", _METHODS.encode()),
                        (b"access-control-allow-headers", _ASKED.encode()),
                        (b"access-control-max-age", b"600"),
                    ],
                }
            )
            await send({"type": "http.response.body", "body": b""})
            return
        await self.app(scope, receive, add)
