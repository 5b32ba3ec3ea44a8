import json
import threading
from pathlib import Path

import numpy as np
import pytest
from dicom_made import lesion_mask
from reading_made import add_study, analysed, made_findings, read_study, shared

from panlesion.aid.reads.begin import begin_reading
from panlesion.aid.tables import Reading, Study, Version
from panlesion.aid.vocabulary import ReadingState, Role, StudyState
from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import LabelMap
from panlesion.errors import ReadError
from panlesion.infer.record import FINDINGS_FILE, LESIONS_FILE


def again(read, **changes) -> Path:
    """A second analysis of the same study."""
    mask = lesion_mask(read.ct).labels.copy()
    mask[mask == 3] = 0
    found = made_findings(**changes)
    return analysed(read.served, read.study_id, read.ct, found, LabelMap(labels=mask, grid=read.ct.volume.grid))


def test_every_finding_of_the_ai_is_there_as_it_was_read_else_measured():
    read = read_study()
    told, theirs = read.get(), json.loads((read.results / FINDINGS_FILE).read_text())
    assert [one["ai"] for one in told["findings"]] == theirs["lesions"]
    for one, record in zip(told["findings"], theirs["lesions"], strict=True):
        assert (one["origin"], one["decision"], one["mask_edited"]) == ("ai", "open", False)
        assert one["size"]["volume_ml"] == record["volume_ml"]
        for name, attribute in one["attributes"].items():
            was = record["attributes"][name]
            assert attribute["value"] == (was["measured"] if was["read"] is None else was["read"])
            assert attribute["by"] == "ai" and attribute["ai"] == was["read"] and attribute["measured"] == was["measured"]
    assert told["suspicion"] == theirs["suspicion"] and told["doubts"] == theirs["doubts"]
    assert "0.30" in told["operating_point"] and "nano" in told["algorithm"]
    assert (read.mask() == lesion_mask(read.ct).labels).all() and (read.mask(original=True) == read.mask()).all()


def test_what_nobody_has_touched_is_begun_anew_as_the_next_version():
    read = read_study()
    read.get()
    again(read, suspicion={"overall": 0.2})
    told = read.get()
    assert (told["version"], told["state"], told["suspicion"]) == (2, "ready", {"overall": 0.2})
    assert 3 not in read.mask() and 3 not in read.mask(original=True)
    assert read.change({"op": "decide", "number": 1, "decision": "accepted"}, version=1).status_code == 412
    with read.session as session:
        assert session.get(Version, (read.study_id, 1)) is not None


def test_what_a_person_has_begun_is_left_as_it_is():
    read = read_study()
    read.change({"op": "decide", "number": 1, "decision": "accepted"})
    before = read.get()
    again(read, suspicion={"overall": 0.2})
    assert read.get() == before and 3 in read.mask(original=True)


def test_results_that_are_not_whole_begin_nothing():
    served = shared()
    study_id, ct = add_study(served)
    mask = lesion_mask(ct)
    strange = LabelMap(labels=np.where(mask.labels == 1, 77, mask.labels).astype(np.uint8), grid=mask.grid)
    with pytest.raises(ReadError, match="does not fit"):
        analysed(served, study_id, ct, made_findings(), strange)
    results = next((served.settings.data / "results" / str(study_id)).iterdir())
    write_labels(results / LESIONS_FILE, mask)
    (results / FINDINGS_FILE).write_text("{")
    with served.app.state.sessions() as session:
        with pytest.raises(ReadError):
            begin_reading(session, served.settings, session.get(Study, study_id), results)
        assert session.get(Reading, study_id) is None


def test_a_study_whose_analysis_failed_is_begun_by_hand_and_read():
    read = read_study()
    read.study_id, _ = add_study(read.served, state=StudyState.FAILED, problem="out of memory")
    assert read.client().get(f"{read.path}/reading").status_code == 404
    begun = read.client().post(f"{read.path}/reading")
    assert begun.status_code == 201, begun.text
    assert (begun.json()["version"], begun.json()["state"], begun.json()["findings"]) == (1, "draft", [])
    assert not read.mask().any()
    assert read.client().post(f"{read.path}/reading").status_code == 409
    assert read.client().get(f"{read.path}/findings").status_code == 404
    assert read.change({"op": "add", "number": 1, "type": "liver_cyst"}).status_code == 200
    painted = read.mask().copy()
    painted[4:9, 5:9, 3] = 1
    told = read.paint(painted[:, :, 3:4], 3).json()
    assert told["findings"][0]["size"]["volume_ml"] > 0 and told["findings"][0]["ai"] is None
    assert told["impression"][0].startswith("Cyst") or "cyst" in told["impression"][0]
    with read.session as session:
        assert session.get(Study, read.study_id).state is StudyState.DRAFT
        assert session.get(Reading, read.study_id).state is ReadingState.DRAFT


def test_only_a_failed_study_that_can_be_read_is_begun_by_hand():
    read = read_study()
    read.study_id, _ = add_study(read.served, state=StudyState.QUEUED)
    assert read.client().post(f"{read.path}/reading").status_code == 409
    read.study_id, _ = add_study(read.served, state=StudyState.FAILED)
    for image in (read.served.settings.data / "dicom" / str(read.study_id)).rglob("I*"):
        image.write_bytes(image.read_bytes()[:200])
    refused = read.client().post(f"{read.path}/reading")
    assert refused.status_code == 422 and refused.json()["detail"]
    assert str(read.served.settings.data) not in refused.json()["detail"]
    assert not (read.served.settings.data / "results" / str(read.study_id)).exists()
    assert read.client(Role.MANAGER).post(f"{read.path}/reading").status_code == 403


def test_of_several_who_begin_at_once_one_does():
    read = read_study()
    read.client()
    read.study_id, _ = add_study(read.served, state=StudyState.FAILED)
    start, answers = threading.Barrier(4), []

    def begin() -> None:
        start.wait()
        answers.append(read.client().post(f"{read.path}/reading").status_code)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(answers) == [201, 409, 409, 409]
