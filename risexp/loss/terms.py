"""The table of loss terms, by the name of their weight in the configuration."""

from collections.abc import Callable, Mapping
from typing import Final

from torch import Tensor

from risexp.loss import main_terms, structure_terms
from risexp.loss.prediction_pair import PredictionPair

Term = Callable[[PredictionPair], Tensor]
"""Errors of B scenes, (B,) real; their mean is the term."""

TERMS: Final[Mapping[str, Term]] = {
    "cov": main_terms.covariance_error,
    "cov_pred": main_terms.predicted_error,
    "count": main_terms.count_error,
    "pointers": main_terms.pointer_error,
    "existence": main_terms.existence_error,
    "found": main_terms.found_error,
    "heat": main_terms.heat_error,
    "eigengap": structure_terms.eigengap_excess,
    "subspace": structure_terms.unspanned_share,
    "peak_contrast": structure_terms.shallow_nulls,
    "orthogonality": structure_terms.column_overlap,
    "cross": structure_terms.factor_overlap,
    "margin": structure_terms.eigenvalue_deficit,
}

MAIN: Final = frozenset({"cov", "cov_pred", "count", "pointers", "existence", "found", "heat"})
"""The terms of the answer itself; all others shape the structure of its covariance."""
