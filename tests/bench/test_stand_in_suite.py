import json
from dataclasses import replace

import pytest
from runs_made import TINY

from panlesion.bench import stand_ins
from panlesion.bench.paper import paper_tasks
from panlesion.bench.protocol import STAND_IN, BenchRow, Dataset, Protocol, Table
from panlesion.bench.scores import DIFFERENCE, Score
from panlesion.bench.stand_in_suite import DATASETS, PAGE, Went, run_stand_ins
from panlesion.bench.stand_ins import StandIn
from panlesion.bench.suite import STATE
from panlesion.errors import CheckpointError, StoreError
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo

SCORE = Score(row="a", arm="scratch", metric="dice", value=0.123, low=0.111, high=0.135, n=7)


def made_row(id, ran, *, error=None, folder="scans"):
    def run(asked, watch):
        ran.append((id, asked))
        watch("half", 1, 2)
        if error is not None:
            raise error
        assert (asked.root / folder / "case.txt").read_text() == "drawn"
        pair = replace(SCORE, row=id, arm="a over b", metric=f"dice{DIFFERENCE}")
        scores = (replace(SCORE, row=id), pair)
        return [Table(title="Dice", header=("arm",), rows=(("0.123",),), scores=scores)]

    data = Dataset(folders=(folder,), source="x", get="y", layout="scans/NAME|s") if folder else None
    return BenchRow(
        id=id, title=f"Title of {id}", protocol=Protocol.FEW_SHOT, run=run, takes=frozenset({"cases", "steps", "workers"}),
        data=data,
    )  # fmt: skip


@pytest.fixture
def drawn(monkeypatch):
    """How often the rows' stand-in was drawn."""
    times = []

    def write(root):
        times.append(root)
        (root / "scans").mkdir(parents=True)
        (root / "scans" / "case.txt").write_text("drawn")

    one = StandIn(name="made", cases=5, write=write)
    monkeypatch.setattr(stand_ins, "BY_ROW", {"a": one, "b": one})
    return times


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)))
    return str(path)


def go(tmp_path, checkpoint, rows, tasks=None, **more):
    return run_stand_ins(rows, tasks or {}, checkpoint, tmp_path / "out", **({"watch": lambda *_: None} | more))


def test_rows_run_on_one_marked_tree_with_tiny_settings_and_show_no_score(tmp_path, checkpoint, drawn):
    ran, said = [], []
    rows = {name: made_row(name, ran) for name in ("a", "b")} | {"own": made_row("own", ran, folder=None)}
    stood = go(tmp_path, checkpoint, rows, workers=2, watch=lambda *what: said.append(what))
    assert [(one.row, one.went, one.cases, one.arms) for one in stood] == [
        ("a", Went.RAN, 5, ("scratch",)),
        ("b", Went.RAN, 5, ("scratch",)),
    ]
    assert [(id, asked.choices.steps, asked.choices.cases, asked.choices.workers) for id, asked in ran] == [
        ("a", 2, 1, 2),
        ("b", 2, 1, 2),
    ]
    assert len(drawn) == 1
    datasets = tmp_path / "out" / DATASETS
    assert [path.name for path in datasets.iterdir()] == ["scans"]
    assert json.loads((datasets / "scans" / STAND_IN).read_text())["trees"] == {"made": 5}
    page = (tmp_path / "out" / PAGE).read_text()
    assert "2 of 2 rows ran" in page
    assert "--steps 2 --cases 1 | scans/NAME\\|s |" in page
    assert "0.1" not in page
    assert ("b: half (1 of 2)", 1, 2) in said and said[-1] == ("done", 2, 2)


