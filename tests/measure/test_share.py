import numpy as np
import pytest

from panlesion.measure.share import wilson


@pytest.mark.parametrize("n", [1, 4, 30])
def test_ends_solve_the_score_equation(n):
    for successes in range(n + 1):
        share = wilson(successes, n)
        assert 0 <= share.low <= share.mean <= share.high <= 1
        for end in (share.low, share.high):
            if 1e-9 < end < 1 - 1e-9:
                # the ends are where the observed share lies 1.96 standard errors from the assumed one
                assert abs(share.mean - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / n), rel=1e-4)


def test_all_of_four_is_not_certainty():
    share = wilson(4, 4)
    assert (share.mean, share.high, share.n) == (1, 1, 4)
    assert share.low == pytest.approx(0.5101, abs=1e-4)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ValueError, match="trials"):
        wilson(successes, n)
