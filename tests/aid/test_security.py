"""What holds of every route, taken from the route table, so that a new one is covered the moment it is registered."""

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from routes_made import ALL, HERE, THERE, ask
from server_made import PASSWORD, Served, serve

from panlesion.aid.deps import COOKIE, CSRF_HEADER, SAFE_METHODS, Having, viewer_of, viewer_or_token
from panlesion.aid.tables import Node, Reading, Study
from panlesion.aid.vocabulary import RESEARCH_USE, NodeKind, Role, StudySource

PUBLIC = {
    ("GET", "/api/welcome"),
    ("POST", "/api/login"),
    ("GET", "/api/oidc/login"),
    ("GET", "/api/oidc/callback"),
}
"""Answered without a login; every other route must refuse the anonymous."""
ANY_ROLE = {
    ("GET", "/api/session"),
    ("POST", "/api/logout"),
    ("POST", "/api/password"),
    ("GET", "/api/tokens"),
    ("POST", "/api/tokens"),
    ("DELETE", "/api/tokens/{token_id}"),
}
"""One's own; every other route must shut out at least one role."""
VIEWERS = frozenset({Role.READER, Role.MANAGER})
"""Administrators see no images until they are granted a study."""

GUARDED = [one for one in ALL if one[:2] not in PUBLIC]
CHANGING = [one for one in GUARDED if one[0] not in SAFE_METHODS]


def named(routes, *, alone=False):
    """One test a route; `alone`: of its method and path, whatever else it is."""
    ids = [f"{method} {path}" for method, path, _ in routes]
    if alone:
        return pytest.mark.parametrize(("method", "path"), [one[:2] for one in routes], ids=ids)
    return pytest.mark.parametrize(("method", "path", "route"), routes, ids=ids)


def roles_of(path: str, route: APIRoute) -> frozenset[Role]:
    """Who may ask, by the dependencies that the route declares; where it is asked often, it looks for viewers itself."""
    often = path.startswith("/dicomweb") or path == "/api/studies/{study_id}/volume" or route.name == "list_studies"
    allowed, todo = VIEWERS if often else frozenset(Role), [route.dependant]
    while todo:
        one = todo.pop()
        todo += one.dependencies
        if isinstance(one.call, Having):
            allowed &= frozenset(one.call.roles)
        elif one.call in (viewer_of, viewer_or_token):
            allowed &= VIEWERS
    return allowed


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Served:
    made = serve(tmp_path_factory.mktemp("security"))
    with made.app.state.sessions.begin() as session:
        session.add(Study(id=HERE, study_uid="1.2.3", source=StudySource.UPLOAD))
        session.flush()
        session.add(Reading(study_id=HERE, document={}, mask_path=""))
        session.add(Node(id=THERE, name="pacs", kind=NodeKind.DICOMWEB, url="http://127.0.0.1:1"))
    return made


@pytest.fixture(scope="module")
def browsers(served):
    return {role: served.client(role) for role in Role}


def test_the_table_is_all_there_is(served):
    known = {(method, path) for method, path, _ in ALL}
    found = {(method, route.path) for route in iter_route_contexts(served.app.routes) for method in route.methods or ()}
    assert found - known == {("GET", "/openapi.json"), ("HEAD", "/openapi.json")}
    assert known >= PUBLIC | ANY_ROLE


@named(GUARDED, alone=True)
def test_the_anonymous_are_refused_before_anything_is_looked_at(served, method, path):
    for headers in ({}, {"Cookie": f"{COOKIE}=made-up"}, {"Authorization": "Bearer made-up"}):
        assert ask(served.client(), method, path, headers=headers).status_code == 401


@named([one for one in GUARDED if one[:2] not in ANY_ROLE])
def test_wrong_roles_are_refused(browsers, method, path, route):
    wrong = frozenset(Role) - roles_of(path, route)
    assert wrong, "this route lets every role in: give it a role, or enter it in ANY_ROLE"
    for role in wrong:
        assert ask(browsers[role], method, path, headers={"If-Match": '"1"'}).status_code == 403, role


@named(CHANGING)
def test_changes_need_the_token_of_the_session(browsers, method, path, route):
    browser = browsers[min(roles_of(path, route))]
    for token in ("", "x" * 43, "\u00e4", browsers[max(set(Role) - {min(roles_of(path, route))})].headers[CSRF_HEADER]):
        told = ask(browser, method, path, headers={CSRF_HEADER: token.encode("latin-1")})
        assert told.status_code == 403 and CSRF_HEADER in told.json()["detail"]


@named([one for one in ALL if one[0] not in SAFE_METHODS], alone=True)
def test_changes_that_another_page_asks_for_are_refused(browsers, method, path):
    origins = ("https://evil.example", "null", "http://127.0.0.1.evil.example", "http://127.0.0.1:1", "http://[")
    sites = ("cross-site", "same-site")
    for headers in [{"Origin": one} for one in origins] + [{"Sec-Fetch-Site": one} for one in sites]:
        told = ask(browsers[Role.READER], method, path, headers=headers)
        assert told.status_code == 403 and "another site" in told.json()["detail"], headers


@named([one for one in GUARDED if not one[1].startswith("/dicomweb")], alone=True)
def test_bearer_tokens_open_dicomweb_alone(served, browsers, method, path):
    token = bearer(served, browsers)
    assert ask(served.client(), method, path, headers={"Authorization": f"Bearer {token}"}).status_code in (401, 403)


