"""Fetching studies from a real Orthanc, all three ways."""

import pytest
from orthanc_made import NAME, PASSWORD, free_port, running_orthanc
from study_made import open_room, write_study

from panlesion.aid.store import files
from panlesion.aid.store.files import content_sha256
from panlesion.aid.store.pull import run_pull
from panlesion.aid.store.receiver import start_receiver
from panlesion.aid.store.remote import RemoteError, echo, search
from panlesion.aid.tables import Node, Rejected, Study
from panlesion.aid.vocabulary import NodeKind, StudySource

STUDY = "2.25.77"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(folder) as running:
        for path in write_study(folder / "ct", study=STUDY):
            running.upload(path)
        yield running


@pytest.fixture(scope="module")
def originals(tmp_path_factory, orthanc):
    folder = tmp_path_factory.mktemp("originals")
    for uid in orthanc.instances(STUDY):
        (folder / uid).write_bytes(orthanc.fetch(uid))
    return {content_sha256(path) for path in folder.iterdir()}


def node_of(orthanc, kind=NodeKind.DICOMWEB, **told):
    return Node(name="PACS", kind=kind, active=True, **_address(orthanc), **{"retrieves_by": "get", **told})


def _address(orthanc):
    return {
        "url": orthanc.dicomweb,
        "user": NAME,
        "password": PASSWORD,
        "host": orthanc.host,
        "port": orthanc.dicom_port,
        "ae_title": orthanc.ae_title,
    }


def listed(room, node):
    with room.sessions.begin() as session:
        session.add(node)
    return node


def pull(room, node, study=STUDY):
    said = []
    payload = {"node_id": str(node.id), "study_uid": study}
    return run_pull(room.sessions, room.settings, payload, lambda done, words: said.append((done, words)))


@pytest.mark.parametrize("how", ["web", "get", "move"])
def test_a_study_is_fetched_whole_and_a_second_time_changes_nothing(tmp_path, orthanc, originals, how):
    room = open_room(tmp_path, dicom_port=free_port())
    orthanc.knows_us_at(room.settings.dicom_port)
    kind = NodeKind.DICOMWEB if how == "web" else NodeKind.DIMSE
    node = listed(room, node_of(orthanc, kind, retrieves_by="get" if how == "web" else how))
    receiver = start_receiver(room.settings, room.sessions)
    try:
        first, second = pull(room, node), pull(room, node)
    finally:
        receiver.stop()
    assert (first["taken"], first["again"], first["refused"]) == (len(originals), 0, 0)
    assert (second["taken"], second["again"], second["refused"]) == (0, len(originals), 0)
    assert {content_sha256(path) for path in room.files()} == originals and len(room.files()) == len(originals)
    with room.sessions() as session:
        (study,) = session.query(Study).all()
        assert (study.source, study.images) == (StudySource.PULL, len(originals))
        assert session.query(Rejected).count() == 0


@pytest.mark.parametrize("kind", list(NodeKind))
def test_a_pacs_is_tried_and_searched(orthanc, tmp_path, kind):
    room, node = open_room(tmp_path), node_of(orthanc, kind)
    assert "answers" in echo(node, room.settings)
    for q in ("", "muster", "P-1", STUDY, "A1"):
        assert [(s["StudyInstanceUID"], s["PatientID"], s["ModalitiesInStudy"]) for s in search(node, room.settings, q)] == [
            (STUDY, "P-1", "CT")
        ], q
    assert search(node, room.settings, "nobody") == []


@pytest.mark.parametrize("how", ["web", "get", "move"])
def test_a_study_that_the_pacs_does_not_have_is_told(tmp_path, orthanc, how):
    room = open_room(tmp_path, dicom_port=free_port())
    kind = NodeKind.DICOMWEB if how == "web" else NodeKind.DIMSE
    node = listed(room, node_of(orthanc, kind, retrieves_by="get" if how == "web" else how))
    with pytest.raises(RemoteError, match="PACS"):
        pull(room, node, "2.25.404")
    assert room.files() == []


def test_a_move_without_a_receiver_or_to_a_title_nobody_knows_is_told(tmp_path, orthanc):
    room = open_room(tmp_path)
    node = listed(room, node_of(orthanc, NodeKind.DIMSE, retrieves_by="move"))
    with pytest.raises(RemoteError, match="--dicom-port"):
        pull(room, node)
    room = open_room(tmp_path / "b", dicom_port=free_port(), ae_title="STRANGER")
    node = listed(room, node_of(orthanc, NodeKind.DIMSE, retrieves_by="move"))
    with pytest.raises(RemoteError, match="status"):
        pull(room, node)


def test_a_move_whose_images_we_refuse_is_no_success(tmp_path, orthanc, monkeypatch):
    room = open_room(tmp_path, dicom_port=free_port())
    orthanc.knows_us_at(room.settings.dicom_port)
    node = listed(room, node_of(orthanc, NodeKind.DIMSE, retrieves_by="move"))
    monkeypatch.setattr(files, "KEEP_FREE_BYTES", 1 << 62)
    receiver = start_receiver(room.settings, room.sessions)
    try:
        with pytest.raises(RemoteError, match="PACS"):
            pull(room, node)
    finally:
        receiver.stop()
    assert room.files() == []


def test_a_node_that_was_switched_off_is_not_asked(tmp_path, orthanc):
    room = open_room(tmp_path)
    node = listed(room, node_of(orthanc))
    with room.sessions.begin() as session:
        session.get_one(Node, node.id).active = False
    with pytest.raises(RemoteError, match="switched off"):
        pull(room, node)
