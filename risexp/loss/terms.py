"""The table of the loss: every term there is, by the name of its weight."""

from collections.abc import Callable, Mapping
from typing import Final

from torch import Tensor

from risexp.loss.count_term import count_error
from risexp.loss.found_term import found_error
from risexp.loss.heat_term import heat_error
from risexp.loss.main_terms import (
    covariance_error,
    existence_error,
    pointer_error,
    predicted_error,
)
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.structure_terms import (
    column_overlap,
    eigengap_excess,
    eigenvalue_deficit,
    factor_overlap,
    shallow_nulls,
    unspanned_share,
)

Term = Callable[[PredictionPair], Tensor]
"""Errors of B scenes, (B,) real; their mean is the term."""

TERMS: Final[Mapping[str, Term]] = {
    "cov": covariance_error,
    "cov_pred": predicted_error,
    "count": count_error,
    "pointers": pointer_error,
    "existence": existence_error,
    "found": found_error,
    "heat": heat_error,
    "eigengap": eigengap_excess,
    "subspace": unspanned_share,
    "peak_contrast": shallow_nulls,
    "orthogonality": column_overlap,
    "cross": factor_overlap,
    "margin": eigenvalue_deficit,
}

MAIN: Final = frozenset({"cov", "cov_pred", "count", "pointers", "existence", "found", "heat"})
"""What an answer is for; all other terms are about the structure of its covariance."""