def test_what_ran_is_not_run_again_unless_the_weights_or_the_stand_in_are_others(tmp_path, checkpoint, drawn, monkeypatch):
    ran = []
    rows = {"a": made_row("a", ran)}
    (first,) = go(tmp_path, checkpoint, rows)
    page = (tmp_path / "out" / PAGE).read_text()
    (again,) = go(tmp_path, checkpoint, rows, workers=2)
    assert (again.went, again.arms, again.good) == (Went.KEPT, first.arms, True)
    assert again.seconds == pytest.approx(first.seconds)
    assert (tmp_path / "out" / PAGE).read_text() == page
    assert len(ran) == len(drawn) == 1
    (tmp_path / "out" / "a" / "table.md").unlink()
    assert go(tmp_path, checkpoint, rows)[0].went is Went.RAN
    monkeypatch.setattr(stand_ins, "TINY", {"steps": 3})
    assert go(tmp_path, checkpoint, rows)[0].went is Went.RAN
    assert len(drawn) == 1


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("error", [StoreError("the tree is cut"), RuntimeError("a bug"), OSError("gone|away")])
def test_a_row_that_fails_is_listed_and_the_others_go_on(tmp_path, checkpoint, error):
    ran = []
    stood = go(tmp_path, checkpoint, {"a": made_row("a", ran, error=error), "b": made_row("b", ran)})
    assert [(one.row, one.went) for one in stood] == [("a", Went.FAILED), ("b", Went.RAN)]
    page = (tmp_path / "out" / PAGE).read_text()
    assert f"- **a** failed: {type(error).__name__}: {error}" in page
    assert "1 of 2 rows" in page
    assert set(json.loads((tmp_path / "out" / STATE).read_text())) == {"b"}
    assert [one.went for one in go(tmp_path, checkpoint, {name: made_row(name, ran) for name in ("a", "b")})] == [
        Went.RAN,
        Went.KEPT,
    ]


@pytest.mark.usefixtures("drawn")
def test_rows_without_a_stand_in_and_tasks_without_a_runner_are_told_and_are_not_good(tmp_path, checkpoint):
    task = paper_tasks()["lung-survival"]
    stood = go(tmp_path, checkpoint, {"c": made_row("c", [])}, {task.id: task})
    assert {one.row: (one.went, one.good) for one in stood} == {
        task.id: (Went.NO_RUNNER, False),
        "c": (Went.NO_STAND_IN, False),
    }
    page = (tmp_path / "out" / PAGE).read_text()
    assert "0 of 2 rows" in page
    assert "- **c** no stand-in" in page and f"- **{task.id}** no runner" in page


def test_data_that_are_not_drawn_are_neither_used_nor_touched(tmp_path, checkpoint, drawn):
    ran = []
    scans = tmp_path / "out" / DATASETS / "scans"
    scans.mkdir(parents=True)
    (scans / "case.txt").write_text("a patient")
    (one,) = go(tmp_path, checkpoint, {"a": made_row("a", ran)})
    assert one.went is Went.FAILED
    assert "is not marked as drawn (STAND_IN is missing)" in one.why and "--out" in one.why
    assert not ran and not drawn
    assert [path.name for path in scans.iterdir()] == ["case.txt"]
    assert (scans / "case.txt").read_text() == "a patient"


def test_a_writer_that_fails_is_the_rows_failure(tmp_path, checkpoint, monkeypatch):
    def write(root):
        raise OSError(f"the disk of {root.name} is full")

    monkeypatch.setattr(stand_ins, "BY_ROW", {"a": StandIn(name="made", cases=5, write=write)})
    (one,) = go(tmp_path, checkpoint, {"a": made_row("a", [])})
    assert (one.went, one.why) == (Went.FAILED, "its stand-in: OSError: the disk of .made is full")


@pytest.mark.usefixtures("drawn")
def test_no_row_begins_after_the_budget_and_what_ran_is_kept(tmp_path, checkpoint):
    now = [0.0]

    def clock():
        now[0] += 20.0
        return now[0]

    rows = {name: made_row(name, []) for name in ("a", "b")}
    assert [one.went for one in go(tmp_path, checkpoint, rows, minutes=0.5, clock=clock)] == [Went.RAN, Went.LATE]
    assert "- **b** not started: the budget was spent" in (tmp_path / "out" / PAGE).read_text()
    assert [one.went for one in go(tmp_path, checkpoint, rows, minutes=0)] == [Went.KEPT, Went.LATE]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": {"settings": {}}}'])
def test_a_damaged_state_is_refused(tmp_path, checkpoint, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / STATE).write_text(content)
    with pytest.raises(StoreError, match=STATE):
        go(tmp_path, checkpoint, {})


def test_a_checkpoint_that_cannot_be_read_ends_the_suite(tmp_path):
    with pytest.raises(CheckpointError):
        go(tmp_path, str(tmp_path / "none.safetensors"), {})
