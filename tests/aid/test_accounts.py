"""Logging in and out, passwords, accounts and tokens, through the routes; the last tests run on PostgreSQL as well."""

import threading
from datetime import timedelta

import pytest
from server_made import PASSWORD, Served, serve
from sqlalchemy import select, update

from panlesion.aid.accounts import limits
from panlesion.aid.accounts.users import make_first_admin, reset_password
from panlesion.aid.deps import COOKIE, CSRF_HEADER
from panlesion.aid.secrets import sha256
from panlesion.aid.tables import Access, ApiToken, Attempt, AuditEntry, Login, Study, User, now
from panlesion.aid.vocabulary import Action, Role, StudySource
from panlesion.errors import AccountError

NEW = "quite another password"


@pytest.fixture
def served(tmp_path) -> Served:
    return serve(tmp_path, attempts_per_15_min=3)


def log_in(served, name, password=PASSWORD, client=None):
    return (client or served.client()).post("/api/login", json={"name": name, "password": password})


def actions(served):
    with served.app.state.sessions() as session:
        return session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq)).all()


def later(served, column, **ago):
    """Let time pass: move a column of all rows back."""
    with served.app.state.sessions.begin() as session:
        session.execute(update(column.class_).values({column.key: now() - timedelta(**ago)}))


def test_a_server_makes_its_first_administrator_once(served):
    sessions = served.app.state.sessions
    with sessions.begin() as session:
        password = make_first_admin(session)
    with sessions.begin() as session:
        assert make_first_admin(session) is None
    told = log_in(served, "admin", password)
    assert told.json()["user"]["must_change"] and told.json()["user"]["role"] == "admin"


def test_a_first_password_opens_nothing_until_it_is_changed(served):
    with served.app.state.sessions.begin() as session:
        password = make_first_admin(session)
    admin = served.client()
    admin.headers[CSRF_HEADER] = log_in(served, "admin", password, admin).json()["csrf"]
    assert admin.get("/api/users").status_code == 403 and admin.get("/api/session").status_code == 200
    for new in (password, "short", "ADMIN"):
        assert admin.post("/api/password", json={"old": password, "new": new}).status_code == 422
    assert admin.post("/api/password", json={"old": "wrong", "new": NEW}).status_code == 403
    assert admin.post("/api/password", json={"old": password, "new": NEW}).status_code == 204
    assert admin.get("/api/users").status_code == 200
    assert log_in(served, "admin", password).status_code == 401 and log_in(served, "admin", NEW).status_code == 200


def test_a_changed_password_ends_all_other_sessions(served):
    here, there = served.client(Role.READER), served.client(Role.READER)
    assert here.post("/api/password", json={"old": PASSWORD, "new": NEW}).status_code == 204
    assert here.get("/api/session").status_code == 200 and there.get("/api/session").status_code == 401


@pytest.mark.parametrize("change", [{"role": "manager"}, {"active": False}, {"password": NEW}])
def test_an_account_that_an_administrator_changes_is_logged_out(served, change):
    reader, admin = served.client(Role.READER), served.client(Role.ADMIN)
    reader.post("/api/tokens", json={"name": "ohif"})
    assert admin.patch(f"/api/users/{served.made[Role.READER].id}", json=change).status_code == 200
    assert reader.get("/api/session").status_code == 401
    with served.app.state.sessions() as session:
        assert (session.scalar(select(ApiToken)) is None) is ("role" not in change)
    if change.get("active") is False:
        assert log_in(served, "reader-1").status_code == 401


def test_a_new_name_ends_no_session(served):
    reader, admin = served.client(Role.READER), served.client(Role.ADMIN)
    told = admin.patch(f"/api/users/{served.made[Role.READER].id}", json={"display_name": "Dr Other"})
    assert told.json()["display_name"] == "Dr Other"
    assert reader.get("/api/session").json()["user"]["display_name"] == "Dr Other"


