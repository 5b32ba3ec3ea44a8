import numpy as np
import pytest

from panlesion.measure.volume_error import volume_error

EMPTY = np.zeros((4, 4, 4), dtype=bool)


def test_volumes_count_voxels_and_the_sign_says_which_way():
    truth, predicted = EMPTY.copy(), EMPTY.copy()
    truth[:2], predicted[:3] = True, True
    error = volume_error(predicted, truth, 0.5)
    assert (error.predicted_ml, error.truth_ml) == (24.0, 16.0)
    assert (error.signed_ml, error.signed_percent) == (8.0, 50.0)
    back = volume_error(truth, predicted, 0.5)
    assert (back.signed_ml, back.absolute_ml) == (-8.0, 8.0)
    assert back.absolute_percent == pytest.approx(100 / 3) == -back.signed_percent


def test_without_a_true_volume_there_are_millilitres_but_no_percent():
    for predicted in (EMPTY, ~EMPTY):
        error = volume_error(predicted, EMPTY, 0.001)
        assert error.signed_percent is None and error.absolute_percent is None
        assert error.absolute_ml == pytest.approx(predicted.sum() / 1000)
    assert volume_error(EMPTY, ~EMPTY, 0.001).signed_percent == -100.0


@pytest.mark.parametrize(("truth", "voxel_ml", "says"), [(EMPTY[:2], 1.0, "must be equal"), (EMPTY, 0.0, "voxel_ml is 0.0")])
def test_what_cannot_be_measured_is_refused(truth, voxel_ml, says):
    with pytest.raises(ValueError, match=says):
        volume_error(EMPTY, truth, voxel_ml)
