"""`ReadingOut` of a reading's row, for every route that answers with one."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.deps import visible_to
from panlesion.aid.reads.compare import comparison_of
from panlesion.aid.reads.document import Document
from panlesion.aid.schemas.reading import AddendumOut, ReadingOut
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Addendum, Reading, Study, User


def reading_out(session: Session, settings: Settings, study: Study, reading: Reading, asker: User) -> ReadingOut:
    """A reading as it goes over the wire to whoever asks.

    Raises:
        ReadError: What the analysis or the signature left is damaged.
    """
    document = Document.model_validate(reading.document)
    names = {user.id: user.display_name for user in session.scalars(select(User).where(User.id.in_(_people(reading))))}
    told = select(Addendum, User.display_name).join(User, User.id == Addendum.by).where(Addendum.study_id == study.id)
    return ReadingOut(
        study_id=study.id,
        state=reading.state,
        version=reading.version,
        changed_at=reading.changed_at,
        changed_by=names.get(reading.changed_by) if reading.changed_by else None,
        **dict(document),
        comparison=comparison_of(session, settings, study, visible_to(asker)),
        signed_at=reading.signed_at,
        signed_by=names.get(reading.signed_by) if reading.signed_by else None,
        addenda=[AddendumOut(at=one.at, by=name, text=one.text) for one, name in session.execute(told.order_by(Addendum.id))],
    )


def _people(reading: Reading) -> list[object]:
    return [one for one in (reading.changed_by, reading.signed_by) if one is not None]
