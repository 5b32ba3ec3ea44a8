"""Routes of studies: who may list, open, change, grant and delete, and what is kept from whom."""

from uuid import uuid4

import pytest
from queue_made import add_study
from server_made import serve
from sqlalchemy import select

from panlesion.aid.schemas.studies import StudyOut, WorklistOut
from panlesion.aid.tables import AuditEntry, Job, Reading, Series, Study
from panlesion.aid.vocabulary import Action, JobState, ReadingState, Role, StudyState


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return serve(tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module")
def browsers(served):
    return {role: served.client(role) for role in Role}


@pytest.fixture
def study(served):
    """A study of one CT and one MR series, ready to be read."""
    uid = f"1.{uuid4().int}"
    study_id = add_study(
        served.app.state.sessions, uid, state=StudyState.READY, primary_series=f"{uid}.1", patient_name="Doe^Jane", images=3
    )
    with served.app.state.sessions.begin() as session:
        session.add(Series(study_id=study_id, series_uid=f"{uid}.1", modality="CT", number=1, images=2))
        session.add(Series(study_id=study_id, series_uid=f"{uid}.2", modality="MR", number=2, images=1))
        session.add(Series(study_id=study_id, series_uid=f"{uid}.3", modality="CT", number=3, problem="planes are missing"))
        session.add(Series(study_id=study_id, series_uid=f"{uid}.4", modality="CT", number=4))
    return study_id


def row(served, study_id) -> Study:
    with served.app.state.sessions() as session:
        return session.get_one(Study, study_id)


def begun(served, study_id, state: ReadingState) -> None:
    with served.app.state.sessions.begin() as session:
        session.add(Reading(study_id=study_id, document={}, mask_path="", state=state))
        session.get_one(Study, study_id).state = StudyState(state.value)


def logged(served, study_id, action: Action) -> list[AuditEntry]:
    with served.app.state.sessions() as session:
        return list(
            session.scalars(select(AuditEntry).where(AuditEntry.study_id == study_id, AuditEntry.action == action.value))
        )


def test_the_list_is_json_of_what_the_schema_says(browsers, study):
    answer = browsers[Role.READER].get("/api/studies", params={"q": "jane doe", "limit": 500})
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    told = WorklistOut.model_validate_json(answer.content)
    assert study in {one.id for one in told.items} and set(answer.json()) == set(WorklistOut.model_fields)
    (mine,) = (one for one in answer.json()["items"] if one["id"] == str(study))
    assert mine["received_at"].endswith("Z") and mine["progress"] is None and mine["stage"] == ""
    opened = browsers[Role.READER].get(f"/api/studies/{study}").json()
    assert {name: opened[name] for name in mine} == mine


@pytest.mark.parametrize(
    "query",
    ["sort=name", "state=asleep", "limit=0", "limit=501", "offset=-1", "offset=1e3", "q=" + "x" * 201, "flagged=perhaps"],
)
def test_what_cannot_be_asked_is_refused_in_words(browsers, query):
    answer = browsers[Role.READER].get(f"/api/studies?{query}")
    assert answer.status_code == 422 and query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.usefixtures("study")
def test_the_same_state_twice_counts_once(browsers):
    once, twice = (browsers[Role.READER].get(f"/api/studies?{'&'.join(['state=ready'] * n)}").json() for n in (1, 2))
    assert once == twice and once["total"] == once["counts"]["ready"]


def test_a_view_is_written_down_once_a_minute_and_account(served, browsers, study):
    for role in (Role.READER, Role.READER, Role.MANAGER):
        told = StudyOut.model_validate_json(browsers[role].get(f"/api/studies/{study}").content)
    assert [one.number for one in told.series] == [1, 2, 3, 4] and told.grid is None
    assert len(logged(served, study, Action.VIEW)) == 2


@pytest.mark.parametrize("what", ["", "/access", "/reading", "/mask", "/volume", "/findings"])
def test_a_restricted_study_is_none_to_whom_it_is_not_open(browsers, study, what):
    browsers[Role.MANAGER].patch(f"/api/studies/{study}", json={"restricted": True})
    answer = browsers[Role.READER].get(f"/api/studies/{study}{what}")
    other = browsers[Role.READER].get(f"/api/studies/{uuid4()}{what}")
    assert (answer.status_code, answer.json()) == (other.status_code, other.json()) and answer.status_code in (403, 404)
    assert str(study) not in browsers[Role.READER].get("/api/studies?limit=500").text


def test_access_is_granted_and_withdrawn_by_managers(served, browsers, study):
    manager, reader = browsers[Role.MANAGER], browsers[Role.READER]
    mine = str(served.made[Role.READER].id)
    manager.patch(f"/api/studies/{study}", json={"restricted": True})
    assert mine in {one["id"] for one in manager.get("/api/readers").json()}
    for ids, status in (([mine], 200), ([mine, mine], 200), ([], 404)):
        assert manager.put(f"/api/studies/{study}/access", json={"user_ids": ids}).status_code == 200
        assert {one["id"] for one in manager.get(f"/api/studies/{study}/access").json()} == set(ids)
        assert reader.get(f"/api/studies/{study}").status_code == status
    strange = str(uuid4())
    refused = manager.put(f"/api/studies/{study}/access", json={"user_ids": [mine, strange]})
    assert refused.status_code == 422 and strange in refused.json()["detail"]
    assert manager.get(f"/api/studies/{study}/access").json() == []
    assert len(logged(served, study, Action.ACCESS_CHANGED)) == 4


def test_an_administrator_sees_what_was_granted_and_nothing_else(served, browsers, study):
    admin, manager = browsers[Role.ADMIN], browsers[Role.MANAGER]
    assert admin.get("/api/studies").status_code == 403
    manager.put(f"/api/studies/{study}/access", json={"user_ids": [str(served.made[Role.ADMIN].id)]})
    assert [one["id"] for one in admin.get("/api/studies").json()["items"]] == [str(study)]
    manager.put(f"/api/studies/{study}/access", json={"user_ids": []})
    assert admin.get("/api/studies").status_code == 403


def test_a_reader_changes_the_priority_alone_and_it_goes_with_the_queued_job(served, browsers, study):
    reader = browsers[Role.READER]
    assert reader.post(f"/api/studies/{study}/analyse").status_code == 202
    assert reader.patch(f"/api/studies/{study}", json={"priority": 7}).json()["priority"] == 7
    with served.app.state.sessions() as session:
        (job,) = session.scalars(select(Job).where(Job.study_id == study))
    assert job.priority == 7
    for change in ({"restricted": True}, {"primary_series": "1"}):
        assert reader.patch(f"/api/studies/{study}", json=change).status_code == 403
    for change in ({"priority": 11}, {"priority": None, "patient_name": "x"}, {"restricted": "maybe"}, []):
        assert reader.patch(f"/api/studies/{study}", json=change).status_code == 422
    assert row(served, study).restricted is False


def test_another_series_is_chosen_if_it_can_be_read_and_nobody_has_begun(served, browsers, study):
    manager, uid = browsers[Role.MANAGER], row(served, study).study_uid
    for series, says in ((f"{uid}.2", "modality is MR"), (f"{uid}.3", "planes are missing"), ("9.9", "not of this study")):
        refused = manager.patch(f"/api/studies/{study}", json={"primary_series": series})
        assert refused.status_code == 422 and says in refused.json()["detail"]
    told = manager.patch(f"/api/studies/{study}", json={"primary_series": f"{uid}.4"})
    assert told.status_code == 200 and told.json()["state"] == "queued" and told.json()["primary_series"] == f"{uid}.4"
    begun(served, study, ReadingState.DRAFT)
    assert manager.patch(f"/api/studies/{study}", json={"primary_series": f"{uid}.1"}).status_code == 409


def test_an_analysis_is_queued_once_and_not_over_what_a_person_has_begun(served, browsers, study):
    first, again = (browsers[Role.READER].post(f"/api/studies/{study}/analyse").json() for _ in range(2))
    assert first["id"] == again["id"] and row(served, study).state is StudyState.QUEUED
    begun(served, study, ReadingState.DRAFT)
    refused = browsers[Role.READER].post(f"/api/studies/{study}/analyse")
    assert refused.status_code == 409 and "draft" in refused.json()["detail"]


def test_what_still_arrives_or_has_no_ct_is_not_analysed(served, browsers):
    for state, says in ((StudyState.ARRIVING, "still arrive"), (StudyState.FAILED, "no CT in it")):
        study = add_study(served.app.state.sessions, f"7.{uuid4().int}"[:60], state=state, problem="no CT in it")
        refused = browsers[Role.MANAGER].post(f"/api/studies/{study}/analyse")
        assert refused.status_code == 409 and says in refused.json()["detail"]
        with served.app.state.sessions() as session:
            assert not session.scalars(select(Job).where(Job.study_id == study, Job.state == JobState.QUEUED)).all()


def test_a_study_is_deleted_with_its_files_and_those_it_was_compared_with_stay(served, browsers, study):
    later = add_study(served.app.state.sessions, f"8.{uuid4().int}"[:60], prior_id=study)
    folder = served.settings.data / "dicom" / str(study) / "series"
    folder.mkdir(parents=True)
    (folder / "1.dcm").write_bytes(b"x")
    assert browsers[Role.READER].delete(f"/api/studies/{study}").status_code == 403 and (folder / "1.dcm").exists()
    assert browsers[Role.MANAGER].delete(f"/api/studies/{study}").status_code == 204
    assert not folder.parent.exists() and row(served, later).prior_id is None
    assert browsers[Role.MANAGER].get(f"/api/studies/{study}").status_code == 404
    assert len(logged(served, study, Action.DELETED)) == 1


def test_a_signed_study_is_never_deleted(served, browsers, study):
    begun(served, study, ReadingState.SIGNED)
    refused = browsers[Role.MANAGER].delete(f"/api/studies/{study}")
    assert refused.status_code == 409 and row(served, study).state is StudyState.SIGNED
