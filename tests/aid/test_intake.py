"""Files in: once each, by UID; refused with a reason, or kept; nothing in between, whatever happens."""

import io
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from study_made import open_room, write_study

import panlesion.aid.store.intake as intake
from panlesion.aid.store import files
from panlesion.aid.store.intake import Outcome, Wanted, take_stream
from panlesion.aid.store.recover import sweep
from panlesion.aid.tables import Instance, Job, Reading, Rejected, Series, Study
from panlesion.aid.vocabulary import JobKind, ReadingState, StudySource, StudyState
from panlesion.data.publish import DiskFullError

SERIES = "2.25.5"


@pytest.fixture
def room(tmp_path):
    return open_room(tmp_path)


def rows(room, table):
    with room.sessions() as session:
        return session.query(table).all()


def check_whole(room):
    """Every row has its file, every file its row, and studies and series count them."""
    kept = {room.settings.data / row.path: row for row in rows(room, Instance)}
    assert sorted(kept) == room.files()
    assert sum(study.images for study in rows(room, Study)) == len(kept) == sum(s.images for s in rows(room, Series))


def rewritten(path, **values):
    ds = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    return path


def test_a_file_is_kept_as_it_came_and_again_changes_nothing(room, tmp_path):
    path = write_study(tmp_path / "ct", slices=1)[0]
    first = room.take(path)
    before = rows(room, Study)[0]
    assert (first.outcome, room.take(path).outcome) == (Outcome.TAKEN, Outcome.AGAIN)
    after = rows(room, Study)[0]
    assert (after.changed_at, after.last_image_at, after.images) == (before.changed_at, before.last_image_at, 1)
    assert room.files()[0].read_bytes() == path.read_bytes()
    check_whole(room)


def test_two_that_send_the_same_at_once_make_one_row_each(room, tmp_path):
    paths = write_study(tmp_path / "ct", slices=6) * 4
    with ThreadPoolExecutor(4) as pool:
        outcomes = [taken.outcome for taken in pool.map(room.take, paths)]
    assert sorted(outcomes) == [Outcome.AGAIN] * 18 + [Outcome.TAKEN] * 6
    assert (len(rows(room, Study)), len(rows(room, Series))) == (1, 1)
    check_whole(room)


def test_the_same_image_with_another_file_meta_is_the_same(room, tmp_path):
    path = write_study(tmp_path / "ct", slices=1)[0]
    room.take(path)
    ds = pydicom.dcmread(path)
    ds.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    ds.save_as(path, enforce_file_format=True)
    assert room.take(path).outcome is Outcome.AGAIN


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"PatientComments": "other"}, "differs from what is kept"),
        ({"StudyInstanceUID": "2.25.99"}, "one of another study"),
        ({"SeriesInstanceUID": "2.25.99"}, "one of another series"),
        ({"SOPInstanceUID": "2.25.99", "PatientID": "P-2"}, "another PatientID"),
    ],
)
def test_what_contradicts_what_is_kept_is_refused_and_that_stays(room, tmp_path, values, reason):
    path = write_study(tmp_path / "ct", slices=1)[0]
    room.take(path)
    kept = room.files()[0].read_bytes()
    refused = room.take(rewritten(path, **values))
    assert refused.outcome is Outcome.REFUSED and reason in refused.reason
    assert [row.reason for row in rows(room, Rejected)] == [refused.reason]
    assert room.files()[0].read_bytes() == kept
    check_whole(room)


def test_another_image_than_was_announced_is_refused(room, tmp_path):
    path = write_study(tmp_path / "ct", slices=1)[0]
    for wanted in (Wanted(study_uid="2.25.9"), Wanted(sop_uid="2.25.9"), Wanted(sop_class="2.25.9")):
        stream = io.BytesIO(path.read_bytes())
        told = {"name": "a", "source": StudySource.STORE, "by": None, "wanted": wanted}
        taken = take_stream(room.sessions, room.settings, stream, **told)
        assert taken.mismatch and taken.outcome is Outcome.REFUSED
    check_whole(room)


def test_a_deflated_file_is_kept_in_a_form_that_can_be_read(room, tmp_path):
    path = write_study(tmp_path / "ct", slices=1)[0]
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "deflated", enforce_file_format=True)
    assert room.take(tmp_path / "deflated").outcome is Outcome.TAKEN
    kept = pydicom.dcmread(room.files()[0])
    assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert kept == pydicom.dcmread(path)
    assert (room.take(tmp_path / "deflated").outcome, room.take(path).outcome) == (Outcome.AGAIN, Outcome.AGAIN)


def test_a_deflated_file_that_unpacks_beyond_measure_is_refused(tmp_path):
    room = open_room(tmp_path, max_file_bytes=1 << 20)
    ds = pydicom.dcmread(write_study(tmp_path / "ct", slices=1)[0])
    ds.PixelData, ds.NumberOfFrames = bytes(8 << 20), 1
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "bomb", enforce_file_format=True)
    assert (tmp_path / "bomb").stat().st_size < 1 << 17
    assert "larger than" in room.take(tmp_path / "bomb").reason
    assert room.files() == []


@pytest.mark.parametrize("step", ["settle_down", "_count_in"])
def test_a_failure_between_two_steps_leaves_nothing_and_a_resend_mends_it(room, tmp_path, monkeypatch, step):
    paths = write_study(tmp_path / "ct", slices=2)
    room.take(paths[0])

    def broken(*_):
        raise OSError("pulled the plug")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="plug"):
        patched.setattr(intake, step, broken)
        room.take(paths[1])
    check_whole(room)
    assert room.take(paths[1]).outcome is Outcome.TAKEN
    check_whole(room)


