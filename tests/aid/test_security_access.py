"""A restricted study, a prior among them, is to an account without access as if it were not there; whatever it asks."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest
from images_made import put_study, slices, written
from report_made import read_study
from routes_made import ALL, ask
from server_made import PASSWORD, serve
from sqlalchemy import select

from panlesion.aid.tables import Access, ApiToken, AuditEntry
from panlesion.aid.vocabulary import Role

OF_A_STUDY = [one[:2] for one in ALL if "{study_id}" in one[1]]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return serve(tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def closed(served):
    return read_study(served, restricted=True)


@pytest.mark.parametrize(("method", "path"), OF_A_STUDY, ids=[" ".join(one) for one in OF_A_STUDY])
def test_every_route_answers_of_a_closed_study_as_of_one_that_is_not_there(served, closed, method, path):
    for role in (Role.READER, Role.ADMIN):
        client = served.client(role)
        told = []
        for study in (str(closed.study.id), "00000000-0000-4000-8000-000000000000"):
            answer = ask(client, method, path.replace("{study_id}", study), headers={"If-Match": '"7"'})
            told.append((answer.status_code, answer.text.replace(study, "")))
        assert told[0] == told[1] and told[0][0] in (403, 404, 422), told


def test_lists_counts_and_searches_do_not_know_of_it(served, closed):
    reader = served.client(Role.READER)
    found = reader.get("/api/studies", params={"q": closed.study.patient_id}).json()
    assert found == {"total": 0, "flagged": 0, "counts": {}, "items": []}
    for search in ("studies", "series", "instances"):
        told = reader.get(f"/dicomweb/{search}", params={"StudyInstanceUID": closed.study.study_uid, "limit": "0"})
        assert told.json() == [] and "warning" not in told.headers


def test_a_closed_prior_is_not_told_of(served):
    prior = put_study(served, slices(1, seed=71), restricted=True, patient_id="PRIOR")
    later = datetime(2026, 1, 1, tzinfo=UTC)
    study = put_study(served, slices(1, seed=70), patient_id="PRIOR", study_at=later, prior_id=prior.id)
    road = f"/api/studies/{study.id}"
    shown = {role: served.client(role).get(road).json()["prior_id"] for role in (Role.READER, Role.MANAGER)}
    assert shown == {Role.READER: None, Role.MANAGER: str(prior.id)}
    assert served.client(Role.READER).get(f"{road}/priors").json() == []


def test_nothing_is_added_to_a_closed_study_by_who_may_not_see_it(served):
    first, second = slices(2, seed=72)
    study = put_study(served, [first], restricted=True)
    other = deepcopy(second)
    other.PatientID = "SOMEBODY"
    for image in (first, second, other):
        told = served.client(Role.READER).post("/api/studies", files={"files": ("a", written(image))}).json()
        assert told["study_ids"] == [] and "closed to you" in told["rejected"][0]["reason"]
    told = served.client(Role.MANAGER).post("/api/studies", files={"files": ("a", written(second))}).json()
    assert told["taken"] == 1, told["rejected"][0]["reason"]
    assert served.client(Role.MANAGER).get(f"/api/studies/{study.id}").json()["images"] == 2


def test_an_administrator_who_was_granted_a_study_only_looks_at_it(served, closed):
    admin = served.client(Role.ADMIN)
    with served.app.state.sessions.begin() as session:
        session.add(Access(study_id=closed.study.id, user_id=served.made[Role.ADMIN].id))
    try:
        path = f"/api/studies/{closed.study.id}"
        assert admin.get(f"{path}/report.html").status_code == 200
        (image,) = slices(1, seed=73)
        asked = [
            admin.post("/api/studies", files={"files": ("a", written(image))}),
            admin.post("/dicomweb/studies", content=b""),
            admin.post(f"{path}/analyse"),
            admin.patch(path, json={"priority": 3}),
        ]
        assert [one.status_code for one in asked] == [403] * 4
    finally:
        with served.app.state.sessions.begin() as session:
            session.query(Access).delete()


def test_a_changed_password_takes_bearer_tokens_back(tmp_path):
    served = serve(tmp_path)
    client = served.client(Role.READER)
    secret = client.post("/api/tokens", json={"name": "viewer"}).json()["token"]
    bearer = {"Authorization": f"Bearer {secret}"}
    assert served.client().get("/dicomweb/studies", headers=bearer).status_code == 200
    assert client.post("/api/password", json={"old": PASSWORD, "new": "quite another password"}).status_code == 204
    assert served.client().get("/dicomweb/studies", headers=bearer).status_code == 401
    with served.app.state.sessions() as session:
        assert session.scalars(select(ApiToken)).all() == []


def test_the_audit_log_names_no_patient(served, closed):
    manager = served.client(Role.MANAGER)
    manager.get(f"/api/studies/{closed.study.id}/report.html")
    with served.app.state.sessions() as session:
        told = str([entry.detail for entry in session.scalars(select(AuditEntry))])
    secrets = (closed.study.patient_name, closed.study.patient_id, closed.study.study_uid, closed.study.accession)
    assert "report.html" in told and not any(word in told for word in secrets)
