"""The adapter against a stand-in that takes TotalSegmentator's arguments."""

import os
import sys
import time

import numpy as np
import pytest

from panlesion.ct.nifti import write_volume
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.totalsegmentator import segment_organs
from panlesion.ct.volume import Grid, Volume
from panlesion.errors import MissingExtraError, OrganMapError, ReadError

PARSE = """#!{python}
import argparse, os, sys, time
import nibabel as nib
import numpy as np
parser = argparse.ArgumentParser()
parser.add_argument("-i"); parser.add_argument("-o"); parser.add_argument("--ml", action="store_true")
parser.add_argument("--fast", action="store_true"); parser.add_argument("--device")
a = parser.parse_args()
assert a.ml
image = nib.load(a.i)
"""

THRESHOLD = """
labels = np.where(np.asanyarray(image.dataobj) > 0, 5, 0).astype(np.uint8)
if a.fast and a.device == "cpu":
    labels[labels > 0] = 1
nib.save(nib.Nifti1Image(labels, image.affine), a.o)
print("done")
"""


@pytest.fixture
def ct():
    hu = np.full((10, 9, 8), -1000, np.int16)
    hu[3:6, 2:7, 1:5] = 60
    return Volume(hu=hu, grid=Grid(shape=hu.shape, affine=np.diag([-1.0, 1.0, 2.0, 1.0])))


@pytest.fixture
def program(tmp_path):
    def make(body: str) -> str:
        path = tmp_path / "TotalSegmentator"
        path.write_text(PARSE.format(python=sys.executable) + body)
        path.chmod(0o755)
        return str(path)

    return make


def test_the_map_lies_on_the_ct_and_has_v1_labels(ct, program):
    organs = segment_organs(ct, executable=program(THRESHOLD))
    np.testing.assert_array_equal(organs.labels == V1_LABELS["liver"], ct.hu > 0)
    assert organs.grid.same_as(ct.grid)


def test_it_is_found_on_the_path_and_takes_a_file_and_options(ct, program, tmp_path, monkeypatch):
    folder = os.path.dirname(program(THRESHOLD))  # noqa: PTH120
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    rng = np.random.default_rng(0)
    noisy = Volume(hu=(ct.hu + rng.normal(0, 9, ct.hu.shape)).astype(np.int16), grid=ct.grid)
    write_volume(tmp_path / "ct.nii.gz", noisy)
    organs = segment_organs(tmp_path / "ct.nii.gz", fast=True, device="cpu")
    assert set(np.unique(organs.labels)) == {0, V1_LABELS["spleen"]}


def test_an_absent_program_is_a_missing_extra(ct):
    with pytest.raises(MissingExtraError, match="Install TotalSegmentator"):
        segment_organs(ct, executable="no-such-segmenter")


def test_what_a_failing_program_said_is_passed_on(ct, program):
    with pytest.raises(OrganMapError, match=r"code 3(.|\n)*weights not found"):
        segment_organs(ct, executable=program("print('weights not found', file=sys.stderr); sys.exit(3)"))


def test_a_program_that_writes_nothing_or_another_grid_is_refused(ct, program):
    with pytest.raises(OrganMapError, match="wrote no"):
        segment_organs(ct, executable=program(""))
    shifted = THRESHOLD.replace("image.affine)", "image.affine + 1)")
    with pytest.raises(ReadError, match=r"organs\.nii\.gz"):
        segment_organs(ct, executable=program(shifted))


def test_a_program_that_hangs_is_ended(ct, program):
    start = time.monotonic()
    with pytest.raises(OrganMapError, match="not done after 1 s"):
        segment_organs(ct, executable=program("time.sleep(60)"), timeout_s=1)
    assert time.monotonic() - start < 20
