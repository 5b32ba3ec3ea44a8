import numpy as np
import pytest
from labelled_made import write_pairs
from tabled_made import rows_made, scan, write_scans, write_table, write_tabled

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.sources.case_table import read_case_table
from panlesion.errors import ReadError, StoreError
from panlesion.lesion.case_task import TARGET_COLUMNS, CaseTask
from panlesion.lesion.vocabulary import READINGS, Density

STAGES = ("I", "II", "III")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tabled(tmp_path_factory.mktemp("cases") / "data", 4).parent


def rewritten(folder, tmp_path, rows):
    """The table with other rows, its files still where they were."""
    files = ("image", "label", "mr")
    given = [
        {key: str(folder / cell) if key.startswith(files) and cell and "/" not in cell else cell for key, cell in row.items()}
        for row in rows
    ]
    return write_table(tmp_path, given)


def test_every_task_finds_its_targets(folder):
    for task in CaseTask:
        table = read_case_table(folder, task, stages=STAGES if task is CaseTask.STAGE else ())
        assert table.problems == (), task
        assert [case.id for case in table.cases] == ["c00", "c01", "c02", "c03"]
    assert [case.targets.event for case in read_case_table(folder, CaseTask.SURVIVE).cases] == [False, True, True, True]
    assert read_case_table(folder, CaseTask.STAGE, stages=STAGES).cases[2].targets.stage == 1
    told = read_case_table(folder, CaseTask.DESCRIBE).cases[1].targets.attributes
    assert dict(zip(READINGS, told, strict=True))["density"] == list(Density).index(Density.HYPER)
    assert told.count(None) == 4


def test_cases_stream_with_their_label_on_the_images_axes(tmp_path):
    rows = rows_made(1)
    image, label = scan(0)
    flipped = LabelMap(labels=label.labels[::-1], grid=_flipped(label.grid))
    write_volume(tmp_path / rows[0]["image"], image)
    write_labels(tmp_path / rows[0]["label"], flipped)
    (case,) = read_case_table(write_table(tmp_path, rows), CaseTask.DETECT).stream()
    assert (case.label.labels == label.labels).all()
    assert case.images[0].grid.same_as(image.grid)


def _flipped(grid):
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_xyz((grid.shape[0] - 1, 0, 0))
    affine[:3, 0] *= -1
    return type(grid)(shape=grid.shape, affine=affine)


def test_several_images_are_told_by_their_columns_and_mr_is_read_as_mr(folder, tmp_path):
    rows = [row | {"mr2": row["image"].replace(".nii", "_mr.nii")} for row in rows_made(2)]
    for n, row in enumerate(rows):
        image, _ = scan(n)
        mr = Volume(hu=(image.hu.astype(int) + 1100).clip(0, 3000).astype(np.int16), grid=image.grid)
        write_volume(folder / row["mr2"], mr)
    table = read_case_table(rewritten(folder, tmp_path, rows), CaseTask.DETECT)
    assert table.problems == ()
    assert table.channels == (Modality.CT, Modality.MR)
    ct, mr = table.read(table.cases[0]).images
    assert ct.hu.min() < -900
    assert mr.hu.max() == 1000


def test_images_may_lie_in_a_layout_beside_the_table(tmp_path):
    root = write_pairs(tmp_path / "cts", 3)
    write_table(root, [{"case": f"case_{n}", "present": str(n % 2)} for n in range(3)])
    (root / "patients.csv").write_text("case,patient\ncase_0,a\ncase_2,a\n")
    table = read_case_table(root, CaseTask.DETECT)
    assert table.problems == ()
    assert [case.patient for case in table.cases] == ["a", "case_1", "a"]
    assert all(case.label.parent.name == "labels" for case in table.cases)


def test_spreadsheets_write_semicolons_and_a_byte_order_mark(folder):
    text = "\ufeffcase;image;present\r\nc00;c00.nii.gz;1\r\n"
    (folder / "other.csv").write_bytes(text.encode())
    table = read_case_table(folder / "other.csv", CaseTask.DETECT)
    assert (table.problems, table.cases[0].patient) == ((), "c00")


