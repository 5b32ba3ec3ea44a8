"""Who asks for a frame, found out in the route's own thread.

A scrolling reader asks for a frame every few milliseconds. Each dependency of a route is a task of its own in the thread pool,
and six of them took longer than the frame itself; the checks here are the same functions, called one after the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request
from sqlalchemy.orm import Session

from panlesion.aid.deps import sessions_of, settings_of, viewer_or_token
from panlesion.aid.tables import User


@contextmanager
def viewing(request: Request) -> Iterator[tuple[Session, User]]:
    """A database session and whoever asks, checked as `DicomwebDep` checks; committed when the block ends.

    Raises:
        HTTPException: 401 or 403, as `DicomwebDep` raises it.
    """
    sessions = sessions_of(request)
    with sessions.begin() as session:
        yield session, viewer_or_token(request, session, sessions, settings_of(request))