@pytest.mark.parametrize("change", [{"role": "reader"}, {"active": False}])
def test_the_last_active_administrator_stays(served, change):
    admin = served.client(Role.ADMIN)
    served.user(Role.ADMIN, "retired")
    with served.app.state.sessions.begin() as session:
        session.execute(update(User).where(User.name == "retired").values(active=False))
    told = admin.patch(f"/api/users/{served.made[Role.ADMIN].id}", json=change)
    assert told.status_code == 409 and "last" in told.json()["detail"]
    served.user(Role.ADMIN, "second")
    assert admin.patch(f"/api/users/{served.made[Role.ADMIN].id}", json=change).status_code == 200


def test_accounts_are_made_with_a_free_name_however_it_is_capitalised(served):
    admin = served.client(Role.ADMIN)
    new = {"name": "Anna", "display_name": "Dr Anna", "role": "reader", "password": PASSWORD}
    made = admin.post("/api/users", json=new)
    assert made.status_code == 201 and made.json()["must_change"]
    assert admin.post("/api/users", json=new | {"name": "aNNa"}).status_code == 409
    for broken in ({"name": "a b"}, {"name": "a\n"}, {"name": ""}, {"password": "short"}, {"role": "god"}, {"more": 1}):
        assert admin.post("/api/users", json=new | {"name": "other"} | broken).status_code == 422
    assert log_in(served, "anna").status_code == 200
    assert [user["name"] for user in admin.get("/api/users").json()] == ["Anna", "admin-1"]
    assert PASSWORD not in made.text and "hash" not in made.text


def test_guessing_one_name_is_refused_for_a_right_password_too_until_the_window_has_passed(served):
    served.user(Role.READER)
    for guess in ("one", "two", "three"):
        assert log_in(served, "reader-1", guess).status_code == 401
    for name in ("reader-1", "READER-1"):
        told = log_in(served, name)
        assert told.status_code == 429 and 0 < int(told.headers["Retry-After"]) <= 900
    assert log_in(served, "somebody").status_code == 401  # another name is another count
    later(served, Attempt.at, minutes=16)
    assert log_in(served, "reader-1").status_code == 200


def test_a_success_clears_the_count_of_its_name(served):
    served.user(Role.READER)
    for _ in range(3):
        for guess in ("one", "two"):
            assert log_in(served, "reader-1", guess).status_code == 401
        assert log_in(served, "reader-1").status_code == 200


def test_guessing_many_names_from_one_address_is_refused(served):
    served.user(Role.READER)
    for count in range(3 * limits.ADDRESS_FACTOR):
        assert log_in(served, f"name-{count}", "guess").status_code == 401
    assert log_in(served, "reader-1").status_code == 429


def test_many_guesses_at_once_are_no_way_around(served, monkeypatch):
    from panlesion.aid.routes import accounts

    looked = []
    monkeypatch.setattr(accounts, "password_fits", lambda *_: looked.append(1) or False)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(log_in(served, "reader-1", "x").status_code)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) <= 3 and sorted(set(statuses)) in ([401, 429], [429])


def test_the_log_of_refused_logins_names_no_unknown_name(served):
    log_in(served, "my-secret-password", "x")
    with served.app.state.sessions() as session:
        entry = session.scalar(select(AuditEntry).where(AuditEntry.action == Action.LOGIN_REFUSED))
    assert "secret" not in str(entry.detail) and entry.user_id is None


def test_addresses_of_one_ipv6_customer_are_one():
    assert limits._network("2001:db8:1:2::1") == limits._network("2001:db8:1:2:ffff::9") != limits._network("2001:db8:1:3::1")
    assert limits._network("10.0.0.1") != limits._network("10.0.0.2") and limits._network("testclient") == "testclient"


@pytest.mark.parametrize(("column", "ago"), [(Login.seen_at, {"minutes": 61}), (Login.created_at, {"hours": 13})])
def test_sessions_end_when_idle_and_in_any_case(served, column, ago):
    reader = served.client(Role.READER)
    later(served, column, **ago)
    assert reader.get("/api/session").status_code == 401


