"""Statistics of a handful of numbers: an interval of their mean, and how alike two orders are.

SciPy is imported where it is used: commands that compute no statistics start without it.
"""

import math
from collections.abc import Sequence
from statistics import mean, stdev


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Student's interval of the mean, mean +- t(level, n - 1) s / sqrt(n); None for n < 2.

    The values are independent and about normal.
    """
    if len(values) < 2:
        return None
    middle = mean(values)
    margin = student_quantile(level, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return middle - margin, middle + margin


def student_quantile(level: float, freedom: int) -> float:
    """The t that |T| stays below with a probability of `level`, T with `freedom` degrees."""
    from scipy.stats import t  # type: ignore[import-untyped] # it ships no types

    return float(t.isf((1.0 - level) / 2.0, freedom))


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None for fewer than three pairs, or where all are equal."""
    if len(left) < 3 or len(set(left)) == 1 or len(set(right)) == 1:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(left, right).statistic)