_BEARER = {}


def bearer(served, browsers) -> str:
    if served not in _BEARER.values():
        _BEARER["served"] = served
        _BEARER["token"] = browsers[Role.READER].post("/api/tokens", json={"name": "viewer"}).json()["token"]
    return _BEARER["token"]


def test_bearer_tokens_open_dicomweb(served, browsers):
    stranger = served.client()
    for token, status in ((bearer(served, browsers), 200), ("made-up", 401), ("", 401)):
        told = stranger.get("/dicomweb/studies", headers={"Authorization": f"Bearer {token}"})
        assert told.status_code == status
    assert told.headers["WWW-Authenticate"] == "Bearer"
    # where a bearer is sent it alone counts: a browser's cookie does not help it
    assert browsers[Role.READER].get("/dicomweb/studies", headers={"Authorization": "Bearer no"}).status_code == 401


def test_own_pages_may_ask_for_changes(served):
    for headers in ({}, {"Origin": "http://127.0.0.1"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        told = served.client().post("/api/login", json={"name": "reader-1", "password": PASSWORD}, headers=headers)
        assert told.status_code in (200, 401)


def test_a_token_that_the_browser_brought_is_never_taken_over(served):
    browser = served.client()
    browser.cookies.set(COOKIE, "planted", domain="127.0.0.1")
    told = browser.post("/api/login", json={"name": served.user(Role.READER, "fixed").name, "password": PASSWORD})
    set_cookie = told.headers["set-cookie"]
    assert told.status_code == 200 and "planted" not in set_cookie
    assert "HttpOnly" in set_cookie and "SameSite=strict" in set_cookie and "Path=/" in set_cookie
    planted = served.client()
    assert planted.get("/api/session", headers={"Cookie": f"{COOKIE}=planted"}).status_code == 401


def test_a_new_login_ends_the_one_that_the_browser_had(served):
    browser = served.client(Role.MANAGER)
    before = browser.cookies[COOKIE]
    served_again = browser.post("/api/login", json={"name": "manager-1", "password": PASSWORD})
    assert served_again.status_code == 200 and browser.cookies[COOKIE] != before
    assert served.client().get("/api/session", headers={"Cookie": f"{COOKIE}={before}"}).status_code == 401


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8470", True),
        ("localhost:1", True),
        ("[::1]:8470", True),
        ("192.168.7.7", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8470", False),
        ("127.0.0.1@evil.example", False),
        ("evil.example#127.0.0.1", False),
        ("localhost:port", False),
        ("", False),
    ],
)
def test_only_names_of_this_server_are_answered(served, host, ours):
    told = served.client().get("/api/welcome", headers={"Host": host})
    assert told.status_code == (200 if ours else 400)
    assert told.headers["X-Research-Use"] == RESEARCH_USE


def test_the_public_url_is_a_name_of_this_server_and_its_page_may_ask(tmp_path):
    served = serve(tmp_path, public_url="https://room.example/")
    browser = served.client()
    told = {"name": served.user(Role.READER).name, "password": PASSWORD}
    for host in ("room.example", "127.0.0.1:8470"):
        headers = {"Host": host, "Origin": "https://room.example"}
        assert browser.post("/api/login", json=told, headers=headers).status_code == 200
    answer = browser.post("/api/login", json=told, headers={"Host": "room.example"})
    assert "Secure" in answer.headers["set-cookie"] and "Strict-Transport-Security" in answer.headers


@pytest.mark.parametrize("path", ["/", "/api/welcome", "/api/nothing", "/dicomweb/studies", "/studies/1", "/assets/none.js"])
def test_every_answer_carries_the_headers(served, path):
    told = served.client().get(path)
    assert told.headers["X-Research-Use"] == RESEARCH_USE
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    policy = dict(part.split(" ", 1) for part in told.headers["Content-Security-Policy"].split("; "))
    assert policy["frame-ancestors"] == "'none'" and policy["object-src"] == "'none'"
    assert "unsafe-inline" not in policy["script-src"] and "'unsafe-eval'" not in policy["script-src"].split()
    assert "server" not in told.headers
    if path.startswith("/api/"):
        assert told.headers["Cache-Control"] == "no-store"


def test_other_viewers_may_ask_dicomweb_by_token_and_only_they(tmp_path):
    served = serve(tmp_path, allowed_origins=("https://viewer.example",))
    secret = served.client(Role.READER).post("/api/tokens", json={"name": "ohif"}).json()["token"]
    stranger = served.client()
    for origin, known in (("https://viewer.example", True), ("https://evil.example", False)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        allowed = stranger.options("/dicomweb/studies", headers=asked).headers.get("access-control-allow-origin")
        assert allowed == (origin if known else None)
        told = stranger.get("/dicomweb/studies", headers={"Origin": origin, "Authorization": f"Bearer {secret}"})
        assert told.headers.get("access-control-allow-origin") == (origin if known else None)
        assert "access-control-allow-credentials" not in told.headers
        sent = stranger.post(
            "/dicomweb/studies",
            content=b"",
            headers={"Origin": origin, "Authorization": f"Bearer {secret}", "Sec-Fetch-Site": "cross-site"},
        )
        assert (sent.status_code == 403) is not known
        elsewhere = stranger.get("/api/welcome", headers={"Origin": origin})
        assert "access-control-allow-origin" not in elsewhere.headers
