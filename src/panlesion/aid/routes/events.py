"""Server-sent events: rows of the worklist as they change."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from panlesion.aid.deps import LoginDep, ViewerDep
from panlesion.aid.events import Feed, OverError

router = APIRouter(tags=["events"])


@router.get("/events", response_class=StreamingResponse)
async def events(request: Request, login: LoginDep, _user: ViewerDep) -> StreamingResponse:
    """`event: study` with a row whenever one that this account may see has changed; ends with the session.

    A stream that breaks off without `event: over` has told less than happened: fetch the list after connecting anew.
    """
    told = stream(request.app.state.feed, login.token_sha256)
    return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def stream(feed: Feed, token: str) -> AsyncIterator[str]:
    """The stream's text, for the session of this token."""
    yield ": hello\nretry: 3000\n\n"
    try:
        async for rows in feed.listen(token):
            # JSON escapes line ends, so that no name can begin an event of its own
            yield "".join(f"event: study\ndata: {row}\n\n" for row in rows) or ": still here\n\n"
    except OverError:
        yield "event: over\ndata: {}\n\n"
