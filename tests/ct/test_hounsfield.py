"""Values that cannot be HU are refused; crops of real CTs are not."""

import numpy as np
import pytest

from panlesion.ct.hounsfield import check_hounsfield, without_padding
from panlesion.ct.nifti import read_volume
from panlesion.errors import NotCTError


def body(shape=(40, 40, 20), noise=12.0, floor=-1024) -> np.ndarray:
    """Air, fat, soft tissue and a little bone, with noise."""
    rng = np.random.default_rng(5)
    radius = np.linalg.norm((np.indices(shape[:2]) - 19.5), axis=0)[..., None] * np.ones(shape)
    hu = np.select([radius < 3, radius < 13, radius < 16], [600.0, 50.0, -100.0], -1000.0)
    return np.maximum(hu + rng.normal(0, noise, shape), floor).astype(np.int16)


def test_a_body_passes_whole_and_cropped():
    hu = body()
    check_hounsfield(hu, "whole")
    check_hounsfield(np.ascontiguousarray(hu[8:32, 8:32]), "trunk")


@pytest.mark.parametrize(
    ("hu", "rule"),
    [
        pytest.param(np.clip((body() + 160.0) / 400 * 255, 0, 255), "windowed", id="windowed picture"),
        pytest.param(body() + 1024, "intercept was not applied", id="unsigned without intercept"),
        pytest.param(body() + 1000, "intercept was not applied|cut at a window", id="offset 1000 and noise"),
        pytest.param(body(floor=-1100) + 1000, "neither air nor fat", id="offset 1000 and unclipped noise"),
        pytest.param(body() - 1024, "twice", id="intercept applied twice"),
        pytest.param(np.clip(body(), -160, 240), "cut at a window", id="clipped to a soft-tissue window"),
        pytest.param(body() / 1000, "50 HU", id="normalised"),
        pytest.param(np.zeros((9, 9, 9)), "50 HU", id="empty"),
        pytest.param(np.full((9, 9, 9), -1024), "50 HU", id="nothing but air"),
        pytest.param(np.random.default_rng(0).integers(0, 118, (20, 20, 20)), "label map", id="organ map"),
        pytest.param(np.random.default_rng(0).gamma(2, 200, (20, 20, 20)) - 30, "MR", id="resampled MR"),
    ],
)
def test_what_is_no_ct_is_refused_with_its_rule(hu, rule):
    with pytest.raises(NotCTError, match=rule) as caught:
        check_hounsfield(without_padding(np.rint(hu).astype(np.int16)), "some.nii.gz")
    assert str(caught.value).startswith("some.nii.gz: values from ")


def test_padding_becomes_air_and_nothing_else_changes():
    hu = body()
    hu[0, 0], hu[1, 1], hu[2, 2] = -3024, -2000, -1207
    cleaned = without_padding(hu)
    assert (cleaned[0, 0] == -1024).all()
    assert (cleaned[1, 1] == -1024).all()
    np.testing.assert_array_equal(cleaned[2:], hu[2:])
    assert without_padding(cleaned) is cleaned


@pytest.mark.realdata
@pytest.mark.parametrize(
    "pattern", ["sts/*/ct.nii.gz", "lidc_nodules/image/*.nii.gz", "acrin_001/ct.nii.gz", "totalseg/ct.nii.gz"]
)
def test_real_cts_and_their_crops_pass(shared_data, pattern):
    files = sorted(shared_data.glob(pattern))
    assert files
    for file in files[:: max(1, len(files) // 30)]:
        check_hounsfield(without_padding(read_volume(file).hu), str(file))


@pytest.mark.realdata
@pytest.mark.parametrize("pattern", ["sts/*/mr_t1.nii.gz", "totalseg/mr.nii.gz", "totalseg/organs_v2.nii.gz"])
def test_real_mr_and_organ_maps_are_refused(shared_data, pattern):
    for file in sorted(shared_data.glob(pattern)):
        with pytest.raises(NotCTError):
            check_hounsfield(read_volume(file).hu, str(file))
