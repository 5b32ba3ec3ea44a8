"""Logging in by an identity provider: only its own, fresh answer to the login that this browser began opens a session."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from browser_made import chromium, picture
from joserfc.jwk import RSAKey
from playwright.sync_api import expect
from provider_made import CLIENT, SECRET, identity_provider
from server_made import PASSWORD, listening, serve
from sqlalchemy import func, select

from panlesion.aid.deps import COOKIE
from panlesion.aid.routes.oidc import FLOW_COOKIE
from panlesion.aid.tables import AuditEntry, Login, OidcFlow, User
from panlesion.aid.vocabulary import Action, LoginRefusal, Role


@pytest.fixture
def provider():
    with identity_provider() as made:
        yield made


@pytest.fixture
def served(tmp_path, provider):
    return serve(tmp_path, oidc_issuer=provider.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET, oidc_role_claim="roles")


def begin(client) -> str:
    """Where the browser is sent."""
    told = client.get("/api/oidc/login", follow_redirects=False)
    assert told.status_code == 303, told.text
    return told.headers["location"]


def state_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["state"][0]


def end(client, **query):
    return client.get("/api/oidc/callback", params=query, follow_redirects=False)


def log_in(served, provider, client=None):
    client = client or served.client()
    address = begin(client)
    return end(client, code=provider.log_in(address), state=state_of(address))


def logins(served) -> int:
    with served.app.state.sessions() as session:
        return session.scalar(select(func.count()).select_from(Login))


def test_whom_the_provider_knows_has_an_account_with_the_role_that_it_names(served, provider):
    provider.claims = {"roles": ["nurse", "manager"], "preferred_username": "eva", "name": "Eva Example"}
    client = served.client()
    told = log_in(served, provider, client)
    assert told.status_code == 303 and told.headers["location"] == "/"
    user = client.get("/api/session").json()["user"]
    assert (user["name"], user["display_name"], user["role"]) == ("eva", "Eva Example", "manager")
    provider.claims |= {"roles": "reader", "preferred_username": "eva-maria"}
    again = served.client()
    assert log_in(served, provider, again).status_code == 303
    assert again.get("/api/session").json()["user"] == user | {"role": "reader"}
    assert client.get("/api/session").status_code == 401  # a session with a role that was taken back
    with served.app.state.sessions() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1


@pytest.mark.parametrize("name", ["preferred_username", "email"])
def test_nobody_gets_an_account_of_ours_by_its_name(served, provider, name):
    ours = served.user(Role.ADMIN, "boss")
    provider.claims = {"roles": "reader", name: "boss"}
    client = served.client()
    assert log_in(served, provider, client).status_code == 303
    user = client.get("/api/session").json()["user"]
    assert user["id"] != str(ours.id) and user["name"] != "boss" and user["role"] == "reader"
    password = {"name": user["name"], "password": PASSWORD}
    assert served.client().post("/api/login", json=password).status_code == 401


OF_ANOTHER = {"aud": "another application"}


@pytest.mark.parametrize(
    "claims",
    [
        OF_ANOTHER,
        {"aud": [CLIENT, "another application"]},
        {"aud": [CLIENT, "another application"], "azp": "another application"},
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"exp": 1_000},
        {"exp": None},
        {"sub": None},
        {"nonce": "of another login"},
        {"nonce": None},
        {"roles": ["nurse"]},
        {"roles": {"reader": True}},
        {"roles": None},
    ],
    ids=str,
)
def test_a_token_that_is_foreign_old_or_without_a_role_opens_nothing(served, provider, claims):
    provider.claims = {"roles": "reader"} | claims
    assert log_in(served, provider).status_code == 401
    with served.app.state.sessions() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 0
        assert session.scalars(select(AuditEntry.action)).all() == [Action.LOGIN_REFUSED]
    assert logins(served) == 0


def test_a_token_signed_by_another_key_with_what_is_public_or_not_at_all_opens_nothing(served, provider):
    provider.claims = {"roles": "admin"}
    for secret in (provider.published.as_pem(private=False), SECRET.encode(), b""):
        provider.secret = secret
        assert log_in(served, provider).status_code == 401
    provider.secret, provider.key = None, RSAKey.generate_key(2048, {"kid": "1"})
    assert log_in(served, provider).status_code == 401
    assert logins(served) == 0
    provider.key = provider.published
    assert log_in(served, provider).status_code == 303


def test_an_answer_belongs_to_the_browser_that_began_and_is_taken_once(served, provider):
    provider.claims = {"roles": "reader"}
    mine, theirs = served.client(), served.client()
    address = begin(mine)
    code = provider.log_in(address)
    assert end(theirs, code=code, state=state_of(address)).status_code == 401
    begin(theirs)
    assert end(theirs, code=code, state=state_of(address)).status_code == 401
    cookie = mine.cookies.get(FLOW_COOKIE)
    assert end(mine, code=code, state=state_of(address)).status_code == 303
    mine.cookies.set(FLOW_COOKIE, cookie, path="/api/oidc")
    assert end(mine, code=provider.log_in(address), state=state_of(address)).status_code == 401
    assert logins(served) == 1


def test_an_answer_with_a_wrong_state_ends_the_login(served, provider):
    client = served.client()
    address = begin(client)
    code = provider.log_in(address)
    assert end(client, code=code, state="another").status_code == 401
    assert end(client, code=code, state=state_of(address)).status_code == 401
    with served.app.state.sessions() as session:
        assert session.scalar(select(func.count()).select_from(OidcFlow)) == 0


def test_a_code_needs_the_verifier_of_its_login(served, provider):
    provider.claims = {"roles": "reader"}
    client, other = served.client(), served.client()
    stolen = provider.log_in(begin(other))
    assert end(client, code=stolen, state=state_of(begin(client))).status_code == 401
    assert logins(served) == 0


def test_what_the_provider_refuses_is_said_and_no_more_of_it_than_a_word(served):
    client = served.client()
    told = end(client, error="access_denied" + "x" * 200, state=state_of(begin(client)))
    assert told.status_code == 401 and "access_denied" in told.text and len(told.text) < 150


@pytest.mark.parametrize(
    "document",
    [{"issuer": "https://another.example"}, {"token_endpoint": "http://far.example/token"}, {"jwks_uri": 7}],
    ids=str,
)
def test_a_provider_that_is_another_or_sends_into_the_open_is_not_asked(served, provider, document):
    provider.document = document
    told = served.client().get("/api/oidc/login", follow_redirects=False)
    assert told.status_code == 502 and "identity provider" in told.json()["detail"]


def test_an_account_that_was_switched_off_stays_so(served, provider):
    provider.claims = {"roles": "reader"}
    assert log_in(served, provider).status_code == 303
    with served.app.state.sessions.begin() as session:
        session.scalars(select(User)).one().active = False
    assert log_in(served, provider).status_code == 401
    assert logins(served) == 1


def test_a_browser_that_is_refused_is_led_back_to_words_of_ours(served, provider):
    html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    def back(**query) -> str:
        told = client.get("/api/oidc/callback", params=query, headers=html, follow_redirects=False)
        assert told.status_code == 303 and COOKIE not in told.cookies
        return told.headers["location"]

    client = served.client()
    assert back(code="1", state="<script>") == "/?login=not-begun"
    assert back(error="<script>", state=state_of(begin(client))) == "/?login=denied"
    address = begin(client)
    assert back(code=provider.log_in(address), state=state_of(address)) == "/?login=no-account"
    assert back(code="made up", state=state_of(begin(client))) == "/?login=invalid"
    address = begin(client)
    provider.document = {"issuer": "https://another.example"}
    assert back(code=provider.log_in(address), state=state_of(address)) == "/?login=unreachable"
    told = client.get("/api/oidc/login", headers=html, follow_redirects=False)
    assert told.status_code == 303 and told.headers["location"] == "/?login=unreachable"
    with served.app.state.sessions() as session:
        refusals = session.scalars(select(AuditEntry).order_by(AuditEntry.seq)).all()
    assert [one.detail["why"] for one in refusals] == ["no-account", "invalid"]
    assert logins(served) == 0


def test_a_person_logs_in_by_the_provider_and_reads_why_not(served, provider):
    with chromium() as browser, listening(served.app) as url:
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        for name, (refuses, claims, words) in {
            "denied": (True, {}, "Your institution refused the login, or you cancelled it there."),
            "no_account": (False, {"roles": "nurse"}, "you have no role here"),
            "invalid": (False, {"exp": 1_000}, "does not prove who you are"),
        }.items():
            provider.refuses, provider.claims = refuses, claims
            page.goto(url)
            page.get_by_role("link", name="Log in with your institution").click()
            expect(page.get_by_role("alert")).to_contain_text(words)
            assert page.url == f"{url}/"
            picture(page, f"oidc_{name}")
        unknown = "That login was refused. Begin again."
        page.goto(f"{url}/?login=<b>Your password is needed</b>")
        expect(page.get_by_role("alert")).to_have_text(unknown)
        for refusal in LoginRefusal:
            page.goto(f"{url}/?login={refusal}")
            expect(page.get_by_role("alert")).not_to_have_text(re.compile(f"^$|{unknown}"))
        provider.claims = {"roles": "reader", "name": "Eva Example"}
        page.get_by_role("link", name="Log in with your institution").click()
        expect(page.get_by_role("navigation")).to_contain_text("Eva Example")


def test_a_server_without_a_provider_says_so(tmp_path):
    client = serve(tmp_path).client()
    assert client.get("/api/oidc/login").status_code == 404 and end(client, code="1", state="1").status_code == 404
    assert client.get("/api/welcome").json()["oidc"] is False
