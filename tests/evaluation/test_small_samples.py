import math
import random
from itertools import pairwise

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
        (2, 4.3026527, 9.9248432),
        (3, 3.1824463, 5.8409093),
        (4, 2.7764451, 4.6040949),
        (7, 2.3646243, 3.4994833),
        (30, 2.0422725, 2.7499957),
        (101, 1.9837310, 2.6253860),
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


def test_one_number_has_no_interval() -> None:
    assert mean_interval([3.0]) is None


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    source = random.Random(3)  # noqa: S311 - no secret is drawn
    held = 0
    for _ in range(2000):
        interval = mean_interval([source.gauss(5.0, 2.0) for _ in range(3)], 0.8)
        assert interval is not None
        held += interval[0] < 5.0 < interval[1]

    # Four standard deviations of 2000 draws of 0.8.
    assert 0.8 == pytest.approx(held / 2000, abs=0.036)


def test_an_order_agrees_with_itself_and_opposes_its_reverse() -> None:
    values = [3.0, -1.0, 20.0, 5.0]

    assert 1.0 == pytest.approx(rank_correlation(values, [math.exp(each) for each in values]))
    assert -1.0 == pytest.approx(rank_correlation(values, [-each for each in values]))
    shared = rank_correlation([0.1, 7.0, 2.0, 2.0, 7.0], [1.0, 4.5, 2.5, 2.5, 4.5])
    assert 1.0 == pytest.approx(shared)


def test_without_equal_numbers_it_is_spearmans_sum_of_squares() -> None:
    source = random.Random(1)  # noqa: S311 - no secret is drawn
    left, right = list(range(9)), source.sample(range(9), 9)

    squares = sum((one - two) ** 2 for one, two in zip(left, right, strict=True))

    expected = 1.0 - 6.0 * squares / (9 * (9**2 - 1))
    assert expected == pytest.approx(rank_correlation(left, right))


def test_two_pairs_or_equal_numbers_have_no_order_to_agree_in() -> None:
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert rank_correlation([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) is None


def test_more_freedom_needs_less_width() -> None:
    widths = [student_quantile(0.95, freedom) for freedom in range(1, 40)]

    assert all(wider > narrower > 1.959 for wider, narrower in pairwise(widths))
