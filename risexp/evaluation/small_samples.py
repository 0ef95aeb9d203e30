"""What a handful of numbers says: an interval of their mean, and how alike two orders are."""

import math
from collections.abc import Sequence
from statistics import correlation, mean, stdev

_HALVINGS = 200


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Where the mean of what they were drawn from lies: Student's interval.

        mean +- t(level, n - 1) s / sqrt(n)

    Args:
        values: Independent and about normal; None is answered for fewer than two.
        level: How often such an interval holds the mean.
    """
    if len(values) < 2:
        return None
    middle = mean(values)
    margin = student_quantile(level, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return middle - margin, middle + margin


def student_quantile(level: float, freedom: int) -> float:
    """The t that |T| stays below with a probability of `level`.

    Args:
        level: In (0, 1).
        freedom: Degrees of freedom, 1 or more.
    """
    low, high = 0.0, 1.0
    while _inside(high, freedom) < level:
        high *= 2.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _inside(middle, freedom) < level else (low, middle)
    return high


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None for fewer than three pairs, or where all are equal.

    Equal numbers share the mean of their ranks.
    """
    if len(left) < 3 or len(set(left)) == 1 or len(set(right)) == 1:
        return None
    return correlation(shared_ranks(left), shared_ranks(right))


def shared_ranks(values: Sequence[float]) -> list[float]:
    """The rank of each number, the smallest first from 1; equal ones share the mean of theirs."""
    return [
        sum(other < value for other in values) + (values.count(value) + 1) / 2.0 for value in values
    ]


def _inside(t: float, freedom: int) -> float:
    """P(|T| < t) as a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    # cos^(2k + odd), from k = 0 on, with the ratios of the double factorials.
    for step in range(freedom // 2):
        total += term
        term *= cosine**2 * (2 * step + 1 + odd) / (2 * step + 2 + odd)
    return 2.0 / math.pi * (angle + sine * total) if odd else sine * total
