"""Unit, direction and meaning of every score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Direction = Literal["min", "max"]


@dataclass(frozen=True)
class Metric:
    """Unit, direction and meaning of one score."""

    unit: str
    """Empty for rates and other pure numbers."""
    direction: Direction
    """Whether smaller or larger values are better."""
    sentence: str
    """Its meaning, in one sentence."""


METRICS: Final[Mapping[str, Metric]] = {
    "k_loc": Metric(
        "",
        "min",
        "Counting and locating in one number, every missing or extra source charged: "
        "-1 is perfect, 10 the worst.",
    ),
    "k_acc": Metric("", "max", "Share of scenes whose sources are counted right."),
    "k_under": Metric("", "min", "Share of scenes in which too few sources are found."),
    "k_over": Metric("", "min", "Share of scenes in which too many sources are found."),
    "success_rate": Metric(
        "",
        "max",
        "Share of scenes counted right with every source within 5 deg, 5 deg and 1 m.",
    ),
    "success_strict": Metric(
        "",
        "max",
        "Share of scenes counted right with every source within 3 deg, 3 deg and 0.5 m.",
    ),
    "aoa_rmse": Metric(
        "deg", "min", "Root mean square of azimuth and elevation errors over matched pairs."
    ),
    "range_rmse": Metric("m", "min", "Root mean square of range errors over matched pairs."),
    "aoa_median": Metric(
        "deg", "min", "Median size of azimuth and elevation errors over matched pairs."
    ),
    "aoa_p95": Metric(
        "deg", "min", "95th percentile of azimuth and elevation errors over matched pairs."
    ),
    "range_median": Metric("m", "min", "Median size of range errors over matched pairs."),
    "range_p95": Metric("m", "min", "95th percentile of range errors over matched pairs."),
    "gospa": Metric(
        "m", "min", "Distance between estimated and true sources, missed and false ones included."
    ),
    "gospa_localisation": Metric("m", "min", "Part of gospa due to sources found within 1 m."),
    "gospa_missed": Metric("m", "min", "Part of gospa due to sources not found."),
    "gospa_false": Metric("m", "min", "Part of gospa due to sources that are not there."),
}
"""Every field of `Scores`, no more and no fewer, in the order in which to show them."""
