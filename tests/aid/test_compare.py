from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest
from dicom_made import lesion_mask
from reading_made import Read, add_study, analysed, made_findings, read_of, shared
from records_made import findings, lesion

from panlesion.aid.reads import compare
from panlesion.aid.tables import Access, Study
from panlesion.aid.vocabulary import Role, StudyState
from panlesion.ct.volume import Grid, LabelMap
from panlesion.infer.follow_up import register
from panlesion.infer.record import Caliper


def long_of(mm: float) -> Caliper:
    return Caliper(length_mm=mm, ends_ijk=((4, 5, 6), (10, 5, 6)), ends_xyz=((0, 0, 12.0), (mm, 0, 12.0)))


@pytest.fixture
def two() -> tuple[Read, Read]:
    """A study with a liver tumour of 24 mm, and one two years earlier in which it had 12 mm."""
    made, patient = [], uuid4().hex
    for year, mm in ((2024, 12.0), (2026, 24.0)):
        study_id, ct = add_study(shared(), study_at=datetime(year, 3, 4, tzinfo=UTC), patient_id=patient)
        small = lesion(1, long=long_of(mm))
        found = findings(small, *made_findings().lesions[1:], kind="dicom", shape=(48, 40, 7))
        results = analysed(shared(), study_id, ct, found, lesion_mask(ct))
        made.append(read_of(study_id, ct, results))
    return made[0], made[1]


def patient_of(read: Read) -> str:
    with read.session as session:
        return session.get(Study, read.study_id).patient_id


def choose(now: Read, prior):
    return now.client().put(f"{now.path}/prior", json={"study_id": None if prior is None else str(prior)})


def test_a_chosen_prior_is_compared_by_recist_and_can_be_let_go(two):
    prior, now = two
    assert now.get()["comparison"] is None
    told = choose(now, prior.study_id).json()["comparison"]
    assert told["response"] == "progressive disease" and told["prior_id"] == str(prior.study_id)
    (target,) = (one for one in told["pairs"] if one["target"])
    assert (target["prior"], target["now"], target["prior_mm"], target["now_mm"]) == (1, 1, 12.0, 24.0)
    assert now.get()["comparison"] == told
    assert choose(now, None).json()["comparison"] is None


def test_what_the_reader_rejects_is_no_longer_compared_at_either_date(two):
    prior, now = two
    choose(now, prior.study_id)
    prior.change({"op": "decide", "number": 1, "decision": "rejected"})
    told = now.get()["comparison"]
    assert told["response"] == "progressive disease" and "new lesion" in told["reason"]
    now.change({"op": "decide", "number": 1, "decision": "rejected"})
    assert now.get()["comparison"]["response"] == "not evaluable"


def test_priors_are_earlier_studies_of_the_same_patient_latest_first(two):
    prior, now = two
    older, _ = add_study(now.served, study_at=datetime(2019, 1, 1, tzinfo=UTC), patient_id=patient_of(now))
    add_study(now.served, study_at=datetime(2020, 1, 1, tzinfo=UTC), patient_id="P-2")
    add_study(now.served, study_at=datetime(2027, 1, 1, tzinfo=UTC), patient_id=patient_of(now))
    listed = now.client().get(f"{now.path}/priors").json()
    assert [one["id"] for one in listed] == [str(prior.study_id), str(older)]


def test_what_is_no_prior_cannot_be_chosen(two):
    prior, now = two
    stranger, _ = add_study(now.served, study_at=datetime(2020, 1, 1, tzinfo=UTC), patient_id="P-2")
    for wrong in (stranger, uuid4(), now.study_id):
        assert choose(now, wrong).status_code == 422
    assert choose(prior, now.study_id).status_code == 422
    nameless, _ = add_study(now.served, patient_id="")
    other, _ = add_study(now.served, patient_id="")
    now.study_id = nameless
    assert now.client().get(f"{now.path}/priors").json() == [] and other


def test_a_prior_that_was_never_analysed_is_said_to_be_so(two):
    _, now = two
    bare, _ = add_study(
        now.served, study_at=datetime(2020, 1, 1, tzinfo=UTC), state=StudyState.FAILED, patient_id=patient_of(now)
    )
    told = choose(now, bare).json()["comparison"]
    assert told["response"] == "not evaluable" and "not been analysed" in told["reason"]


def test_of_a_prior_that_the_asker_may_not_see_nothing_is_told(two):
    prior, now = two
    choose(now, prior.study_id)
    with now.served.app.state.sessions.begin() as session:
        session.get(Study, prior.study_id).restricted = True
    assert now.get()["comparison"] is None
    assert now.client().get(f"{now.path}/priors").json() == []
    assert choose(now, prior.study_id).status_code == 422
    with now.served.app.state.sessions.begin() as session:
        session.add(Access(study_id=prior.study_id, user_id=now.served.made[Role.READER].id))
    assert now.get()["comparison"]["response"] == "progressive disease"


def test_a_registration_is_kept_and_made_again_if_damaged(two):
    prior, now = two
    first = choose(now, prior.study_id).json()["comparison"]
    (kept,) = now.results.glob("registration-*.json")
    assert prior.results.name in kept.name
    for text in (kept.read_text(), "{", "[[1]]"):
        kept.write_text(text)
        compare._registration.cache_clear()
        assert now.get()["comparison"] == first


@pytest.mark.parametrize("spacing_mm", [(0.7, 0.7, 1.0), (1.5, 0.8, 5.0)])
def test_coarse_organs_are_registered_as_fine_ones_are(spacing_mm):
    grid = Grid(shape=(80, 70, 60), affine=np.diag([*spacing_mm, 1.0]))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[5:40, 6:50, 10:40], labels[50:70, 20:44, 15:50] = 5, 1
    moved = Grid(shape=grid.shape, affine=grid.affine + np.array([[0, 0, 0, 12.0], [0] * 4, [0, 0, 0, -7.0], [0] * 4]))
    pair = [LabelMap(labels=labels, grid=one) for one in (grid, moved)]
    fine, coarse = register(*pair), register(*(compare._coarse(one) for one in pair))
    assert np.allclose(fine.affine, coarse.affine, atol=0.3) and fine.organs == coarse.organs
