"""What a search of n random points reaches is what all subsets of n points say it does."""

import itertools
import math

import numpy as np
import pytest

from ils.evaluation.budget import expected, steps, weights


@pytest.mark.parametrize("points", [1, 2, 5, 8])
def test_the_weights_are_shares_of_all_subsets(points):
    for drawn in range(1, points + 1):
        best = [subset[0] for subset in itertools.combinations(range(points), drawn)]
        shares = np.bincount(best, minlength=points) / len(best)
        np.testing.assert_allclose(weights(points, drawn), shares, rtol=1e-13, atol=0)


@pytest.mark.parametrize("points", [125, 2000])
def test_large_grids_lose_no_digits(points):
    for drawn in (1, 2, 7, points // 2, points - 1, points):
        exact = [
            math.comb(points - i, drawn - 1) / math.comb(points, drawn)
            for i in range(1, points + 1)
        ]
        found = weights(points, drawn)
        assert found.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-300)


def brute_force(ce, values, drawn):
    """The mean over all subsets of what their best point reaches; subsets of failures are left
    out."""
    reached = []
    for subset in itertools.combinations(range(len(ce)), drawn):
        trained = [index for index in subset if not math.isnan(ce[index])]
        if trained:
            reached.append(values[min(trained, key=lambda index: ce[index])])
    return np.mean(reached)


CASES = {
    "different": [0.3, 0.1, 0.4, 0.15, 0.2],
    "ties": [0.2, 0.1, 0.1, 0.2, 0.1],
    "diverged": [math.nan, 0.4, 0.1, math.nan, 0.3],
    "one trained": [math.nan, math.nan, 0.1, math.nan, math.nan],
}


@pytest.mark.parametrize("case", CASES)
def test_the_expectation_is_the_mean_over_all_subsets(case):
    ce = np.array(CASES[case])
    values = np.array([5.0, 1.0, 3.0, -2.0, 8.0])
    values[np.isnan(ce)] = np.nan
    exact = [brute_force(ce, values, drawn) for drawn in range(1, 6)]
    np.testing.assert_allclose(expected(ce, values, range(1, 6)), exact, rtol=1e-13)
    several = expected(np.stack([ce, ce]), np.stack([values, -values]), [2, 5])
    np.testing.assert_allclose(several, np.outer([1, -1], [exact[1], exact[4]]))


def test_the_whole_grid_reaches_what_is_selected_and_no_point_nothing():
    ce, values = np.array([0.3, 0.1, 0.1]), np.array([1.0, 2.0, 3.0])
    assert expected(ce, values, [3]).tolist() == [2.0]  # of equal ones the first
    assert np.isnan(expected(np.full(3, np.nan), values, [1, 3])).all()


def test_steps_lead_from_one_point_to_all():
    assert steps(1) == [1] and steps(5) == [1, 2, 3, 4, 5] and steps(8) == [1, 2, 3, 4, 6, 8]
    for points in range(1, 300):
        numbers = steps(points)
        assert numbers[0] == 1 and numbers[-1] == points and numbers == sorted(set(numbers))
        assert all(b <= 2 * a for a, b in itertools.pairwise(numbers))
