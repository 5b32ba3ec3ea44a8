"""The stream of events: what happened reaches who may see it, once, and nobody else."""

import asyncio
import json
import time
from contextlib import aclosing
from datetime import timedelta
from uuid import UUID

import pytest
from queue_made import add_study
from server_made import serve
from sqlalchemy import select

from panlesion.aid import events as feeds
from panlesion.aid.deps import COOKIE, sees, visible_to
from panlesion.aid.events import Feed
from panlesion.aid.routes.events import stream
from panlesion.aid.secrets import sha256
from panlesion.aid.tables import Access, Login, Study, User, now
from panlesion.aid.vocabulary import Role

FORGED = "Evil^\r\n\r\nevent: over\ndata: {}\n\nevent: study\ndata: {}\u2028\u0085id: 7"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = serve(tmp_path_factory.mktemp("events"), idle_minutes=60, login_hours=12)
    for role in Role:
        served.client(role)
    return served


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(feeds, "EVERY_S", 0.02)
    monkeypatch.setattr(feeds, "STILL_HERE", 2)
    # what other tests have changed is none of this one's
    monkeypatch.setattr(feeds, "OVERLAP", timedelta(seconds=0.2))


def logged_in(served, role=Role.READER, **login) -> str:
    """A session as the database has it; its hash."""
    token = sha256(f"{now()}{login}")
    with served.app.state.sessions.begin() as session:
        session.add(Login(token_sha256=token, user_id=served.made[role].id, csrf="", **login))
    return token


def change(served, study_id: UUID, **columns) -> None:
    with served.app.state.sessions.begin() as session:
        study = session.get_one(Study, study_id)
        study.changed_at = now()
        for name, value in columns.items():
            setattr(study, name, value)


async def heard(feed, token, *, do=lambda: None, looks=8) -> list[tuple[str, dict]]:
    """Events of some looks; `do` happens after the first of them."""
    found: list[tuple[str, dict]] = []
    async with aclosing(stream(feed, token)) as told:
        count = 0
        async for text in told:
            count += 1
            found += parsed(text)
            if count == 2:
                do()
            if count >= looks:
                break
    return found


def parsed(text: str) -> list[tuple[str, dict]]:
    """As a browser reads it: lines end with CR, LF or both; a blank one ends an event."""
    found = []
    for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith((":", "retry:"))]
        if lines:
            (name,) = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
            data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
            assert len(lines) == 1 + len(data)
            found.append((name, json.loads("\n".join(data))))
    return found


def listen(served, token, **how):
    return asyncio.run(heard(Feed(served.app.state.sessions, served.settings), token, **how))


def ids(told) -> list[str]:
    return [data["study"]["id"] for name, data in told if name == "study"]


def test_a_change_is_told_once_with_the_row_as_it_is(served):
    study = add_study(served.app.state.sessions, "1.1", changed_at=now() - timedelta(days=1))
    told = listen(served, logged_in(served), do=lambda: change(served, study, suspicion=0.75))
    assert [(name, data["study"]["suspicion"]) for name, data in told if ids([(name, data)]) == [str(study)]] == [
        ("study", 0.75)
    ]


def test_a_name_with_line_ends_begins_no_event(served):
    study = add_study(served.app.state.sessions, "1.2", patient_name=FORGED, problem=FORGED)
    told = listen(served, logged_in(served))
    assert {name for name, _ in told} == {"study"}
    (mine,) = [data["study"] for _, data in told if data["study"]["id"] == str(study)]
    assert mine["patient_name"] == FORGED and mine["problem"] == FORGED


def test_what_changed_just_before_a_page_listens_is_told_too(served):
    study = add_study(served.app.state.sessions, "1.3")
    assert ids(listen(served, logged_in(served))).count(str(study)) == 1


def test_a_page_that_connects_anew_is_told_of_what_came_meanwhile(served):
    study = add_study(served.app.state.sessions, "1.4", changed_at=now() - timedelta(days=1))
    feed, token, other = Feed(served.app.state.sessions, served.settings), logged_in(served), logged_in(served)

    async def twice():
        stays = asyncio.create_task(heard(feed, other, looks=40))
        await heard(feed, token, looks=3)
        change(served, study, suspicion=0.5)
        await asyncio.sleep(0.1)  # long enough for the other page to be told
        again = await heard(feed, token)
        stays.cancel()
        await asyncio.wait([stays])
        return again

    assert str(study) in ids(asyncio.run(twice()))


def test_a_clock_that_goes_ahead_silences_nobody_else(served):
    sessions = served.app.state.sessions
    ahead = add_study(sessions, "1.5", changed_at=now() + timedelta(hours=1))
    study = add_study(sessions, "1.6", changed_at=now() - timedelta(days=1))
    told = ids(listen(served, logged_in(served), do=lambda: change(served, study)))
    assert told.count(str(study)) == 1 and told.count(str(ahead)) == 1
    with sessions.begin() as session:
        session.delete(session.get_one(Study, ahead))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize("restricted", [True, False])
def test_the_rule_for_one_study_is_the_condition_of_the_queries(served, role, granted, restricted):
    study = add_study(served.app.state.sessions, f"2.{role}.{granted}.{restricted}", restricted=restricted)
    with served.app.state.sessions.begin() as session:
        user = session.get_one(User, served.made[role].id)
        if granted:
            session.add(Access(study_id=study, user_id=user.id))
            session.flush()
        asked = session.scalar(select(Study.id).where(Study.id == study, visible_to(user)))
    assert (asked is not None) is sees(role, restricted=restricted, granted=granted)
    told = ids(listen(served, logged_in(served, role), do=lambda: change(served, study)))
    assert (str(study) in told) is sees(role, restricted=restricted, granted=granted)


