import numpy as np
import pytest
from kits_made import mask

from panlesion.bench.painted_kidneys import AROUND_MM, organ_map, paint_kidneys
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.standardise import standardise_labels


@pytest.fixture(scope="module")
def masks():
    return standardise_labels(mask(10.0, cyst=True), 2.0)


def test_both_kidneys_are_named_by_their_side_with_tumour_and_cyst_in_them(masks):
    organs = organ_map(masks)
    left, right = (organs.labels == V1_LABELS[f"kidney_{side}"] for side in ("left", "right"))
    assert organs.grid.axes == "LPS"
    assert np.argwhere(left)[:, 0].min() > np.argwhere(right)[:, 0].max()
    assert np.count_nonzero(left | right) == np.count_nonzero(masks.labels)
    assert np.array(organs.grid.shape) == pytest.approx(np.array(masks.grid.shape) + 2 * round(AROUND_MM / 2))


def test_tumour_and_cyst_are_darker_than_the_enhanced_kidney_and_stand_where_their_masks_do(masks):
    ct, tumour = paint_kidneys(masks, seed=3)
    assert ct.grid.same_as(tumour.grid)
    volume = np.count_nonzero(masks.labels == 2)
    assert np.count_nonzero(tumour.labels) == volume
    centre = np.argwhere(masks.labels == 2).mean(axis=0)
    assert tumour.grid.to_xyz(np.argwhere(tumour.labels).mean(axis=0)) == pytest.approx(masks.grid.to_xyz(centre))
    organs = organ_map(masks)
    kidney = (organs.labels > 0) & (tumour.labels == 0)
    inside = ct.hu[tumour.labels > 0].mean()
    assert -20 < inside < ct.hu[kidney].mean() - 20
    assert ct.hu[0, 0, 0] < -900


def test_an_image_depends_on_masks_and_seed_alone(masks):
    one, again, other = (paint_kidneys(masks, seed=seed)[0].hu for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
