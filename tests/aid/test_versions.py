import threading
from collections import Counter

import pytest
from postgres_made import running_postgres
from reading_made import read_study, row
from server_made import serve

from panlesion.aid.reads.document import Document
from panlesion.aid.reads.versions import SignedError, VersionConflictError, store
from panlesion.aid.tables import AuditEntry, Reading, User, Version
from panlesion.aid.vocabulary import Action, ReadingState, Role


@pytest.fixture
def read():
    return read_study()


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def served(request, tmp_path_factory):
    """A server on each database."""
    folder = tmp_path_factory.mktemp("data")
    if request.param == "SQLite":
        yield serve(folder)
        return
    with running_postgres() as cluster:
        served = serve(folder, database_url=cluster.database())
        yield served
        served.app.state.sessions.kw["bind"].dispose()


def comment(read, text: str, version: int):
    return read.change({"op": "write", "field": "comment", "text": text}, version=version)


def test_of_changes_of_one_version_exactly_one_is_kept(served):
    read = read_study(served)
    read.client(), read.get()
    start, answers = threading.Barrier(6), []

    def write(n: int) -> None:
        start.wait()
        answers.append((n, comment(read, f"by {n}", 1)))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert Counter(answer.status_code for _, answer in answers) == {200: 1, 412: 5}
    (winner,) = (n for n, answer in answers if answer.status_code == 200)
    told = read.get()
    assert (told["version"], told["comment"]) == (2, f"by {winner}")
    with read.session as session:
        assert session.query(Version).filter_by(study_id=read.study_id).count() == 1
        assert session.query(AuditEntry).filter_by(action=Action.EDIT.value, study_id=read.study_id).count() == 1


def test_a_row_that_was_loaded_before_another_changed_it_is_not_written_over(served):
    """As two processes would: both have checked the version before either writes."""
    read = read_study(served)
    sessions = read.served.app.state.sessions
    user = read.served.user(Role.READER, "other")
    with sessions() as first, sessions() as second:
        one, two = (session.get(Reading, read.study_id) for session in (first, second))
        document = Document.model_validate(one.document)
        store(first, one, document.model_copy(update={"comment": "first"}), one.mask_path, by=user)
        first.commit()
        with pytest.raises(VersionConflictError) as caught:
            store(second, two, document.model_copy(update={"comment": "second"}), two.mask_path, by=user)
        second.rollback()
    assert (caught.value.present.version, caught.value.present.by) == (2, user.display_name)
    assert (row(read).document["comment"], row(read).version) == ("first", 2)


def test_the_one_who_is_late_is_told_what_is_there(read):
    first = comment(read, "first", 1).json()
    late = comment(read, "late", 1)
    assert late.status_code == 412
    told = late.json()
    assert told["version"] == 2 and told["by"] == "Dr reader" and told["at"][:19] == first["changed_at"][:19]
    assert "you have version 1, the present one is 2" in told["detail"]
    assert read.get()["comment"] == "first"


def test_every_version_can_be_looked_at_as_it_was(read):
    texts = ["", "one", "two", "three"]
    for version, text in enumerate(texts[1:], 1):
        assert comment(read, text, version).status_code == 200
    with read.session as session:
        kept = {one.version: one for one in session.query(Version).filter_by(study_id=read.study_id)}
        assert [kept[n].document["comment"] for n in (1, 2, 3)] == texts[:3]
        assert kept[1].by is None and session.get(User, kept[2].by).display_name == "Dr reader"


def test_the_worklist_tells_how_many_findings_the_reading_keeps_beside_how_many_the_ai_has(read):
    def counts():
        study = read.client().get(read.path).json()
        return study["findings"], study["reported"]

    ai, untouched = counts()
    assert untouched is None
    assert read.change({"op": "decide", "number": 1, "decision": "rejected"}).status_code == 200
    assert counts() == (ai, 2)
    assert read.change({"op": "decide", "number": 1, "decision": "accepted"}).status_code == 200
    assert counts() == (ai, 3)


def test_a_signed_reading_does_not_change(read):
    with read.served.app.state.sessions.begin() as session:
        session.get(Reading, read.study_id).state = ReadingState.SIGNED
    before = row(read)
    refused = [
        comment(read, "late", 1),
        read.paint(read.mask()[:, :, :1], 0, version=1),
        read.client().put(f"{read.path}/prior", json={"study_id": None}),
        read.client().post(f"{read.path}/propose", json={"point_ijk": [1, 1, 1]}),
    ]
    assert [one.status_code for one in refused] == [409] * 4
    with read.session as session, pytest.raises(SignedError):
        reading = session.get(Reading, read.study_id)
        store(session, reading, Document(), reading.mask_path, by=read.served.user(Role.READER, "x"))
    assert (row(read).document, row(read).version) == (before.document, before.version)
