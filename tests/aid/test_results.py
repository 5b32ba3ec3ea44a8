"""Results that no row names go, and never those that somebody needs or is writing."""

import pytest
from queue_made import add_study, queue
from study_made import open_room

from panlesion.aid.jobs.queue import claim
from panlesion.aid.jobs.results import attempt_folder, sweep_results
from panlesion.aid.tables import Reading
from panlesion.aid.vocabulary import JobKind, ReadingState


@pytest.fixture
def room(tmp_path):
    return open_room(tmp_path)


def folder_of(room, study, name):
    made = room.settings.data / "results" / str(study) / name
    made.mkdir(parents=True)
    return made


def test_at_a_start_what_is_running_and_what_is_named_stays(room):
    study, gone = add_study(room.sessions, "1.2.3"), add_study(room.sessions, "1.2.4")
    job = queue(room.sessions, JobKind.ANALYSE, study_id=study)
    named, forgotten = folder_of(room, study, "named-1"), folder_of(room, gone, "forgotten-1")
    by_hand, to_send = folder_of(room, gone, "hand-12"), folder_of(room, study, "sent-1")
    with room.sessions.begin() as session:
        path = named.relative_to(room.settings.data).as_posix()
        session.add(
            Reading(study_id=study, state=ReadingState.READY, document={}, mask_path="m", original_mask="m", original_path=path)
        )
    queue(room.sessions, JobKind.SEND, payload={"folder": to_send.relative_to(room.settings.data).as_posix()})
    running = claim(room.sessions, room.settings, [JobKind.ANALYSE])
    assert running.id == job.id
    whole = attempt_folder(room.settings, running)
    partial = whole.with_name(f".{whole.name}.partial-7")
    for one in (whole, partial):
        one.mkdir()
    assert set(sweep_results(room.sessions, room.settings)) == {forgotten, by_hand}
    assert all(one.is_dir() for one in (named, to_send, whole, partial)) and not forgotten.parent.exists()


def test_of_one_study_all_goes_that_other_attempts_left(room):
    study, other = add_study(room.sessions, "1.2.3"), add_study(room.sessions, "1.2.4")
    queue(room.sessions, JobKind.ANALYSE, study_id=study)
    running = claim(room.sessions, room.settings, [JobKind.ANALYSE])
    earlier, partial = folder_of(room, study, f"{running.id}-0"), folder_of(room, study, f".{running.id}-0.partial-7")
    by_hand, elsewhere = folder_of(room, study, ".hand-12.partial-7"), folder_of(room, other, "x-1")
    assert set(sweep_results(room.sessions, room.settings, study)) == {earlier, partial}
    assert by_hand.is_dir() and elsewhere.is_dir()
