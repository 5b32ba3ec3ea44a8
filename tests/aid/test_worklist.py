"""The worklist against brute force, on both databases."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from queue_made import DATABASES, add_study, queue, rooms
from sqlalchemy import select, update

from panlesion.aid.folding import folded
from panlesion.aid.jobs.queue import beat, claim
from panlesion.aid.schemas.studies import WorklistOut
from panlesion.aid.tables import Access, Study, User
from panlesion.aid.vocabulary import JobKind, Role, StudySource, StudyState
from panlesion.aid.worklist import Asked, Sort, worklist

AT = datetime(2025, 3, 4, tzinfo=UTC)
NAMES = (
    "Doe^Jane",
    "DOE^JOHN",
    "MÜLLER^EVA",
    "müller^udo=山田^太郎",
    "Weiß^Åse",
    "100%_\\^X",
    "100aab^X",
    "de la Cruz^Ana",
    "",
)


def made(n: int, draws: random.Random) -> dict:
    return {
        "study_uid": f"1.2.{n}",
        "source": StudySource.STORE,
        "state": draws.choice(list(StudyState)),
        "patient_name": draws.choice(NAMES),
        "patient_id": f"P{n % 40:02d}",
        "accession": f"A{n}",
        "description": draws.choice(("CT Thorax", "CT abdomen", "")),
        # few values, so that much is alike and only the id tells it apart
        "suspicion": draws.choice((None, 0.0, 0.5, 0.5, 1.0)),
        "findings": draws.choice((None, 0, 1, 3)),
        "restricted": draws.random() < 0.2,
        "received_at": AT + timedelta(hours=draws.randrange(4)),
    }


@pytest.fixture(scope="module", params=DATABASES)
def room(request, tmp_path_factory):
    with rooms(request.param, tmp_path_factory.mktemp("worklist")) as room:
        draws = random.Random(3)
        with room.sessions.begin() as session:
            studies = [Study(**made(n, draws)) for n in range(240)]
            users = [User(name=role, display_name=role, role=role) for role in Role]
            session.add_all([*studies, *users])
            session.flush()
            hidden = [study for study in studies if study.restricted]
            granted = [*hidden[::3], studies[0]]
            for user in users[:: len(users) - 1]:
                session.add_all(Access(study_id=study.id, user_id=user.id) for study in granted)
        yield room


def user_of(session, role: Role) -> User:
    return session.scalars(select(User).where(User.role == role)).one()


def ask(room, role: Role = Role.MANAGER, **asked) -> WorklistOut:
    with room.sessions() as session:
        return WorklistOut.model_validate_json(worklist(session, user_of(session, role), Asked(**asked)))


def seen(room, role: Role) -> list[Study]:
    """By brute force, what the rules of access say."""
    with room.sessions() as session:
        granted = set(session.scalars(select(Access.study_id).where(Access.user_id == user_of(session, role).id)))
        whole = session.scalars(select(Study)).all()
    open_to = {Role.MANAGER: lambda _s: True, Role.READER: lambda s: not s.restricted, Role.ADMIN: lambda _s: False}
    return [study for study in whole if study.id in granted or open_to[role](study)]


@pytest.mark.parametrize(("sort", "descending"), list(product(Sort, (True, False))))
def test_pages_of_any_size_join_to_the_whole_without_a_study_lost_or_twice(room, sort, descending):
    wanted = {"sort": sort, "descending": descending}
    whole = [row.id for row in ask(room, limit=500, **wanted).items]
    assert len(whole) == len(set(whole)) == ask(room, **wanted).total == len(seen(room, Role.MANAGER))
    for limit in (7, 100):
        parts = [ask(room, limit=limit, offset=offset, **wanted).items for offset in range(0, len(whole) + limit, limit)]
        assert [row.id for part in parts for row in part] == whole


@pytest.mark.parametrize("descending", [True, False])
def test_what_has_no_suspicion_comes_last_either_way(room, descending):
    told = [row.suspicion for row in ask(room, limit=500, descending=descending).items]
    known = [one for one in told if one is not None]
    assert known == sorted(known, reverse=descending) and told == known + [None] * (len(told) - len(known))
    assert len(known) < len(told)


def test_names_are_sorted_without_regard_to_capitals_and_accents(room):
    names = [row.patient_name for row in ask(room, sort=Sort.PATIENT, descending=False, limit=500).items if row.patient_name]
    order = list(dict.fromkeys(names))
    assert order.index("de la Cruz^Ana") < order.index("Doe^Jane") < order.index("DOE^JOHN") < order.index("MÜLLER^EVA")
    assert order.index("MÜLLER^EVA") < order.index("müller^udo=山田^太郎") < order.index("Weiß^Åse")
    assert len(order) == len({*NAMES} - {""}), "the same name stands in one place"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("flagged", [None, True, False])
@pytest.mark.parametrize("states", [(), (StudyState.READY,), (StudyState.DRAFT, StudyState.FAILED)])
@pytest.mark.parametrize("words", ["", "doe"])
def test_rows_and_every_count_are_those_of_brute_force(room, role, flagged, states, words):
    met = [study for study in seen(room, role) if words in study.patient_name.lower()]
    has = [study for study in met if flagged is None or flagged is ((study.findings or 0) > 0)]
    left = [study for study in has if not states or study.state in states]
    told = ask(room, role, flagged=flagged, states=states, words=words, limit=500)
    assert {row.id for row in told.items} == {study.id for study in left} and told.total == len(left)
    assert told.counts == {state: n for state in StudyState if (n := sum(study.state is state for study in has))}
    assert told.flagged == sum((study.findings or 0) > 0 for study in met if not states or study.state in states)


def test_a_restricted_study_is_in_no_list_and_no_count_of_those_without_access(room):
    (hidden, *_) = {study.id for study in seen(room, Role.MANAGER)} - {study.id for study in seen(room, Role.READER)}
    with room.sessions() as session:
        accession = session.get_one(Study, hidden).accession
    for role, there in ((Role.READER, False), (Role.MANAGER, True)):
        told = ask(room, role, words=f"{accession} ")
        assert (hidden in {row.id for row in told.items}) is there
    with room.sessions.begin() as session:
        session.add(Access(study_id=hidden, user_id=user_of(session, Role.READER).id))
    assert hidden in {row.id for row in ask(room, Role.READER, words=accession).items}
    with room.sessions.begin() as session:
        session.delete(session.get_one(Access, (hidden, user_of(session, Role.READER).id)))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("jane doe", {"Doe^Jane"}),
        ("Doe^Jane", {"Doe^Jane"}),
        ("DOE, jane", {"Doe^Jane"}),
        ("doe", {"Doe^Jane", "DOE^JOHN"}),
        ("müller", {"MÜLLER^EVA", "müller^udo=山田^太郎"}),
        ("MÜLLER eva", {"MÜLLER^EVA"}),
        ("Mu\u0308ller Eva", {"MÜLLER^EVA"}),  # the same letter in two characters
        ("muller eva", {"MÜLLER^EVA"}),
        ("山田", {"müller^udo=山田^太郎"}),
        ("WEISS", {"Weiß^Åse"}),
        ("weiß ase", {"Weiß^Åse"}),
        ("cruz la", {"de la Cruz^Ana"}),
        ("100%", {"100%_\\^X"}),
        ("100%_", {"100%_\\^X"}),
        ("_\\", {"100%_\\^X"}),
        ("100_a", set()),
        ("%", {"100%_\\^X"}),
        ("_", {"100%_\\^X"}),
        ("\\", {"100%_\\^X"}),
        ("doe müller", set()),
        ("'; drop table studies; --", set()),
        ("ana\ndoe", set()),
    ],
)
def test_a_search_finds_names_however_they_are_written_and_takes_every_sign_as_itself(room, words, names):
    assert {row.patient_name for row in ask(room, words=words, limit=500).items} == names


@pytest.mark.parametrize("words", ["", "  \t\n ", "^", ",=^", "\u0301"])
def test_words_without_a_letter_ask_for_everything(room, words):
    assert ask(room, words=words).total == len(seen(room, Role.MANAGER))


def test_every_word_may_be_met_by_another_field(room):
    told = ask(room, words="p07 thorax doe", limit=500).items
    assert {(row.patient_id, row.description) for row in told} <= {("P07", "CT Thorax")}
    (row,) = ask(room, words="a123").items
    assert row.accession == "A123" and ask(room, words=" ".join(["a123"] * 40)).total == 1
    assert ask(room, words="P07\nA7").total == ask(room, words="p07 a7").total


def test_a_name_that_is_corrected_is_found_by_its_new_words_and_not_by_the_old(room):
    study_id = add_study(room.sessions, "9.1", patient_name="Before^Ä", accession="corrected")
    with room.sessions.begin() as session:
        session.get_one(Study, study_id).patient_name = "Öfter^Ü"
    assert ask(room, words="ofter u corrected").total == 1 and ask(room, words="before").total == 0
    with room.sessions.begin() as session:
        session.delete(session.get_one(Study, study_id))


def test_a_running_analysis_is_told_with_its_progress_and_only_while_it_runs(room):
    study_id = add_study(room.sessions, "9.2", accession="running-one")
    queue(room.sessions, JobKind.ANALYSE, study_id=study_id, key="analyse:9.2")
    assert [(row.progress, row.stage) for row in ask(room, words="running-one").items] == [(None, "")]
    job = claim(room.sessions, room.settings, [JobKind.ANALYSE])
    beat(room.sessions, room.settings, job, 0.25, "window 3 of 12")
    (row,) = ask(room, words="running-one").items
    assert (row.progress, row.stage, row.state) == (0.25, "window 3 of 12", StudyState.RUNNING)
    with room.sessions.begin() as session:
        session.delete(session.get_one(Study, study_id))


def test_a_page_far_behind_the_end_is_empty_but_counts(room):
    told = ask(room, offset=10_000_000)
    assert told.items == [] and told.total == sum(told.counts.values()) == len(seen(room, Role.MANAGER))


def test_one_account_is_never_answered_with_what_another_may_see(room):
    first = {role: ask(room, role).total for role in Role}
    assert len(set(first.values())) == 3 and {role: ask(room, role).total for role in Role} == first
    with room.sessions.begin() as session:
        session.execute(update(User).where(User.role == Role.READER).values(role=Role.ADMIN, name="was-reader"))
        was = session.scalars(select(User).where(User.name == "was-reader")).one()
        told = json.loads(worklist(session, was, Asked()))
        session.rollback()
    assert told["total"] < first[Role.READER]


@pytest.mark.parametrize("text", [*NAMES, "İstanbul ﬁne ǅ ﷺ 한국", "\ud55c\u0301", "a\u0000b\n\r\tc", "x" * 5000])
def test_folding_again_changes_nothing_and_leaves_one_line(text):
    once = folded(text)
    assert folded(once) == once == folded(text.upper()) == folded(text.lower()) and "\n" not in once
