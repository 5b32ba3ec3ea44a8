"""The C-STORE receiver, with real associations on loopback."""

from contextlib import contextmanager

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from study_made import open_room, write_study

import panlesion.aid.store.files as files
from panlesion.aid.store.arrival import settle
from panlesion.aid.store.receiver import SUCCESS, VERIFICATION, start_receiver
from panlesion.aid.tables import Study
from panlesion.aid.vocabulary import StudySource, StudyState


@contextmanager
def receiving(folder, *, timeout_s=5.0, **settings):
    room = open_room(folder, **settings)
    receiver = start_receiver(room.settings, room.sessions, timeout_s=timeout_s)
    try:
        yield room, receiver
    finally:
        receiver.stop()


def associated(port, *, called="PANLESION", calling="SCANNER", syntaxes=(ExplicitVRLittleEndian,)):
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 10
    ae.add_requested_context(CTImageStorage, list(syntaxes))
    ae.add_requested_context(VERIFICATION)
    return ae.associate("127.0.0.1", port, ae_title=called)


def send(port, paths, **how):
    assoc = associated(port, **how)
    assert assoc.is_established
    try:
        return [assoc.send_c_store(path).Status for path in paths]
    finally:
        assoc.release()


def test_images_that_are_sent_are_kept_byte_for_byte_and_settle_into_the_queue(tmp_path):
    with receiving(tmp_path, quiet_s=0) as (room, receiver):
        paths = write_study(tmp_path / "ct")
        assert send(receiver.port, paths) == [SUCCESS] * len(paths)
        assert send(receiver.port, paths) == [SUCCESS] * len(paths)
        assert len(room.files()) == len(paths)
        kept = {files.content_sha256(path) for path in room.files()}
        assert kept == {files.content_sha256(path) for path in paths}
        assert len(settle(room.sessions, room.settings)) == 1
        with room.sessions() as session:
            (study,) = session.query(Study).all()
            assert (study.state, study.source, study.images) == (StudyState.QUEUED, StudySource.STORE, len(paths))
