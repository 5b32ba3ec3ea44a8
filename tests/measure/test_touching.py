import numpy as np
import pytest

from panlesion.measure.touching import lobes


def balls(*centres_and_radii, shape=(60, 40, 40), spacing=(1.0, 1.0, 1.0)):
    at = np.moveaxis(np.indices(shape), 0, -1) * np.array(spacing)
    return [np.linalg.norm(at - np.array(centre), axis=-1) <= radius for centre, radius in centres_and_radii]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.5), (0.7, 0.7, 0.7)])
@pytest.mark.parametrize("radii", [(10, 10), (11, 6)])
def test_two_balls_that_touch_are_parted_at_their_neck(spacing, radii):
    a, b = radii
    shape = tuple(int(np.ceil(mm / s)) for mm, s in zip((60, 40, 40), spacing, strict=True))
    one, two = balls(((15, 20, 20), a), ((15 + a + b - 0.3, 20, 20), b), shape=shape, spacing=spacing)
    labels, count = lobes(one | two, spacing)
    assert count == 2
    assert np.array_equal(labels > 0, one | two)  # nothing is lost or added
    first, second = (np.bincount(labels[part], minlength=3)[1:] / part.sum() for part in (one & ~two, two & ~one))
    assert first.max() > 0.97 and second.max() > 0.97 and first.argmax() != second.argmax()
    assert a == b or first.argmax() == 0


@pytest.mark.parametrize(
    "single",
    [
        balls(((20, 20, 20), 12))[0],
        np.logical_or(*balls(((20, 20, 20), 10), ((30, 20, 20), 10))),  # overlap by half: one thing with a waist
        balls(((20, 20, 20), 3))[0],
        np.pad(np.ones((40, 4, 4), bool), 3),
    ],
)
def test_what_has_no_neck_is_one(single):
    labels, count = lobes(single, (1.0, 1.0, 1.0))
    assert count == 1 and np.array_equal(labels > 0, single)


def test_a_spur_too_thin_to_be_a_lesion_stays():
    one, spur = balls(((20, 20, 20), 12), ((34, 20, 20), 2.5))
    assert lobes(one | spur, (1.0, 1.0, 1.0))[1] == 1


def test_three_in_a_row_are_three_and_numbered_by_size():
    made = balls(((8, 20, 20), 7), ((25, 20, 20), 10), ((43, 20, 20), 8))
    labels, count = lobes(np.logical_or.reduce(made), (1.0, 1.0, 1.0))
    assert count == 3
    assert [labels[int(c), 20, 20] for c in (25, 43, 8)] == [1, 2, 3]


def test_the_same_whichever_way_the_axes_run():
    one, two = balls(((15, 20, 20), 10), ((34, 20, 20), 9))
    mask = one | two
    labels, count = lobes(mask, (1.0, 1.0, 1.0))
    turned, also = lobes(np.ascontiguousarray(mask[::-1].transpose(2, 0, 1)), (1.0, 1.0, 1.0))
    assert count == also == 2
    assert np.mean(turned.transpose(1, 2, 0)[::-1][mask] == labels[mask]) > 0.98


def test_nothing_has_no_lobe():
    labels, count = lobes(np.zeros((5, 5, 5), bool), (1.0, 1.0, 1.0))
    assert count == 0 and not labels.any()


@pytest.mark.realdata
def test_single_real_lesions_stay_whole(shared_data):
    from panlesion.ct.nifti import read_labels
    from panlesion.ct.standardise import standardise_labels

    files = sorted((shared_data / "uls23_masks" / "kidney_kits21").glob("*.nii.gz"))[:20]
    masks = [standardise_labels(read_labels(file), 2.5).labels > 0 for file in files]
    assert sum(lobes(mask, (2.5, 2.5, 2.5))[1] > 1 for mask in masks) <= 1
