"""The audit log finds an edit, a removal, a cut end, and the removal of what its end was noted in."""

from uuid import uuid4

import pytest
from server_made import serve
from sqlalchemy import delete, text, update
from sqlalchemy.exc import IntegrityError

from panlesion.aid.audit import export, record, verify
from panlesion.aid.audit_head import HEAD, read_head
from panlesion.aid.tables import AuditEntry
from panlesion.aid.vocabulary import Action
from panlesion.errors import StoreError


@pytest.fixture
def served(tmp_path):
    made = serve(tmp_path)
    add(made, 8)
    return made


def add(served, count):
    for number in range(count):
        with served.app.state.sessions.begin() as session:
            record(session, Action.VIEW, by=None, number=number)


def broken(served):
    with served.app.state.sessions() as session:
        return verify(session, read_head(served.settings.data))


def change(served, statement):
    """As somebody who has the database's file."""
    with served.app.state.sessions.begin() as session:
        for name in session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            session.execute(text(f"DROP TRIGGER {name}"))
        session.execute(statement)


@pytest.mark.parametrize("statement", [delete(AuditEntry), update(AuditEntry).values(action="x")])
def test_the_database_itself_takes_no_change_of_a_line(served, statement):
    with pytest.raises(IntegrityError, match="append only"), served.app.state.sessions.begin() as session:
        session.execute(statement)


def test_an_untouched_log_is_found_whole_and_its_end_is_noted(served):
    assert broken(served) is None
    assert read_head(served.settings.data).seq == 8


@pytest.mark.parametrize("column", ["action", "detail", "hash", "previous", "user_id"])
def test_an_edited_line_is_found(served, column):
    value = {"detail": {"number": 99}, "user_id": None}.get(column, "0" * 32)
    if column == "user_id":
        value = uuid4()
    change(served, update(AuditEntry).where(AuditEntry.seq == 4).values({column: value}))
    assert broken(served) == 4


def test_a_removed_line_is_found(served):
    change(served, delete(AuditEntry).where(AuditEntry.seq == 3))
    assert broken(served) == 3


def test_a_cut_end_is_found_and_stays_found_however_much_is_written_after(served):
    change(served, delete(AuditEntry).where(AuditEntry.seq > 5))
    assert broken(served) == 6
    add(served, 12)
    assert read_head(served.settings.data).seq == 8 and broken(served) == 8


def test_a_removed_note_is_not_made_anew(served):
    (served.settings.data / HEAD).unlink()
    change(served, delete(AuditEntry).where(AuditEntry.seq > 5))
    add(served, 3)
    assert read_head(served.settings.data) is None, "who looks is told that the note is gone"


def test_a_log_that_was_written_anew_as_a_whole_is_found_by_what_was_noted(served):
    noted = read_head(served.settings.data)
    change(served, delete(AuditEntry))
    add(served, 9)
    assert read_head(served.settings.data) == noted and broken(served) == 8


@pytest.mark.parametrize("words", ["", "8", "x y", "8 short", "\xff" * 90])
def test_a_note_that_says_nothing_is_told_and_not_replaced(served, words):
    (served.settings.data / HEAD).write_bytes(words.encode("latin-1"))
    add(served, 1)
    with pytest.raises(StoreError, match="changed by hand or is damaged"):
        broken(served)


def test_what_is_rolled_back_leaves_no_line_and_no_note(served):
    with pytest.raises(RuntimeError), served.app.state.sessions.begin() as session:
        record(session, Action.VIEW, by=None)
        raise RuntimeError
    assert read_head(served.settings.data).seq == 8 and broken(served) is None
    with served.app.state.sessions() as session:
        assert len(list(export(session))) == 8
