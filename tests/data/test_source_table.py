import csv
import shutil

import numpy as np
import pytest
from annotated_scans_made import scans

from panlesion.ct.nifti import write_labels
from panlesion.ct.organs import V2_LABELS
from panlesion.ct.volume import LabelMap
from panlesion.data.sources import nsclc_radiomics, tcga_blca
from panlesion.data.sources.registry import SOURCES
from panlesion.data.sources.source_table import ASKS, EARLY, LATE, table_of_source
from panlesion.data.standins.tcia import write_nsclc_radiomics, write_tcga_blca
from panlesion.errors import OrganMapError, StoreError
from panlesion.lesion.case_task import CaseTask

LUNG, BLADDER = nsclc_radiomics.SOURCE, tcga_blca.SOURCE


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Both sets with four patients, and an organ map of each bladder patient."""
    root, drawn = tmp_path_factory.mktemp("sets"), scans(4)
    write_nsclc_radiomics(root / "lung", drawn)
    write_tcga_blca(root / "blca", drawn)
    (root / "blca" / "organs").mkdir()
    for case, one in zip(BLADDER.find(root / "blca"), drawn, strict=True):
        bladder = (one.label.labels == 1) * V2_LABELS["urinary_bladder"]
        organs = LabelMap(labels=bladder.astype(np.uint8), grid=one.label.grid)
        write_labels(root / "blca" / "organs" / f"{case.id}.nii.gz", organs)
    return root, drawn


@pytest.fixture
def blca(written, tmp_path):
    return shutil.copytree(written[0] / "blca", tmp_path / "blca")


def edit(path, delimiter, change):
    """Change the rows of a table, given as dicts."""
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=delimiter))
    for row in rows:
        change(row)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def test_lungs_have_times_events_and_the_contoured_tumour(written):
    root, drawn = written
    table = table_of_source(LUNG, root / "lung", CaseTask.SURVIVE)
    assert [(case.targets.time, case.targets.event) for case in table.cases] == [
        (2165, False), (155, True), (256, False), (731, True)
    ]  # fmt: skip
    for case, one, opened in zip(table.cases, drawn, table.stream(), strict=True):
        assert opened.id == case.id
        assert np.array_equal(opened.images[0].hu, one.ct.hu)
        assert np.array_equal(opened.label.labels, one.label.labels)
        assert opened.label.grid.same_as(opened.images[0].grid)


def test_bladders_have_stage_and_survival_and_the_organ_for_a_label(written):
    root, drawn = written
    table = table_of_source(BLADDER, root / "blca", CaseTask.STAGE)
    assert table.stages == (EARLY, LATE)
    assert [case.targets.stage for case in table.cases] == [0, 0, 1, 1]
    times = table_of_source(BLADDER, root / "blca", CaseTask.SURVIVE)
    assert [(case.targets.time, case.targets.event) for case in times.cases] == [
        (2165, False), (155, True), (256, False), (731, True)
    ]  # fmt: skip
    opened = table.read(table.cases[2])
    assert np.array_equal(opened.images[0].hu, drawn[2].ct.hu)
    assert np.array_equal(opened.label.labels == 104, drawn[2].label.labels == 1)  # v1's bladder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vital_status": "Not Reported"}, "vital_status is 'Not Reported', not Dead or Alive"),
        ({"vital_status": "Dead", "days_to_death": "'--"}, "days_to_death is '', no number above 0"),
        ({"vital_status": "Alive", "days_to_last_follow_up": "0"}, "days_to_last_follow_up is '0', no number above 0"),
        ({"vital_status": "Alive", "days_to_last_follow_up": "soon"}, "days_to_last_follow_up is 'soon'"),
        ({"vital_status": "Alive", "days_to_last_follow_up": "inf"}, "days_to_last_follow_up is 'inf'"),
    ],
)
def test_a_patient_whose_facts_say_nothing_is_left_out_and_named(blca, change, says):
    name = BLADDER.find(blca)[0].id
    edit(blca / "clinical.tsv", "\t", lambda row: row.update(change) if row["case_submitter_id"] == name else None)
    table = table_of_source(BLADDER, blca, CaseTask.SURVIVE)
    assert [case.id for case in table.cases] == [case.id for case in BLADDER.find(blca)[1:]]
    assert f"left out 1 of 4: {name} ({says}" in table.notes[0]


@pytest.mark.parametrize(
    ("said", "stage"), [("Stage I", 0), ("Stage IIIA", 1), ("Stage IVB", 1), ("Stage X", None), ("", None)]
)
def test_stages_are_read_with_their_letters_and_unknown_ones_left_out(blca, said, stage):
    name = BLADDER.find(blca)[3].id
    edit(blca / "clinical.tsv", "\t",
         lambda row: row.update(ajcc_pathologic_stage=said) if row["case_submitter_id"] == name else None)  # fmt: skip
    found = {case.id: case.targets.stage for case in table_of_source(BLADDER, blca, CaseTask.STAGE).cases}
    assert found.get(name) == stage
    assert len(found) == 3 + (stage is not None)


def test_a_lung_whose_tumour_nobody_drew_is_left_out(written, tmp_path):
    root = shutil.copytree(written[0] / "lung", tmp_path / "lung")
    for path in (root / "NSCLC-Radiomics" / "LUNG1-003").rglob("1-1.dcm"):
        if "38418" in str(path):
            path.unlink()
    table = table_of_source(LUNG, root, CaseTask.SURVIVE)
    assert len(table.cases) == 3
    assert "left out 1 of 4: LUNG1-003 (nobody drew its lesion)" in table.notes[0]


def test_missing_organ_maps_are_asked_for_by_place_and_numbering(blca):
    (blca / "organs" / "TCGA-4Z-A001.nii.gz").unlink()
    with pytest.raises(
        StoreError, match=r"organs: no organ map of 1 of 4 cases \(TCGA-4Z-A001\).*TotalSegmentator.*v2.*<case>"
    ):
        table_of_source(BLADDER, blca, CaseTask.STAGE)
    shutil.rmtree(blca / "organs")
    with pytest.raises(StoreError, match="no organ map of 4 of 4"):
        table_of_source(BLADDER, blca, CaseTask.SURVIVE)


def test_an_organ_map_of_another_scan_or_without_any_organ_is_refused(blca, written):
    table = table_of_source(BLADDER, blca, CaseTask.STAGE)
    maps = [case.label for case in table.cases]
    shutil.copy(maps[1], maps[0])  # lies elsewhere
    with pytest.raises(StoreError, match=r"TCGA-4Z-A000.*apart"):
        table.read(table.cases[0])
    grid = written[1][1].label.grid
    write_labels(maps[1], LabelMap(labels=np.zeros(grid.shape, dtype=np.uint8), grid=grid))
    with pytest.raises(OrganMapError, match=r"TCGA-4Z-A001.*empty"):
        table.read(table.cases[1])


def test_a_question_that_a_set_cannot_answer_is_refused(written):
    with pytest.raises(StoreError, match=r"no facts to stage by.*Write a cases\.csv"):
        table_of_source(LUNG, written[0] / "lung", CaseTask.STAGE)
    assert {id for id, _ in ASKS} <= set(SOURCES)
