"""Passwords, tokens and their hashes."""

import hashlib
import secrets
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_urlsafe(32))
"""Verified against where there is no such account, so that the time tells nothing."""
_AT_ONCE = BoundedSemaphore(4)
"""Each takes 64 MiB and a core: a flood of logins waits here rather than filling the memory."""


def new_token() -> str:
    """256 random bits, for cookies, headers and links."""
    return secrets.token_urlsafe(32)


def new_password() -> str:
    """A first password, to be changed at the first login."""
    return secrets.token_urlsafe(15)


def sha256(text: str) -> str:
    """What of a token is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(told: str, known: str) -> bool:
    """Whether two secrets are the same; the time tells nothing of where they differ."""
    return secrets.compare_digest(told.encode(), known.encode())


def hash_password(password: str) -> str:
    """An argon2id hash with its parameters and salt."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def password_fits(hashed: str | None, password: str) -> bool:
    """Whether a password is the one hashed; takes as long where there is none."""
    try:
        with _AT_ONCE:
            return _HASHER.verify(hashed or _NOBODY, password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False
