"""What signing answers."""

from datetime import datetime
from uuid import UUID

from panlesion.aid.schemas.accounts import Out


class SignedOut(Out):
    """`sha256` is over `document.json` and `mask.gz` as they are in the export, one after the other."""

    study_id: UUID
    version: int
    signed_at: datetime
    signed_by: str
    sha256: str
    deliveries: int
