import pytest
from tabled_made import rows_made, write_scans, write_table, write_tabled
from uses_made import model_for

from panlesion.ct.modality import Modality
from panlesion.ct.region import Framing, Region
from panlesion.errors import CheckpointError, StoreError
from panlesion.infer.cases import predict_table, table_for, write_predictions
from panlesion.nets.case_answer import answer_case, answer_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tabled(tmp_path_factory.mktemp("cases") / "data", 4).parent


def test_a_table_is_answered_case_by_case_as_each_alone(folder):
    model = model_for("stage")
    table = table_for(folder, model)
    done = predict_table(model, table)
    assert [row["case"] for row in done.rows] == ["c00", "c01", "c02", "c03"]
    for row, case in zip(done.rows, table.stream(), strict=True):
        (alone,) = answer_rows(model.info.case, answer_case(model, case.images, case.label))
        assert row == {"case": case.id, "patient": row["patient"]} | alone


def test_one_case_that_cannot_be_read_does_not_stop_the_others(tmp_path):
    rows = rows_made(3)
    write_scans(tmp_path, rows)
    (tmp_path / rows[1]["image"]).write_bytes(b"nothing")
    model = model_for("detect")
    done = predict_table(model, table_for(write_table(tmp_path, rows), model))
    assert [row["case"] for row in done.rows] == ["c00", "c02"]
    assert len(done.failures) == 1
    assert done.failures[0].startswith("c01: ")


def test_images_that_the_checkpoint_was_not_taught_are_refused(folder):
    for channels in ((Modality.CT, Modality.MR), (Modality.CT, Modality.CT)):
        with pytest.raises(CheckpointError, match="gives the images CT of a case, the checkpoint wants CT, "):
            table_for(folder, model_for("detect", channels=channels))
    # a checkpoint of MR alone reads the column image as MR
    assert table_for(folder, model_for("detect", channels=(Modality.MR,))).channels == (Modality.MR,)


def test_a_table_with_mistakes_lists_them_and_labels_are_needed_only_where_a_cube_is_laid_around_them(tmp_path):
    rows = [{key: row[key] for key in ("case", "image")} for row in rows_made(2)]
    write_scans(tmp_path, rows_made(2))
    path = write_table(tmp_path, rows)
    with pytest.raises(StoreError, match=r"row 2 \(c00\): label is empty[\s\S]*row 3 \(c01\): label is empty"):
        table_for(path, model_for("stage"))
    middle = model_for("stage", framing=Framing(region=Region.IMAGE, side=16, spacing_mm=4.0))
    assert len(predict_table(middle, table_for(path, middle)).rows) == 2


def test_a_checkpoint_that_answers_nothing_says_so(folder):
    model = model_for("stage")
    model.info = type(model.info)(**{**vars(model.info), "case": None})
    with pytest.raises(CheckpointError, match="answers no question about whole cases"):
        table_for(folder, model)


def test_rows_are_written_with_a_column_for_each_name(tmp_path):
    write_predictions(tmp_path / "deep" / "p.csv", [{"case": "a,b", "risk": "1"}, {"case": "c", "p": "2"}])
    assert (tmp_path / "deep" / "p.csv").read_text() == 'case,risk,p\n"a,b",1,\nc,,2\n'
