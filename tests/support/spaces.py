"""Small search spaces for tests, and their check."""

from collections.abc import Mapping
from typing import Any

from risexp.space.check import SpaceReport, check_space
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec

RIDGE: Mapping[str, object] = {"kind": "log", "low": 1e-4, "high": 1e-2}
CODEBOOK: Mapping[str, object] = {"kind": "choice", "options": ["dft", "balanced", "random"]}


LEARNING: Mapping[str, Any] = {
    "training.optimizer.lr": {"kind": "log", "low": 1e-4, "high": 1e-2},
    "network.depth": {"kind": "int", "low": 1, "high": 7, "step": 2},
    "loss.count": {"kind": "uniform", "low": 0.0, "high": 2.0},
    "count.kind": {"kind": "choice", "options": ["ordinal", "softmax"]},
    "count.smoothing": {
        "kind": "uniform",
        "low": 0.0,
        "high": 0.2,
        "when": {"count.kind": "softmax"},
    },
    "training.ema_decay": {"kind": "choice", "options": [None, 0.9, 0.999]},
}
"""One dimension of every kind, one of them under a condition, all in the preset `smoke`."""


def planted(vary: Mapping[str, object], **more: object) -> SearchSpace:
    """A space of four trials that varies this."""
    return SearchSpace.model_validate({"name": "planted", "trials": 4, "vary": vary, **more})


def learning(**more: Any) -> SearchSpace:  # noqa: ANN401 - any field of a space
    """A space over `LEARNING`."""
    return planted(**{"vary": LEARNING, "base": "smoke", **more})


def spec_of(space: SearchSpace | None = None) -> StudySpec:
    """The study specification of a space."""
    return StudySpec.of(learning() if space is None else space)


def checked(vary: Mapping[str, object], **more: object) -> SpaceReport:
    return check_space(planted(vary, **more))


def problem(vary: Mapping[str, object], **more: object) -> str:
    """The one problem of a space that has one."""
    report = checked(vary, **more)
    assert not report.sound
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


def only_when(dimension: Mapping[str, object], **when: object) -> dict[str, object]:
    return {**dimension, "when": {name.replace("__", "."): asked for name, asked in when.items()}}
