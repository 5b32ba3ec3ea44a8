"""Who asks for a frame, found out in the route's own thread.

A scrolling reader asks for a frame every few milliseconds. Each dependency of a route is a task of its own in the thread pool,
and six of them took longer than the frame itself; the checks here are the same functions, called one after the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request
from sqlalchemy.orm import Session

from panlesion.aid.deps import having, login_of, sessions_of, settings_of, user_of
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import Role

_check = having(Role.READER, Role.MANAGER)


@contextmanager
def viewing(request: Request) -> Iterator[tuple[Session, User]]:
    """A database session and whoever asks, checked as `ViewerDep` checks; committed when the block ends.

    Raises:
        HTTPException: 401 or 403, as `ViewerDep` raises it.
    """
    with sessions_of(request).begin() as session:
        yield session, _check(user_of(login_of(request, session, settings_of(request))))
