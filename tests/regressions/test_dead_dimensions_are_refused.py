"""Once: half of what a search varied was dead or named nothing, and its corners were no runs."""

from collections.abc import Mapping

import pytest

from risexp.space.check import check_space
from risexp.space.spec import SearchSpace
from tests.support.spaces import RIDGE, only_when, planted

SMOOTHING: Mapping[str, object] = {"kind": "uniform", "low": 0.01, "high": 0.2}
KINDS: Mapping[str, object] = {"kind": "choice", "options": ["ordinal", "softmax"]}


def corners(**more: object) -> SearchSpace:
    """As it once was: six heads beside a width that six does not divide."""
    vary = {
        "network.heads": {"kind": "choice", "options": [4, 6, 8]},
        "network.width": {"kind": "choice", "options": [384, 448]},
    }
    fixed = {"network.front": "aperture"}
    return planted(vary, fixed=fixed, start={"network.width": 384, "network.heads": 4}, **more)


def test_a_pair_of_bounds_that_is_no_run_is_found() -> None:
    (problem,) = check_space(corners()).problems

    assert "network.heads = 6 with network.width = 448 is no run" in problem


def test_a_pair_that_is_forbidden_is_never_drawn() -> None:
    assert check_space(corners(forbid=[{"network.heads": 6, "network.width": 448}])).sound


def test_a_knob_that_no_configuration_has_is_found() -> None:
    (problem,) = check_space(planted({"loss.lam_gap": RIDGE})).problems

    assert "there is no field 'loss.lam_gap'" in problem


@pytest.mark.parametrize(
    ("vary", "dead"),
    [
        ({"count.kind": KINDS, "count.smoothing": SMOOTHING}, "count.smoothing"),
        (
            {"curriculum.structure_ramp": {"kind": "int", "low": 0, "high": 6}},
            "curriculum.structure_ramp",
        ),
    ],
)
def test_a_knob_that_changes_no_run_is_found(vary: Mapping[str, object], dead: str) -> None:
    """Nothing smooths an ordinal count, and no structure term has a weight that could ramp."""
    (problem,) = check_space(planted(vary)).problems

    assert f"{dead} is dead: different values give the same configuration" == problem


def test_the_same_knob_is_alive_where_something_reads_it() -> None:
    alive = {"count.kind": KINDS, "count.smoothing": only_when(SMOOTHING, count__kind="softmax")}

    assert check_space(planted(alive)).sound
