import json
from types import MappingProxyType

import pytest
from runs_made import TINY

from panlesion.bench import suite
from panlesion.bench.protocol import BenchRow, Choices, Dataset, Protocol, Table
from panlesion.bench.registry import ROWS
from panlesion.bench.scores import Score
from panlesion.bench.suite import LOCAL, RESULTS, STATE, Ended, Quick, command_of, in_order, quick_settings, run_suite
from panlesion.errors import CheckpointError, StoreError
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo


def made_row(id, ran, *, error=None, folder=None):
    def run(asked, _watch):
        ran.append((id, asked.choices))
        if error is not None:
            raise error
        score = Score(row=id, arm="a", metric="dice", value=0.5, low=0.4, high=0.6, n=7)
        return [Table(title="Dice", header=("arm", "Dice"), rows=((f"arm of {id}", "0.5 (0.4-0.6, n = 7)"),), scores=(score,))]

    data = Dataset(folders=(folder,), source="x", get="y", layout="z") if folder else None
    return BenchRow(
        id=id, title=f"Title of {id}", protocol=Protocol.UNTOUCHED, run=run, takes=frozenset({"cases", "workers"}), data=data
    )


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    quick = {name: Quick(choices=Choices(cases=2), minutes=1, less="most scans") for name in ("b", "a")}
    monkeypatch.setattr(suite, "LOCAL", MappingProxyType(quick))
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16))
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    return str(tmp_path / "tiny.safetensors")


def go(tmp_path, checkpoint, rows, **more):
    return run_suite(rows, tmp_path / "data", checkpoint, tmp_path / "out", watch=lambda _row: lambda *_: None, **more)


def test_rows_run_in_the_stated_order_with_their_quick_settings(tmp_path, checkpoint):
    ran = []
    rows = {name: made_row(name, ran) for name in ("a", "b", "c")}
    done = go(tmp_path, checkpoint, rows, workers=2)
    assert [(id, choices.cases, choices.workers) for id, choices in ran] == [("b", 2, 2), ("a", 2, 2), ("c", None, 2)]
    assert {one.ended for one in done} == {Ended.DONE}
    page = (tmp_path / "out" / RESULTS).read_text()
    for word in (
        "## a: Title of a",
        "arm of b",
        "n = 7",
        "panlesion bench run a --checkpoint",
        "--cases 2 --workers 2",
        "most scans",
    ):
        assert word in page


def test_what_is_done_is_not_run_again_unless_the_weights_or_settings_are_others(tmp_path, checkpoint, monkeypatch):
    ran = []
    rows = {"a": made_row("a", ran)}
    go(tmp_path, checkpoint, rows)
    first = (tmp_path / "out" / RESULTS).read_text()
    again = go(tmp_path, checkpoint, rows, workers=2)
    assert [one.ended for one in again] == [Ended.KEPT]
    assert len(ran) == 1
    assert "arm of a" in (tmp_path / "out" / RESULTS).read_text()
    assert first.count("arm of a") == 1
    (tmp_path / "out" / "a" / "table.md").unlink()
    assert go(tmp_path, checkpoint, rows)[0].ended is Ended.DONE
    monkeypatch.setattr(suite, "LOCAL", {"a": Quick(choices=Choices(cases=3), minutes=1, less="")})
    assert go(tmp_path, checkpoint, rows)[0].ended is Ended.DONE
    assert len(ran) == 3


@pytest.mark.parametrize(
    "error", [StoreError("the tree is cut"), ValueError("no such arm"), RuntimeError("a bug"), OSError("gone")]
)
def test_a_row_that_fails_is_listed_and_the_others_go_on(tmp_path, checkpoint, error):
    ran = []
    done = go(tmp_path, checkpoint, {"b": made_row("b", ran, error=error), "a": made_row("a", ran)})
    assert [(one.row, one.ended) for one in done] == [("b", Ended.FAILED), ("a", Ended.DONE)]
    assert str(error) in done[0].why
    assert str(error) in (tmp_path / "out" / RESULTS).read_text()
    assert set(json.loads((tmp_path / "out" / STATE).read_text())) == {"a"}
    mended = go(tmp_path, checkpoint, {"b": made_row("b", ran), "a": made_row("a", ran)})
    assert [one.ended for one in mended] == [Ended.DONE, Ended.KEPT]


def test_rows_without_their_data_are_no_failure(tmp_path, checkpoint):
    ran = []
    done = go(tmp_path, checkpoint, {"a": made_row("a", ran, folder="scans"), "b": made_row("b", ran)})
    assert [(one.row, one.ended) for one in done] == [("b", Ended.DONE), ("a", Ended.NO_DATA)]
    assert "Without their data here, 1 rows: a" in (tmp_path / "out" / RESULTS).read_text()
    (tmp_path / "data" / "scans").mkdir(parents=True)
    assert go(tmp_path, checkpoint, {"a": made_row("a", ran, folder="scans")})[0].ended is Ended.DONE


def test_no_row_begins_after_the_budget(tmp_path, checkpoint):
    ran, now = [], [0.0]

    def clock():
        now[0] += 20.0
        return now[0]

    rows = {name: made_row(name, ran) for name in ("a", "b", "c")}
    done = go(tmp_path, checkpoint, rows, minutes=0.5, clock=clock)
    assert [one.ended for one in done] == [Ended.DONE, Ended.LATE, Ended.LATE]
    assert {one.ended for one in go(tmp_path, checkpoint, rows)} == {Ended.KEPT, Ended.DONE}


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": {"settings": {}}}'])
def test_a_damaged_state_is_refused(tmp_path, checkpoint, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / STATE).write_text(content)
    with pytest.raises(StoreError, match=STATE):
        go(tmp_path, checkpoint, {})


def test_a_checkpoint_that_cannot_be_read_ends_the_suite(tmp_path):
    with pytest.raises(CheckpointError):
        go(tmp_path, str(tmp_path / "none.safetensors"), {})


def test_the_local_suite_names_rows_with_choices_they_take_and_fits_its_budget():
    assert set(LOCAL) <= set(ROWS)
    for row in ROWS.values():
        assert set(quick_settings(row).choices.given()) <= row.takes
    assert sum(quick.minutes for quick in LOCAL.values()) <= suite.MINUTES
    assert [row.id for row in in_order(ROWS)][: len(LOCAL)] == list(LOCAL)


def test_a_command_says_what_was_chosen(tmp_path):
    words = command_of(ROWS["sts"], tmp_path, "nano", Choices(shots=(1, 4), seeds=2))
    assert words == f"panlesion bench run sts --root {tmp_path} --checkpoint nano --shots 1,4 --seeds 2"
    assert "--root" not in command_of(ROWS["phantoms"], tmp_path, "nano", Choices())
