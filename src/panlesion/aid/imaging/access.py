"""Who asks for a frame, found out in the route's own thread.

A scrolling reader asks for a frame every few milliseconds. Each dependency of a route is a task of its own in the thread pool,
and six of them took longer than the frame itself; the checks here are the same functions, called one after the other. The
database's connection is free again before any file is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request
from sqlalchemy.orm import Session

from panlesion.aid.deps import login_of, sessions_of, settings_of, user_of, viewer_of, viewer_or_token
from panlesion.aid.tables import User


@contextmanager
def viewing(request: Request, *, tokens: bool = True) -> Iterator[tuple[Session, User]]:
    """A database session and whoever asks, checked as `DicomwebDep` checks; committed when the block ends.

    Args:
        request: Its cookie, or its bearer token.
        tokens: Without, only a session counts, as `ViewerDep` has it.

    Raises:
        HTTPException: 401 or 403, as these raise it.
    """
    sessions, settings = sessions_of(request), settings_of(request)
    with sessions.begin() as session:
        if tokens:
            yield session, viewer_or_token(request, session, sessions, settings)
        else:
            yield session, viewer_of(user_of(login_of(request, session, sessions, settings)), session)
