from itertools import product
from uuid import uuid4

import pytest
from server_made import serve

from panlesion.aid.audit import record
from panlesion.aid.vocabulary import Action, Role

STUDIES = (uuid4(), uuid4(), None)
ACTIONS = (Action.VIEW, Action.EDIT, Action.SIGN)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = serve(tmp_path_factory.mktemp("audit"))
    people = (served.user(Role.READER, "reader-a"), served.user(Role.READER, "reader-b"), None)
    with served.app.state.sessions.begin() as session:
        for action, by, study_id in product(ACTIONS, people, STUDIES):
            record(session, action, by=by, study_id=study_id)
    return served


@pytest.fixture(scope="module")
def whole(served):
    return served.client(Role.ADMIN).get("/api/audit?limit=1000").json()


@pytest.mark.parametrize("action", [(), (Action.VIEW,), (Action.VIEW, Action.SIGN), (Action.DELETED,)])
@pytest.mark.parametrize("user", [None, "reader-a", "", "nobody here", "READER-A", "%"])
@pytest.mark.parametrize("study", [None, STUDIES[0], uuid4()])
def test_the_filters_leave_what_brute_force_leaves(served, whole, action, user, study):
    asked = {"action": [one.value for one in action], "limit": 1000}
    asked |= {name: value for name, value in (("user", user), ("study", study and str(study))) if value is not None}
    told = _client(served).get("/api/audit", params=asked).json()
    newest = whole[0]["seq"]
    assert [line for line in told if line["seq"] <= newest] == [
        line
        for line in whole
        if (not action or line["action"] in action)
        and (user is None or (line["user"] or "") == user)
        and (study is None or line["study_id"] == str(study))
    ]


_KNOWN = {}


def _client(served):
    return _KNOWN.setdefault(id(served), served.client(Role.ADMIN))


def test_pages_of_a_filtered_log_join_to_the_whole(served):
    client, asked = _client(served), {"action": "view", "limit": 1000}
    whole = client.get("/api/audit", params=asked).json()
    pages, before = [], None
    while page := client.get("/api/audit", params={**asked, "limit": 4} | ({"before": before} if before else {})).json():
        pages += page
        before = page[-1]["seq"]
    assert pages == whole and len(whole) == 9


@pytest.mark.parametrize(
    "query",
    ["action=look", "action=", "study=1.2.3", "study=' or 1=1", "before=0", "limit=0", "limit=1001", "user=" + "x" * 65],
)
def test_what_is_no_filter_is_refused_in_words(served, query):
    answer = _client(served).get(f"/api/audit?{query}")
    assert answer.status_code == 422 and query.partition("=")[0] in answer.json()["detail"]