def test_a_session_that_is_used_stays(served):
    reader = served.client(Role.READER)
    for _ in range(3):
        later(served, Login.seen_at, minutes=59)
        assert reader.get("/api/session").status_code == 200


def test_the_database_holds_no_token_and_no_password(served):
    reader = served.client(Role.READER)
    secret = reader.post("/api/tokens", json={"name": "ohif"}).json()["token"]
    kept = b"".join(path.read_bytes() for path in served.settings.data.iterdir() if path.is_file())
    assert reader.cookies[COOKIE].encode() not in kept and secret.encode() not in kept and PASSWORD.encode() not in kept
    assert sha256(secret).encode() in kept


def test_tokens_are_ones_own_and_end(served):
    reader, manager = served.client(Role.READER), served.client(Role.MANAGER)
    made = reader.post("/api/tokens", json={"name": "ohif", "days": 1}).json()
    assert [one["id"] for one in reader.get("/api/tokens").json()] == [made["id"]] and manager.get("/api/tokens").json() == []
    assert reader.get("/api/tokens").json()[0]["token"] is None
    asked = {"Authorization": f"Bearer {made['token']}"}
    assert served.client().get("/dicomweb/studies", headers=asked).status_code == 200
    assert manager.delete(f"/api/tokens/{made['id']}").status_code == 404
    later(served, ApiToken.expires_at, seconds=1)
    assert served.client().get("/dicomweb/studies", headers=asked).status_code == 401
    assert reader.delete(f"/api/tokens/{made['id']}").status_code == 204
    for days in (0, 366):
        assert reader.post("/api/tokens", json={"name": "x", "days": days}).status_code == 422


def test_tokens_of_inactive_accounts_and_administrators_open_nothing(served):
    reader, admin = served.client(Role.READER), served.client(Role.ADMIN)
    tokens = {who: client.post("/api/tokens", json={"name": "x"}).json()["token"] for who, client in ((1, reader), (2, admin))}
    with served.app.state.sessions.begin() as session:
        session.execute(update(User).where(User.role == Role.READER).values(active=False))
    statuses = {
        who: served.client().get("/dicomweb/studies", headers={"Authorization": f"Bearer {token}"}).status_code
        for who, token in tokens.items()
    }
    assert statuses == {1: 401, 2: 403}


def test_an_administrator_sees_only_a_study_that_was_granted(served):
    admin = served.client(Role.ADMIN)
    granted, other = (Study(study_uid=f"1.{k}", source=StudySource.UPLOAD) for k in (1, 2))
    with served.app.state.sessions.begin() as session:
        session.add_all([granted, other])
    assert admin.get(f"/api/studies/{granted.id}").status_code == 403
    with served.app.state.sessions.begin() as session:
        session.add(Access(study_id=granted.id, user_id=served.made[Role.ADMIN].id))
    assert admin.get(f"/api/studies/{granted.id}").status_code == 200
    assert admin.get(f"/api/studies/{other.id}").status_code == 404


def test_a_reset_from_the_console_ends_sessions_and_asks_for_a_change(served):
    reader = served.client(Role.READER)
    with served.app.state.sessions.begin() as session:
        new = reset_password(session, "READER-1")
    assert reader.get("/api/session").status_code == 401
    assert log_in(served, "reader-1", new).json()["user"]["must_change"]
    with served.app.state.sessions.begin() as session, pytest.raises(AccountError, match="reader-1"):
        reset_password(session, "nobody")


def test_everything_about_accounts_is_written_down(served):
    admin = served.client(Role.ADMIN)
    admin.post("/api/users", json={"name": "a", "display_name": "A", "role": "reader", "password": PASSWORD})
    token = admin.post("/api/tokens", json={"name": "x"}).json()["id"]
    admin.delete(f"/api/tokens/{token}")
    admin.post("/api/password", json={"old": PASSWORD, "new": NEW})
    admin.post("/api/logout")
    log_in(served, "a", "wrong")
    assert actions(served) == [
        "login",
        "account changed",
        "token made",
        "token removed",
        "password changed",
        "logout",
        "login refused",
    ]
