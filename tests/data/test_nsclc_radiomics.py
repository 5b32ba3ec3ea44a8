import logging
import shutil

import pytest
from annotated_scans_made import rewrite, same_case, scans

from panlesion.data.sources.nsclc_radiomics import LEFT_OUT, SOURCE
from panlesion.data.standins.tcia import write_nsclc_radiomics
from panlesion.errors import GeometryError, ReadError, StoreError

TABLE = "NSCLC Radiomics Lung1.clinical-version3-Oct-2019.csv"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, drawn = tmp_path_factory.mktemp("nsclc"), scans(2)
    write_nsclc_radiomics(folder, drawn)
    return folder, drawn


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def add(root, patient):
    """One more patient, a copy of the first, with a row in the table."""
    shutil.copytree(root / "NSCLC-Radiomics" / "LUNG1-001", root / "NSCLC-Radiomics" / patient)
    with (root / TABLE).open("a") as stream:
        stream.write(f"{patient},60,II,large cell,female,100,1\n")


def structures(root, patient="LUNG1-001"):
    return next(path for path in (root / "NSCLC-Radiomics" / patient).rglob("*.dcm") if path.parent.name == "1.000000-NA-38418")


def test_the_primary_tumour_and_the_facts_of_each_patient_are_read(written):
    root, drawn = written
    for case, one in zip(SOURCE.stream(root), drawn, strict=True):
        assert same_case(case, one)
    facts = SOURCE.find(root / "NSCLC-Radiomics")[1].facts
    assert (facts["Survival.time"], facts["deadstatus.event"], facts["Overall.Stage"]) == ("155", "1", "II")


def test_a_patient_without_the_tumour_region_has_no_label_and_reads_as_zero(root, caplog):
    add(root, "LUNG1-128")

    def rename(ds):
        ds.StructureSetROISequence[2].ROIName = "gtv-pre-operat"

    rewrite(structures(root, "LUNG1-128"), rename)
    with caplog.at_level(logging.WARNING):
        case = SOURCE.find(root)[-1]
    assert (case.id, case.label) == ("LUNG1-128", None)
    assert "LUNG1-128 (no GTV-1 on its CT; regions: Lung-Left, gtv-2, gtv-pre-operat" in caplog.text
    assert not SOURCE.read(case).label.labels.any()


def test_patients_whose_ct_is_known_to_lack_slices_are_left_out_and_named(root, caplog):
    add(root, LEFT_OUT[0])
    with caplog.at_level(logging.WARNING):
        assert [case.id for case in SOURCE.find(root)] == ["LUNG1-001", "LUNG1-002"]
    assert "left out 1: LUNG1-014" in caplog.text


def test_slices_that_are_missing_are_an_error_that_names_the_patient(root):
    case = SOURCE.find(root)[1]
    sorted(case.image.iterdir())[8].unlink()
    with pytest.raises(GeometryError, match=r"LUNG1-002: .*1 slice\(s\) missing"):
        SOURCE.read(case)


def test_the_table_may_be_named_with_hyphens_or_spaces(root):
    (root / TABLE).rename(root / "NSCLC-Radiomics-Lung1.clinical-version3-Oct-2019.csv")
    assert SOURCE.find(root)[0].facts["Histology"] == "adenocarcinoma"


def spoil_table(root):
    (root / TABLE).unlink()


def spoil_column(root):
    text = (root / TABLE).read_text().replace("deadstatus.event", "dead")
    (root / TABLE).write_text(text)


def spoil_row(root):
    lines = (root / TABLE).read_text().splitlines()
    (root / TABLE).write_text("\n".join(lines[:2]))


def spoil_ct(root):
    shutil.rmtree(SOURCE.find(root)[0].image)


def spoil_twice(root):
    path = structures(root)
    shutil.copy(path, path.with_name("1-2.dcm"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_table, "no clinical table; download 'NSCLC Radiomics Lung1"),
        (spoil_column, "lacks the columns deadstatus.event"),
        (spoil_row, r"LUNG1-002 \(1 in all\) have no row"),
        (spoil_ct, "LUNG1-001: 0 CT series and no structure set with GTV-1"),
        (spoil_twice, "LUNG1-001: 2 structure sets with GTV-1"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        SOURCE.find(root)


def test_a_truncated_structure_set_is_refused_with_its_name(root):
    path = structures(root)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises((ReadError, StoreError), match="LUNG1-001"):
        SOURCE.read(SOURCE.find(root)[0])