@pytest.mark.parametrize(
    ("task", "changes", "says"),
    [
        ("detect", {"present": "yes"}, "present is yes; it is 0 or 1"),
        ("detect", {"present": ""}, "present is empty"),
        ("detect", {"image": "nowhere.nii.gz"}, "nowhere.nii.gz does not exist"),
        ("detect", {"image": "a/../../c00.nii.gz"}, "leaves the table's folder"),
        ("detect", {"image": ""}, "image is empty"),
        ("detect", {"label": ""}, "label is empty; the network is shown what lies around it"),
        ("detect", {"case": "c01"}, "case c01 comes 2 times"),
        ("detect", {"case": ""}, "case is empty"),
        ("stage", {"stage": "IV"}, "stage is IV; the stages are I, II, III"),
        ("survive", {"time": "0"}, "time is 0; it is a number above 0"),
        ("survive", {"time": "-3"}, "time is -3"),
        ("survive", {"time": "inf"}, "time is inf"),
        ("survive", {"time": "soon"}, "time is soon"),
        ("survive", {"event": "2"}, "event is 2; it is 0 or 1"),
        ("describe", {"density": "grey"}, "density is 'grey'; the words are 'Hypodense', 'Isodense', 'Hyperdense'"),
        ("describe", {"density": ""}, "none of shape, density, heterogeneity, surface, invasion is given"),
    ],
)
def test_a_wrong_row_is_named_with_value_and_rule(folder, tmp_path, task, changes, says):
    rows = rows_made(4)
    rows[0] |= changes
    table = read_case_table(
        rewritten(folder, tmp_path, rows), CaseTask(task), stages=STAGES if task == "stage" else (), need_label=True
    )
    assert len(table.problems) == 1, table.problems
    assert says in table.problems[0]
    assert "cases.csv" in table.problems[0]


def test_all_wrong_rows_are_listed_at_once_and_the_sound_ones_kept(folder, tmp_path):
    rows = rows_made(4)
    rows[0] |= {"time": "-1", "event": "maybe"}
    rows[2] |= {"image": "gone.nii.gz", "time": ""}
    table = read_case_table(rewritten(folder, tmp_path, rows), CaseTask.SURVIVE)
    assert [problem.split(":")[0] for problem in table.problems] == ["cases.csv row 2 (c00)"] * 2 + [
        "cases.csv row 4 (c02)"
    ] * 2
    assert [case.id for case in table.cases] == ["c01", "c03"]


@pytest.mark.parametrize("task", list(CaseTask))
def test_a_table_without_the_tasks_columns_says_which(folder, tmp_path, task):
    rows = [{key: row[key] for key in ("case", "image")} for row in rows_made(2)]
    table = read_case_table(rewritten(folder, tmp_path, rows), task)
    assert any(all(name in problem for name in TARGET_COLUMNS[task]) for problem in table.problems)


def test_words_for_stages_need_an_order_and_numbers_have_one(folder, tmp_path):
    assert any("say --stages lowest,…,highest" in p for p in read_case_table(folder, CaseTask.STAGE).problems)
    rows = [row | {"stage": number} for row, number in zip(rows_made(4), ("10", "2", "1", "2"), strict=True)]
    table = read_case_table(rewritten(folder, tmp_path, rows), CaseTask.STAGE)
    assert table.stages == ("1", "2", "10")
    assert [case.targets.stage for case in table.cases] == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "no column case"),
        (b"patient,image\np,i\n", "no column case"),
        (b"case,image\n", "has no row"),
        (b"case,case\na,b\n", "names a column twice"),
        (b"\xff\xfe\x00c\x00a", "cannot be read as a table"),
        (b'case,image\n"c,0\n', "cannot be read as a table"),
        (b"case,image,image3,present\nc,i,j,1\n", "they count image (or mr), image2, image3"),
    ],
)
def test_what_is_no_table_is_said(tmp_path, text, says):
    path = tmp_path / "cases.csv"
    path.write_bytes(text)
    try:
        said = " ".join(read_case_table(path, CaseTask.DETECT).problems)
    except StoreError as error:
        said = str(error)
    assert says in said
    assert "cases.csv" in said


def test_a_missing_table_and_images_that_lie_nowhere_are_said(tmp_path):
    with pytest.raises(StoreError, match=r"cases\.csv cannot be read"):
        read_case_table(tmp_path, CaseTask.DETECT)
    write_table(tmp_path, [{"case": "a", "present": "1"}])
    assert "in no known layout beside it" in read_case_table(tmp_path, CaseTask.DETECT).problems[0]


def test_unused_columns_are_told_and_predicting_needs_no_targets(folder):
    rows = rows_made(2)
    path = write_table(folder, [row | {"age": "70", "present": "?"} for row in rows], "new.csv")
    table = read_case_table(path, None)
    assert table.problems == ()
    assert "age" in table.notes[0]


def test_an_image_that_is_damaged_names_its_case(tmp_path):
    rows = rows_made(1)
    write_scans(tmp_path, rows)
    (tmp_path / rows[0]["image"]).write_bytes(b"\x1f\x8b nothing")
    table = read_case_table(write_table(tmp_path, rows), CaseTask.DETECT)
    with pytest.raises(ReadError, match="c00: "):
        list(table.stream())
