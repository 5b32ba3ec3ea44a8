from pathlib import Path

import pytest

from panlesion.bench.protocol import Asked, BenchRow, Choices, Dataset, Protocol, Table, parsed_arms
from panlesion.bench.task import Arm
from panlesion.errors import StoreError

DATA = Dataset(folders=("scans", "masks"), source="a study", get="scans from a.example", layout="scans/NAME, masks/NAME")
TABLE = Table(title="Results", header=("arm", "Dice"), rows=(("a|b", "0.5 (0.4-0.6, n = 3)"),), notes=("A note.",))


def made_row(**changes):
    ran = []

    def run(asked, watch):
        ran.append(asked)
        watch("all", 1, 1)
        return [TABLE]

    given = {"id": "made", "title": "Boxes", "protocol": Protocol.UNTOUCHED, "run": run, "takes": frozenset({"workers"})}
    return BenchRow(**(given | changes)), ran


def asked(tmp_path, **choices):
    return Asked(root=tmp_path / "data", checkpoint="nano", out=tmp_path / "out", choices=Choices(**choices))


def test_a_row_leaves_its_tables_as_markdown(tmp_path):
    row, _ = made_row()
    said = []
    assert row.measure(asked(tmp_path, workers=2), lambda *what: said.append(what)) == [TABLE]
    assert said == [("all", 1, 1)]
    page = (tmp_path / "out" / "table.md").read_text()
    assert "| arm | Dice |\n| --- | --- |\n| a\\|b | 0.5 (0.4-0.6, n = 3) |\n\nA note.\n" in page
    for word in ("# made: Boxes", "real CTs, no adaptation", "Checkpoint: nano", "workers 2"):
        assert word in page


def test_a_choice_the_protocol_does_not_take_is_refused_before_anything_runs(tmp_path):
    row, ran = made_row()
    with pytest.raises(ValueError, match=r"made \(real CTs, no adaptation\) takes no --shots or --steps; it takes --workers"):
        row.measure(asked(tmp_path, shots=(1,), steps=3), lambda *_: None)
    assert not ran
    assert not (tmp_path / "out").exists()


def test_missing_data_are_named_with_where_to_get_them_and_how_they_lie(tmp_path):
    row, ran = made_row(data=DATA)
    (tmp_path / "data" / "scans").mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        row.measure(asked(tmp_path), lambda *_: None)
    message = str(caught.value)
    assert message.startswith(f"{Path(tmp_path / 'data' / 'masks')} not found")
    assert "scans from a.example" in message
    assert "scans/NAME, masks/NAME" in message
    assert not ran
    (tmp_path / "data" / "masks").mkdir()
    row.measure(asked(tmp_path), lambda *_: None)
    assert "Data: a study." in (tmp_path / "out" / "table.md").read_text()


def test_arms_are_named_in_lower_case_and_unknown_ones_refused():
    assert parsed_arms(["finetuned", "ball"], tuple(Arm)) == (Arm.FINETUNED, Arm.BALL)
    with pytest.raises(ValueError, match=r"magic is no arm; use some of ball, zero"):
        parsed_arms(["ball", "magic"], (Arm.BALL, Arm.ZERO))