def test_access_that_is_withdrawn_while_a_page_listens_ends_what_it_is_told(served):
    study = add_study(served.app.state.sessions, "3.1", changed_at=now() - timedelta(days=1))
    told = listen(served, logged_in(served), do=lambda: change(served, study, restricted=True, description="secret"))
    assert str(study) not in ids(told) and "secret" not in json.dumps(told)


def log_out(session, login):
    session.delete(login)


def deactivate(_session, login):
    login.user.active = False


def idle(_session, login):
    login.seen_at = now() - timedelta(minutes=61)


def too_long(_session, login):
    login.created_at = now() - timedelta(hours=13)


def reset(_session, login):
    login.user.must_change = True


@pytest.mark.parametrize("ends", [log_out, deactivate, idle, too_long, reset])
def test_the_stream_ends_when_the_session_does_and_tells_nothing_after(served, ends):
    token = logged_in(served)
    study = add_study(served.app.state.sessions, f"4.{ends.__name__}", changed_at=now() - timedelta(days=1))

    def do():
        with served.app.state.sessions.begin() as session:
            ends(session, session.get_one(Login, token))
        change(served, study)

    told = listen(served, token, do=do, looks=10_000)
    assert told[-1] == ("over", {}) and [name for name, _ in told].count("over") == 1 and str(study) not in ids(told)
    with served.app.state.sessions.begin() as session:
        user = session.get_one(User, served.made[Role.READER].id)
        user.active, user.must_change = True, False


def test_a_page_that_does_not_read_is_cut_off_so_that_it_fetches_its_list(served, monkeypatch):
    monkeypatch.setattr(feeds, "MOST_UNREAD", 3)
    feed, token = Feed(served.app.state.sessions, served.settings), logged_in(served)

    async def sleepy():
        parts = []
        async with aclosing(stream(feed, token)) as told:
            async for text in told:
                parts.append(text)
                await asyncio.sleep(0.5 if len(parts) == 2 else 0)
        return parts

    assert "over" not in "".join(asyncio.run(asyncio.wait_for(sleepy(), 10)))


def test_more_changes_than_can_be_told_cut_every_page_off(served, monkeypatch):
    monkeypatch.setattr(feeds, "MOST", 3)
    for n in range(4):
        add_study(served.app.state.sessions, f"5.{n}")
    told = asyncio.run(
        asyncio.wait_for(heard(Feed(served.app.state.sessions, served.settings), logged_in(served), looks=10_000), 10)
    )
    assert told == []


def test_a_database_that_is_away_for_a_while_loses_no_event(served):
    sessions, broken = served.app.state.sessions, []
    study = add_study(sessions, "6.1", changed_at=now() - timedelta(days=1))

    def flaky():
        if broken:
            broken.pop()
            raise OSError("the database is away")
        return sessions()

    def do():
        change(served, study)
        broken.extend([None] * 15)  # longer than the overlap

    told = asyncio.run(heard(Feed(flaky, served.settings), logged_in(served), do=do, looks=6))
    assert ids(told).count(str(study)) == 1


def test_a_page_that_comes_while_the_database_is_looked_at_is_told_by_the_next_look(served, monkeypatch):
    feed = Feed(served.app.state.sessions, served.settings)
    look = feed._look

    def slow(since, tokens):
        found = look(since, tokens)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(feed, "_look", slow)

    async def one_after_the_other():
        first = asyncio.create_task(heard(feed, logged_in(served), looks=6))
        await asyncio.sleep(0.06)
        late = await heard(feed, logged_in(served), looks=3)
        return late + await first

    assert "over" not in [name for name, _ in asyncio.run(one_after_the_other())]


def test_all_pages_together_look_once(served):
    looks = []

    def counted():
        looks.append(1)
        return served.app.state.sessions()

    feed = Feed(counted, served.settings)
    tokens = [logged_in(served) for _ in range(5)]

    async def together():
        await asyncio.gather(*(heard(feed, token, looks=4) for token in tokens))

    asyncio.run(together())
    assert 3 <= len(looks) <= 8


def test_nobody_looks_when_nobody_listens(served):
    looks = []

    def counted():
        looks.append(1)
        return served.app.state.sessions()

    async def alone():
        await heard(Feed(counted, served.settings), logged_in(served), looks=3)
        await asyncio.sleep(0.1)
        before = len(looks)
        await asyncio.sleep(0.2)
        return before

    assert asyncio.run(alone()) == len(looks)


def test_the_route_streams_to_the_session_of_the_cookie_and_ends_with_it(served):
    """Over HTTP: a client that waits for the end of the stream gets it, for its session is logged out meanwhile."""
    client = served.client(Role.READER)
    token = sha256(client.cookies[COOKIE])

    def look(since, tokens):
        with served.app.state.sessions.begin() as session:
            session.delete(session.get_one(Login, token))
        served.app.state.feed._look = original
        return original(since, tokens)

    original = served.app.state.feed._look
    served.app.state.feed._look = look
    answer = client.get("/api/events")
    assert answer.headers["content-type"].startswith("text/event-stream") and answer.headers["cache-control"] == "no-store"
    assert answer.text.endswith("event: over\ndata: {}\n\n")
    assert client.get("/api/events").status_code == 401
