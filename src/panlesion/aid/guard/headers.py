"""Headers of every answer; one that a route has set itself stays."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from panlesion.aid.settings import Settings
from panlesion.aid.vocabulary import RESEARCH_USE

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",  # the viewer's decoders of DICOM pixels are WebAssembly
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",  # the printed report carries its style, the viewer's SVG sets some
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # not no-referrer: browsers then send "Origin: null" with forms of our own page
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Research-Use": RESEARCH_USE,
}
_SECURE = {"Strict-Transport-Security": "max-age=31536000"}


class Headers:
    """Adds them, whatever answers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.always = _ALWAYS | (_SECURE if settings.secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        private = scope["path"].startswith("/api/")

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.always.items():
                    headers.setdefault(name, value)
                if private:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, add)
