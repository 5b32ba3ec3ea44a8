import logging
import shutil

import numpy as np
import pytest
from annotated_scans_made import rewrite, scans

from panlesion.data.sources.tcga_blca import SOURCE
from panlesion.data.standins._dicom import write_series
from panlesion.data.standins.tcia import write_tcga_blca
from panlesion.errors import StoreError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, drawn = tmp_path_factory.mktemp("blca"), scans(2)
    write_tcga_blca(folder, drawn)
    return folder, drawn


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def test_each_patient_is_read_with_stage_and_survival_and_a_label_of_zeros(written):
    root, drawn = written
    for case, one in zip(SOURCE.stream(root), drawn, strict=True):
        assert np.array_equal(case.ct.hu, one.ct.hu) and case.ct.grid.same_as(one.ct.grid)
        assert case.label.grid.same_as(one.ct.grid) and not case.label.labels.any()
    alive, dead = (case.facts for case in SOURCE.find(root))
    assert (alive["vital_status"], alive["days_to_last_follow_up"], alive["days_to_death"]) == ("Alive", "2165", "")
    assert (dead["vital_status"], dead["days_to_death"], dead["ajcc_pathologic_stage"]) == ("Dead", "155", "Stage II")


def test_the_series_with_most_images_is_taken_unless_it_is_not_axial(root, written):
    study = SOURCE.find(root)[0].image.parent
    write_series(study / "coronal", written[1][0].ct, patient="x", number=5, name="{:03d}.dcm".format)
    write_series(study / "coronal", written[1][0].ct, patient="y", number=6, name="more{:03d}.dcm".format)
    for path in (study / "coronal").iterdir():
        rewrite(path, lambda ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 0, 0, -1]))
    assert SOURCE.find(root)[0].image.name == "2.000000-VENOUS-1"


def test_a_patient_with_a_scout_alone_is_left_out_and_named(root, caplog):
    shutil.rmtree(SOURCE.find(root)[0].image)
    with caplog.at_level(logging.WARNING):
        assert [case.id for case in SOURCE.find(root)] == ["TCGA-4Z-A001"]
    assert "left out 1: TCGA-4Z-A000 (no axial CT of 20 images or more)" in caplog.text


def test_a_table_whose_columns_are_named_with_their_table_is_read_alike(root):
    facts = [case.facts["ajcc_pathologic_stage"] for case in SOURCE.find(root)]
    text = (root / "clinical.tsv").read_text()
    renamed = {
        "case_submitter_id": "cases.submitter_id",
        "ajcc_pathologic_stage": "diagnoses.ajcc_pathologic_stage",
        "vital_status": "demographic.vital_status",
        "days_to_death": "demographic.days_to_death",
        "days_to_last_follow_up": "diagnoses.days_to_last_follow_up",
    }
    for name, table in renamed.items():
        text = text.replace(name, table, 1)
    (root / "clinical.tsv").write_text(text)
    assert [case.facts["ajcc_pathologic_stage"] for case in SOURCE.find(root)] == facts == ["Stage I", "Stage II"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "clinical.tsv").unlink(), "no clinical table; at portal.gdc.cancer.gov"),
        (lambda root: (root / "clinical.tsv").write_text("case_submitter_id\n"), "lacks the columns ajcc_pathologic_stage"),
        (lambda root: [shutil.rmtree(case.image) for case in SOURCE.find(root)], "none of its 2 patients has an axial CT"),
        (lambda root: shutil.rmtree(root / "TCGA-BLCA"), "holds no patient of TCGA-BLCA"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        SOURCE.find(root)


def test_a_stand_in_of_too_few_slices_is_refused(tmp_path):
    with pytest.raises(ValueError, match="fewer than 20"):
        write_tcga_blca(tmp_path, scans(1, shape=(16, 18, 12)))