def test_a_kill_at_any_moment_loses_nothing_that_was_told_as_taken(room, tmp_path):
    # in a child that is killed as it is about to commit, and one killed before its file has its place
    paths = write_study(tmp_path / "ct", slices=3)
    room.take(paths[0])
    for path, step in ((paths[1], "after the rename"), (paths[2], "before it")):
        child = os.fork()
        if child == 0:
            real = intake.settle_down

            def last(landed, target, step=step, real=real):
                if step == "after the rename":
                    real(landed, target)
                os._exit(9)

            intake.settle_down = last
            other = open_room(tmp_path)
            other.take(path)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert [row.images for row in rows(room, Study)] == [1]
    sweep(room.sessions, room.settings)
    assert [room.take(path).outcome for path in paths] == [Outcome.AGAIN, Outcome.TAKEN, Outcome.TAKEN]
    check_whole(room)


def test_a_commit_whose_answer_was_lost_is_not_taken_back(room, tmp_path):
    path, lost = write_study(tmp_path / "ct", slices=1)[0], [True]

    def lose(_session):
        if lost:
            lost.clear()
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    event.listen(room.sessions, "after_commit", lose)
    with pytest.raises(OperationalError):
        room.take(path)
    check_whole(room)
    assert len(room.files()) == 1 and room.take(path).outcome is Outcome.AGAIN


def test_an_image_whose_file_is_gone_comes_back_with_a_resend(room, tmp_path):
    path = write_study(tmp_path / "ct", slices=1)[0]
    room.take(path)
    room.files()[0].unlink()
    assert room.take(path).outcome is Outcome.AGAIN
    assert room.files()[0].read_bytes() == path.read_bytes()
    check_whole(room)


def test_a_full_disk_is_told_and_nothing_is_kept(room, tmp_path, monkeypatch):
    path = write_study(tmp_path / "ct", slices=1)[0]
    with monkeypatch.context() as patched, pytest.raises(DiskFullError, match="free"):
        patched.setattr(files, "KEEP_FREE_BYTES", 1 << 62)
        room.take(path)
    assert room.files() == [] and rows(room, Study) == []
    assert room.take(path).outcome is Outcome.TAKEN


def test_names_are_cleaned_for_display_and_stay_as_they_are_in_the_file(room, tmp_path):
    def nasty(_, ds):
        ds.PatientName = "Muster\x1b[31m^<b>Er\u202eika\x00"
        ds.SpecificCharacterSet = "ISO_IR 192"

    path = write_study(tmp_path / "ct", slices=1, change=nasty)[0]
    assert room.take(path).outcome is Outcome.TAKEN
    assert rows(room, Study)[0].patient_name == "Muster[31m^<b>Erika"
    assert room.files()[0].read_bytes() == path.read_bytes()


@pytest.mark.parametrize("state", [StudyState.QUEUED, StudyState.READY, StudyState.FAILED, StudyState.DRAFT, StudyState.SIGNED])
@pytest.mark.parametrize("where", ["primary", "elsewhere"])
def test_an_image_that_comes_late_calls_a_study_back_only_if_nobody_reads_it(room, tmp_path, state, where):
    study, other = generate_uid(), generate_uid()
    paths = write_study(tmp_path / "ct", slices=2, study=study, series=SERIES)
    late = paths[1] if where == "primary" else write_study(tmp_path / "b", slices=1, study=study, series=other)[0]
    study_id = room.take(paths[0]).study_id
    begun = state in (StudyState.DRAFT, StudyState.SIGNED)
    with room.sessions.begin() as session:
        kept = session.get_one(Study, study_id)
        kept.state, kept.primary_series = state, SERIES
        if state in (StudyState.READY, StudyState.DRAFT, StudyState.SIGNED):
            reading = ReadingState(state.value)
            session.add(Reading(study_id=study_id, state=reading, document={}, mask_path=""))
        session.add(Job(kind=JobKind.ANALYSE, key=intake.analyse_key(study_id), study_id=study_id))
    assert room.take(late).outcome is Outcome.TAKEN
    back = where == "primary" and not begun
    assert rows(room, Study)[0].state is (StudyState.ARRIVING if back else state)
    assert len(rows(room, Job)) == (0 if back else 1)
    check_whole(room)


def test_damaged_files_are_taken_or_refused_and_never_an_exception(room, tmp_path):
    original = write_study(tmp_path / "ct", slices=1)[0].read_bytes()
    rng = np.random.default_rng(7)
    outcomes = []
    for case in range(300):
        data = bytearray(original)
        if case % 3 == 0:
            del data[int(rng.integers(0, len(data))) :]
        else:
            # what matters is in the header, before the pixels
            for at in rng.integers(128, 1500 if case % 3 == 1 else len(data), int(rng.integers(1, 6))):
                data[at] = rng.integers(0, 256)
        told = {"name": f"case {case}", "source": StudySource.UPLOAD, "by": None}
        taken = take_stream(room.sessions, room.settings, io.BytesIO(bytes(data)), **told)
        assert taken.outcome is not Outcome.REFUSED or taken.reason, case
        outcomes.append(taken.outcome)
    assert {Outcome.TAKEN, Outcome.REFUSED} <= set(outcomes)
    assert not [o for o in outcomes[::3] if o is Outcome.TAKEN], "a truncated file was taken"
    check_whole(room)
