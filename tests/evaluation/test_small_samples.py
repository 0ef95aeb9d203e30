import math

import pytest

from risexp.evaluation.small_samples import (
    mean_interval,
    rank_correlation,
    student_quantile,
)
from tests.support.looping import for_each


@for_each(
    ("freedom", "at_95", "at_99"),
    [
        (1, 12.7062047, 63.6567412),
        (7, 2.3646243, 3.4994833),
    ],
)
def test_quantiles_are_those_of_the_tables(freedom: int, at_95: float, at_99: float) -> None:
    assert pytest.approx(student_quantile(0.95, freedom), abs=1e-6) == at_95
    assert pytest.approx(student_quantile(0.99, freedom), abs=1e-6) == at_99


def test_an_interval_is_as_wide_as_the_numbers_are_apart() -> None:
    found = mean_interval([1.0, 2.0, 4.0])

    # The mean is 7/3 and s is 1.5275: 4.3027 s over the root of 3 on either side.
    assert (-1.4612, 6.1279) == pytest.approx(found, abs=1e-4)
    assert (2.5, 2.5) == mean_interval([2.5, 2.5])
    assert mean_interval([3.0]) is None


def test_an_order_agrees_with_itself_and_opposes_its_reverse() -> None:
    values = [3.0, -1.0, 20.0, 5.0]

    assert 1.0 == pytest.approx(rank_correlation(values, [math.exp(each) for each in values]))
    assert -1.0 == pytest.approx(rank_correlation(values, [-each for each in values]))
    shared = rank_correlation([0.1, 7.0, 2.0, 2.0, 7.0], [1.0, 4.5, 2.5, 2.5, 4.5])
    assert 1.0 == pytest.approx(shared)
    assert 0.5 == pytest.approx(rank_correlation([1.0, 2.0, 3.0], [2.0, 1.0, 3.0]))
    for left, right in (([1.0, 2.0], [1.0, 2.0]), ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])):
        assert rank_correlation(left, right) is None
        assert rank_correlation(right, left) is None
