"""The C-STORE receiver, with real associations on loopback."""

import gc
import socket
import time
from contextlib import contextmanager

import pydicom
import pytest
from orthanc_made import running_orthanc
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE
from study_made import open_room, write_study
from waiting_made import waited

import panlesion.aid.store.files as files
from panlesion.aid.store.arrival import settle
from panlesion.aid.store.receiver import CANNOT_UNDERSTAND, MISMATCH, OUT_OF_RESOURCES, SUCCESS, VERIFICATION, start_receiver
from panlesion.aid.tables import Instance, Rejected, Study
from panlesion.aid.vocabulary import StudySource, StudyState

# pynetdicom leaves the socket of a peer that is gone to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@contextmanager
def receiving(folder, *, timeout_s=5.0, **settings):
    room = open_room(folder, **settings)
    receiver = start_receiver(room.settings, room.sessions, timeout_s=timeout_s)
    try:
        yield room, receiver
    finally:
        receiver.stop()
        gc.collect()


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


def test_titles_are_checked(tmp_path):
    with receiving(tmp_path, calling_ae_titles=("SCANNER",)) as (_, receiver):
        assert associated(receiver.port, called="OTHER").is_rejected
        assert associated(receiver.port, calling="STRANGER").is_rejected
        assoc = associated(receiver.port)
        assert assoc.send_c_echo().Status == SUCCESS
        assoc.release()


def test_compressed_images_are_kept_undecoded(tmp_path):
    with receiving(tmp_path) as (room, receiver):
        path = write_study(tmp_path / "ct", slices=1)[0]
        ds = pydicom.dcmread(path)
        ds.compress(JPEG2000Lossless, generate_instance_uid=False)
        ds.save_as(path)
        assert send(receiver.port, [path], syntaxes=[JPEG2000Lossless]) == [SUCCESS]
        assert files.content_sha256(room.files()[0]) == files.content_sha256(path)


def test_what_cannot_be_kept_is_answered_with_its_status_and_listed(tmp_path, monkeypatch):
    with receiving(tmp_path) as (room, receiver):
        good, bad = write_study(tmp_path / "ct", slices=2)
        ds = pydicom.dcmread(bad)
        del ds.PixelData
        ds.save_as(bad)
        assert send(receiver.port, [bad, good]) == [CANNOT_UNDERSTAND, SUCCESS]
        with room.sessions() as session:
            (line,) = session.query(Rejected).all()
            assert line.name.startswith("SCANNER: ") and "PixelData" in line.reason
        monkeypatch.setattr(files, "KEEP_FREE_BYTES", 1 << 62)
        assert send(receiver.port, [write_study(tmp_path / "b", slices=1)[0]]) == [OUT_OF_RESOURCES]
        assert len(room.files()) == 1


def test_an_image_that_is_not_the_one_announced_is_a_mismatch(tmp_path):
    with receiving(tmp_path) as (room, receiver):
        path = write_study(tmp_path / "ct", slices=1)[0]
        assoc = associated(receiver.port)
        real = assoc.dimse.send_msg

        def lying(request, context):
            request.AffectedSOPInstanceUID = "2.25.1"
            real(request, context)

        assoc.dimse.send_msg = lying
        assert assoc.send_c_store(path).Status == MISMATCH
        assoc.release()
        assert room.files() == []


def test_a_flood_of_associations_is_rejected_and_who_is_connected_goes_on(tmp_path):
    with receiving(tmp_path, max_associations=2) as (_, receiver):
        first, second = associated(receiver.port), associated(receiver.port)
        assert first.is_established and second.is_established
        flood = [associated(receiver.port) for _ in range(4)]
        assert not any(assoc.is_established for assoc in flood)
        assert first.send_c_echo().Status == SUCCESS
        first.release()
        second.release()
        assert waited(lambda: associated_once(receiver.port))


def test_connections_that_say_nothing_do_not_keep_others_out(tmp_path):
    with receiving(tmp_path, max_associations=2, timeout_s=1.0) as (_, receiver):
        silent = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(12)]
        assert waited(lambda: associated_once(receiver.port), every_s=0.5)
        for each in silent:
            each.close()


def test_a_sender_that_dies_in_the_middle_leaves_nothing_half(tmp_path):
    with receiving(tmp_path, timeout_s=1.0) as (room, receiver):
        paths = write_study(tmp_path / "ct", slices=2)
        assoc = associated(receiver.port)
        assert assoc.send_c_store(paths[0]).Status == SUCCESS
        # a P-DATA piece that announces more than it brings, and then nothing
        assoc.dul.socket.socket.sendall(b"\x04\x00" + (50_000).to_bytes(4, "big") + bytes(20_000))
        assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        assoc.abort()
        assert waited(lambda: associated_once(receiver.port))
        assert len(room.files()) == 1
        with room.sessions() as session:
            assert session.query(Instance).count() == 1


def test_a_piece_that_announces_more_than_agreed_is_not_waited_for(tmp_path):
    with receiving(tmp_path) as (_, receiver):
        assoc = associated(receiver.port)
        assoc.dul.socket.socket.sendall(b"\x04\x00" + (0xFFFFFFF0).to_bytes(4, "big"))
        assert waited(lambda: not assoc.is_established, within_s=3)


def test_an_image_that_does_not_end_is_cut_off(tmp_path):
    with receiving(tmp_path, max_file_bytes=1 << 20) as (room, receiver):
        ds = pydicom.dcmread(write_study(tmp_path / "ct", slices=1)[0])
        ds.PixelData = bytes(4 << 20)
        assoc = associated(receiver.port)
        status = assoc.send_c_store(ds)
        assert "Status" not in status
        assert room.files() == []


def test_stopping_waits_for_nobody(tmp_path):
    room = open_room(tmp_path)
    receiver = start_receiver(room.settings, room.sessions)
    silent = socket.create_connection(("127.0.0.1", receiver.port))
    half = associated(receiver.port)
    half.dul.socket.socket.sendall(b"\x04\x00" + (50_000).to_bytes(4, "big") + bytes(20_000))
    time.sleep(0.2)
    begin = time.monotonic()
    receiver.stop()
    assert time.monotonic() - begin < 5
    assert associated(receiver.port).is_established is False
    half.abort()
    silent.close()
    gc.collect()


def test_orthanc_sends_to_us(tmp_path):
    with receiving(tmp_path) as (room, receiver), running_orthanc(tmp_path / "orthanc") as orthanc:
        paths = write_study(tmp_path / "ct", study="2.25.7")
        for path in paths:
            orthanc.upload(path)
        orthanc.knows_us_at(receiver.port)
        orthanc.send_study("2.25.7")
        with room.sessions() as session:
            assert session.query(Study).one().images == len(paths)


def associated_once(port):
    assoc = associated(port)
    if assoc.is_established:
        assoc.release()
        return True
    return False
