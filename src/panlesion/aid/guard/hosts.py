"""Whose name and whose page a request comes under: foreign ones are refused before anything is looked up."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from panlesion.aid.guard.answer import refuse
from panlesion.aid.settings import Settings

DICOMWEB = "/dicomweb"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


class Hosts:
    """Refuses a foreign Host (another name that was made to point here), a NUL, and changes that another site's page asks for.

    An address is no foreign name: only names can be pointed at us by others.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.public = None if settings.public_url is None else urlsplit(str(settings.public_url))
        self.names = {"localhost", settings.host.lower(), self.public.hostname if self.public else None}
        self.viewers = frozenset(settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := self._problem(scope, Headers(scope=scope))) is not None:
            await refuse(send, *refused)
            return
        await self.app(scope, receive, send)

    def _problem(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._ours(hosts[0]):
            told = hosts[0][:100] if hosts else ""
            return 400, f"host {told!r} is not a name of this server; its administrator can set one by --public-url"
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return 400, "there is a NUL character in the address; leave it out"
        if scope["method"] not in _SAFE and not self._own_page(scope["path"], headers, hosts[0]):
            return 403, "a page of another site asked for this change; open the server's own page"
        return None

    def _ours(self, host: str) -> bool:
        try:
            told = urlsplit(f"//{host}")
            name = (told.hostname or "").lower()
            _ = told.port
        except ValueError:
            return False
        if told.path or told.query or told.fragment or told.username is not None:
            return False
        return name in self.names or _is_address(name)

    def _own_page(self, path: str, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is not None and origin in self.viewers and path.startswith(DICOMWEB + "/") and "authorization" in headers:
            return True
        if headers.get("sec-fetch-site", "none").lower() not in _OWN_SITES:
            return False
        if origin is None:
            return True
        try:
            told = urlsplit(origin)
        except ValueError:
            return False
        if self.public and told.netloc.lower() == self.public.netloc.lower():
            return told.scheme == self.public.scheme  # under http anybody on the way could be this page
        return told.scheme in {"http", "https"} and told.netloc.lower() == host.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
