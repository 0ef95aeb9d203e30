"""Search spaces as the tests need them: planted with one fault, and checked."""

from collections.abc import Mapping

from risexp.config.space import SearchSpace
from risexp.config.space_check import SpaceReport, check_space

RIDGE: Mapping[str, object] = {"kind": "log", "low": 1e-4, "high": 1e-2}
CODEBOOK: Mapping[str, object] = {"kind": "choice", "options": ["dft", "balanced", "random"]}


def checked(vary: Mapping[str, object], **more: object) -> SpaceReport:
    said = {"name": "planted", "trials": 4, "vary": vary, **more}
    return check_space(SearchSpace.model_validate(said))


def problem(vary: Mapping[str, object], **more: object) -> str:
    """The one problem of a space that has one."""
    report = checked(vary, **more)
    assert not report.sound
    assert len(report.problems) == 1, report.problems
    return report.problems[0]


def only_when(dimension: Mapping[str, object], **when: object) -> dict[str, object]:
    return {**dimension, "when": {name.replace("__", "."): asked for name, asked in when.items()}}
