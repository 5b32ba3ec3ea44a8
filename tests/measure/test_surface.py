import math

import numpy as np
import pytest
from scipy import ndimage
from surface_distance import compute_robust_hausdorff, compute_surface_dice_at_tolerance, compute_surface_distances

from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import Box
from panlesion.measure.surface import hd95, mean_surface_distance, nsd, surface_distances

# the oracle calls SciPy by names that SciPy will drop
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EMPTY = np.zeros((6, 6, 6), dtype=bool)
SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.7, 3.0), (2.0, 1.0, 0.5)]


def blobs(seed, shape=(24, 22, 20)):
    """Two rough masks that resemble each other; they may reach the edge of the array."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(1, 3.5))
    other = field + field.std() * ndimage.gaussian_filter(rng.normal(size=shape), 2) * 2
    share = rng.uniform(0.6, 0.98)
    return field > np.quantile(field, share), other > np.quantile(other, share)


def ball(radius_mm, spacing_mm, shape=(40, 40, 40), shift_mm=(0, 0, 0)):
    ijk = np.indices(shape).reshape(3, -1).T - (np.array(shape) - 1) / 2
    inside = np.linalg.norm(ijk * spacing_mm - np.asarray(shift_mm), axis=1) <= radius_mm
    return inside.reshape(shape)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("seed", range(8))
def test_distances_are_those_of_surface_distance_and_scores_nearly(seed, spacing_mm):
    predicted, truth = blobs(seed)
    mine = surface_distances(predicted, truth, spacing_mm)
    theirs = compute_surface_distances(truth, predicted, spacing_mm)
    np.testing.assert_allclose(np.sort(mine.from_truth_mm), theirs["distances_gt_to_pred"], atol=1e-9)
    np.testing.assert_allclose(np.sort(mine.from_predicted_mm), theirs["distances_pred_to_gt"], atol=1e-9)
    # areas differ: theirs come from a table of triangles, ours from area vectors
    for tolerance_mm in (0.4, 1.1, 2.3):
        expected = compute_surface_dice_at_tolerance(theirs, tolerance_mm)
        assert mine.nsd(tolerance_mm) == pytest.approx(expected, abs=5e-3)
    # so the 95 % may fall one piece earlier or later: between their 94.5 and 95.5 %
    assert compute_robust_hausdorff(theirs, 94.5) <= mine.hd95_mm + 1e-9
    assert mine.hd95_mm <= compute_robust_hausdorff(theirs, 95.5) + 1e-9


def test_a_flat_side_weighs_its_voxels_faces():
    predicted, truth = (np.zeros((20, 20, 20), dtype=bool) for _ in range(2))
    predicted[3:15, 4:16, 5:12], truth[5:17, 4:16, 5:14] = True, True
    theirs = compute_surface_distances(truth, predicted, (1.0, 1.0, 1.0))
    mine = surface_distances(predicted, truth, (1.0, 1.0, 1.0))
    # all but the edges and corners of the 12 x 12 x 7 box
    assert np.isclose(mine.predicted_area, 1.0).sum() == 2 * (11 * 11 + 11 * 6 + 11 * 6)
    assert mine.hd95_mm == compute_robust_hausdorff(theirs, 95)


@pytest.mark.realdata
def test_real_tumours_agree_with_surface_distance(shared_data):
    rng = np.random.default_rng(0)
    for path in sorted((shared_data / "kits23" / "masks_2mm").glob("*.nii.gz"))[:12]:
        label = read_labels(path)
        mask = label.labels == 2
        truth = np.pad(mask[Box.of(mask).slices], 5)
        noise = ndimage.gaussian_filter(rng.normal(size=truth.shape), 1.5)
        predicted = ndimage.gaussian_filter(truth.astype(float), 1.0) + noise > 0.5
        mine = surface_distances(predicted, truth, label.grid.spacing_mm)
        theirs = compute_surface_distances(truth, predicted, label.grid.spacing_mm)
        np.testing.assert_allclose(np.sort(mine.from_truth_mm), theirs["distances_gt_to_pred"], atol=1e-9)
        for tolerance_mm in (1.0, 2.0, 3.0):
            assert mine.nsd(tolerance_mm) == pytest.approx(compute_surface_dice_at_tolerance(theirs, tolerance_mm), abs=5e-3)


@pytest.mark.parametrize(("spacing_mm", "most"), [((1, 1, 1), 0.08), ((0.7, 0.7, 2.5), 0.15)])
def test_the_area_of_a_ball_is_nearly_right_and_never_too_small(spacing_mm, most):
    mask = ball(9.0, spacing_mm, (40, 40, 20))
    area = surface_distances(mask, mask, spacing_mm).truth_area.sum()
    assert 0 < area / (4 * math.pi * 81) - 1 < most


def test_shifted_plates_lie_their_shift_apart():
    near, far = (np.zeros((30, 12, 12), dtype=bool) for _ in range(2))
    near[:10], far[:14] = True, True  # the block's end moves by 4 voxels, its start does not
    assert nsd(near, near, (1.5, 1, 1), 0.0) == 1.0
    # middles of cells lie 6 mm apart at the end face
    assert hd95(near, far, (1.5, 1, 1)) == pytest.approx(6.0)
    assert nsd(near, far, (1.5, 1, 1), 6.0) == 1.0
    assert nsd(near, far, (1.5, 1, 1), 5.9) < 1.0


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_order_turning_and_padding_change_nothing(spacing_mm):
    predicted, truth = blobs(3)
    values = [nsd(predicted, truth, spacing_mm, 1.0), hd95(predicted, truth, spacing_mm)]
    values.append(mean_surface_distance(predicted, truth, spacing_mm))

    def again(a, b, spacing):
        return [nsd(a, b, spacing, 1.0), hd95(a, b, spacing), mean_surface_distance(a, b, spacing)]

    assert again(truth, predicted, spacing_mm) == pytest.approx(values)
    assert again(predicted[::-1], truth[::-1], spacing_mm) == pytest.approx(values)
    turned = [mask.transpose(2, 0, 1) for mask in (predicted, truth)]
    assert again(*turned, (spacing_mm[2], *spacing_mm[:2])) == pytest.approx(values)
    assert again(*(np.pad(mask, 5) for mask in (predicted, truth)), spacing_mm) == pytest.approx(values)


def test_scores_scale_with_millimetres():
    predicted, truth = blobs(5)
    assert hd95(predicted, truth, (2, 2, 6)) == pytest.approx(2 * hd95(predicted, truth, (1, 1, 3)))
    assert nsd(predicted, truth, (2, 2, 6), 2.0) == pytest.approx(nsd(predicted, truth, (1, 1, 3), 1.0))


def test_a_distance_that_equals_the_tolerance_is_within_at_any_spacing():
    for spacing in np.linspace(0.31, 3.3, 60):
        near, far = (np.zeros((12, 5, 5), dtype=bool) for _ in range(2))
        near[:4], far[:7] = True, True
        assert nsd(near, far, (spacing, 1.0, 1.0), 3 * spacing) == 1.0


def test_more_tolerance_never_scores_less():
    predicted, truth = blobs(1)
    scores = [nsd(predicted, truth, (1, 1, 2), t) for t in np.linspace(0, 12, 25)]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]


def test_empty_masks_have_defined_scores():
    full = ~EMPTY
    assert (nsd(EMPTY, EMPTY, (1, 1, 1), 1), hd95(EMPTY, EMPTY, (1, 1, 1))) == (1.0, 0.0)
    assert mean_surface_distance(EMPTY, EMPTY, (1, 1, 1)) == 0.0
    for pair in ((full, EMPTY), (EMPTY, full)):
        assert nsd(*pair, (1, 1, 1), 1e9) == 0.0
        assert hd95(*pair, (1, 1, 1)) == math.inf
        assert mean_surface_distance(*pair, (1, 1, 1)) == math.inf


def test_one_voxel_against_one_voxel():
    one, two = EMPTY.copy(), EMPTY.copy()
    one[2, 2, 2], two[2, 2, 4] = True, True
    assert nsd(one, one, (1, 1, 3), 0) == 1.0
    assert hd95(one, two, (1, 1, 3)) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"truth": np.zeros((6, 6, 5), bool)}, r"shape \(6, 6, 6\), the truth \(6, 6, 5\)"),
        ({"predicted": np.zeros((6, 6), bool), "truth": np.zeros((6, 6), bool)}, "3D"),
        ({"spacing_mm": (1, 0, 1)}, "three positive numbers"),
        ({"spacing_mm": (1, math.nan, 1)}, "three positive numbers"),
        ({"tolerance_mm": -1}, "tolerance_mm is -1"),
        ({"tolerance_mm": math.nan}, "tolerance_mm is nan"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        nsd(**{"predicted": EMPTY, "truth": EMPTY, "spacing_mm": (1, 1, 1), "tolerance_mm": 1.0} | change)
