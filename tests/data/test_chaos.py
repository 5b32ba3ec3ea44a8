import shutil

import numpy as np
import pytest
from annotated_scans_made import rewrite, same_case, scans
from PIL import Image
from pydicom.uid import generate_uid

from panlesion.ct.modality import Modality
from panlesion.ct.volume import Volume
from panlesion.data.sources.chaos import SOURCES
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.standins.chaos import write_chaos_ct, write_chaos_mr
from panlesion.errors import ReadError, StoreError

CT, MR = SOURCES
SMALL = (18, 20, 12)


def brightness(case):
    hu = (case.ct.hu.astype(int) + 1024).astype(np.int16)
    return LabelledCT(id=case.id, patient=case.patient, ct=Volume(hu=hu, grid=case.ct.grid), label=case.label)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chaos")
    cts, mrs = scans(2, shape=SMALL), [brightness(case) for case in scans(1, 4, shape=SMALL)]
    write_chaos_ct(folder, cts)
    write_chaos_mr(folder, mrs)
    return folder, cts, mrs


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def test_masks_are_laid_on_the_slices_of_their_images_in_both_ways_of_naming(written):
    """Files count from the head downwards, slices from the feet up; names count from 0 in one patient, from 1 in the other."""
    root, cts, _ = written
    for case, one in zip(CT.stream(root), cts, strict=True):
        assert same_case(case, one)


def test_all_three_scans_of_an_mr_have_its_four_organs(written):
    root, _, (drawn,) = written
    found = MR.find(root)
    assert [case.id for case in found] == ["mr_1_t1_in", "mr_1_t1_out", "mr_1_t2"]
    assert {case.patient for case in found} == {"mr_1"} and {case.modality for case in found} == {Modality.MR}
    for case in found:
        read = MR.read(case)
        assert np.array_equal(read.label.labels, drawn.label.labels) and read.label.grid.same_as(drawn.ct.grid)
        assert np.corrcoef(read.ct.hu.ravel(), drawn.ct.hu.ravel())[0, 1] > 0.99


def test_grey_values_near_those_of_an_organ_are_it_and_others_are_background(root, written):
    case = MR.find(root)[2]
    for path in sorted(case.label.iterdir()):
        grey = np.array(Image.open(path)).astype(int)
        Image.fromarray(np.where(grey == 63, 58, np.where(grey == 126, 100, grey)).astype(np.uint8)).save(path)
    drawn = written[2][0].label.labels
    assert np.array_equal(MR.read(case).label.labels, np.where(drawn == 2, 0, drawn))


def test_masks_of_one_bit_are_read(root, written):
    case = CT.find(root)[0]
    for path in case.label.iterdir():
        Image.fromarray(np.array(Image.open(path)) > 0).save(path)
    assert same_case(CT.read(case), written[1][0])


def test_images_that_anonymising_gave_a_series_each_are_one_scan(root, written):
    case = CT.find(root)[0]
    for path in case.image.iterdir():
        rewrite(path, lambda ds: setattr(ds, "SeriesInstanceUID", generate_uid()))
    assert same_case(CT.read(case), written[1][0])


@pytest.mark.parametrize("above", ["", "CHAOS_Train_Sets", "deep/CHAOS_Train_Sets"])
def test_the_tree_is_found_where_unpacking_may_put_it(root, above):
    if above:
        target = root / above / "Train_Sets"
        target.parent.mkdir(parents=True)
        (root / "Train_Sets").rename(target)
    if above.startswith("deep"):
        with pytest.raises(StoreError, match=r"holds no Train_Sets/CT; unpack CHAOS_Train_Sets.zip there"):
            CT.find(root)
        assert len(CT.find(root / "deep")) == 2
    else:
        assert len(CT.find(root)) == 2


def test_patients_come_by_number(root):
    (root / "Train_Sets" / "CT" / "2").rename(root / "Train_Sets" / "CT" / "10")
    shutil.copytree(root / "Train_Sets" / "CT" / "1", root / "Train_Sets" / "CT" / "9")
    assert [case.id for case in CT.find(root)] == ["ct_1", "ct_9", "ct_10"]


@pytest.mark.parametrize(
    ("path", "says"), [("CT/2/Ground", "Ground: no .png file"), ("CT/2/DICOM_anon", "DICOM_anon: no .dcm file")]
)
def test_a_patient_without_images_or_masks_is_refused(root, path, says):
    shutil.rmtree(root / "Train_Sets" / path)
    with pytest.raises(StoreError, match=says):
        CT.find(root)


def test_a_patient_without_a_phase_is_refused(root):
    shutil.rmtree(root / "Train_Sets" / "MR" / "1" / "T1DUAL" / "DICOM_anon" / "OutPhase")
    with pytest.raises(StoreError, match=r"OutPhase: no .dcm file"):
        MR.find(root)


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:45])


def text(path):
    path.write_text("no picture")


def grow(path):
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(path)


def colour(path):
    Image.fromarray(np.zeros((SMALL[1], SMALL[0], 3), dtype=np.uint8)).save(path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lose, "ct_1: .*11 masks for 12 images"),
        (cut, "ct_1: .*liver_GT_004.png: the mask cannot be read"),
        (text, "ct_1: .*liver_GT_004.png: the mask cannot be read"),
        (grow, r"ct_1: .*\(5, 5\) pixels, its image has \(18, 20\)"),
        (colour, "ct_1: .*mode RGB; a mask is black and white"),
    ],
)
def test_a_broken_mask_is_refused_with_its_file(root, spoil, says):
    spoil(root / "Train_Sets" / "CT" / "1" / "Ground" / "liver_GT_004.png")
    with pytest.raises(ReadError, match=says):
        next(CT.stream(root))
