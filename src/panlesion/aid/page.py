"""The built page: files of `web/`, and `index.html` for every address that the page itself understands."""

from importlib import resources
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from panlesion.aid.vocabulary import RESEARCH_USE

API_PREFIXES = ("/api", "/dicomweb")
ASSETS = "assets/"
"""Where the build puts files that have a hash in their name."""
_FOREVER, _ASK_ANEW = "public, max-age=31536000, immutable", "no-cache"
_NOT_BUILT = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>panlesion</title>
<h1>panlesion</h1><p>The server is running, but its page has not been built: run <code>make web</code> and start it anew.</p>
<p>{RESEARCH_USE}</p></html>"""


def built_page() -> Path:
    """Where the build puts the page."""
    return Path(str(resources.files("panlesion.aid"))) / "web"


class Page:
    """Answers what no route does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["type"] != "http" or any(path == prefix or path.startswith(f"{prefix}/") for prefix in API_PREFIXES):
            raise HTTPException(404, "there is nothing at this address")
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405, f"{scope['method']} is not answered here", headers={"Allow": "GET, HEAD"})
        response = await run_in_threadpool(self._answer, path.lstrip("/"))
        await response(scope, receive, send)

    def _answer(self, path: str) -> Response:
        file = self._file(path)
        if file is not None:
            return FileResponse(file, headers={"Cache-Control": _FOREVER if path.startswith(ASSETS) else _ASK_ANEW})
        if path.startswith(ASSETS) or ".." in path.split("/"):
            raise HTTPException(404, "there is no such file of the page")
        index = self._file("index.html")
        if index is None:
            return HTMLResponse(_NOT_BUILT, headers={"Cache-Control": _ASK_ANEW})
        return FileResponse(index, headers={"Cache-Control": _ASK_ANEW})

    def _file(self, path: str) -> Path | None:
        """The file of that name inside the page's folder, links followed; None for anything else."""
        try:
            file = (self.folder / path).resolve()
            inside = file.is_relative_to(self.folder) and file.is_file()
        except (OSError, ValueError):  # a name too long, or with characters no file has
            return None
        return file if inside else None
