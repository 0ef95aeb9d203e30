"""Once: half of what a search varied was dead or named nothing, and its corners were no runs.

Eight of its sixteen dimensions were read by nothing, and their noise was tuned.
"""

from collections.abc import Mapping

import pytest

from risexp.app.space.probe import Trace, probe_space, trace
from risexp.config.run import RunConfig
from risexp.space.check import check_space
from tests.support.spaces import RIDGE, only_when, planted, problem

SMOOTHING: Mapping[str, object] = {"kind": "uniform", "low": 0.01, "high": 0.2}
KINDS: Mapping[str, object] = {"kind": "choice", "options": ["ordinal", "softmax"]}
RAMP: Mapping[str, object] = {"kind": "int", "low": 0, "high": 6}


def test_a_pair_of_bounds_that_is_no_run_is_found_unless_it_is_forbidden() -> None:
    """As it once was: six heads beside a width that six does not divide."""
    vary = {
        "network.heads": {"kind": "choice", "options": [4, 6, 8]},
        "network.width": {"kind": "choice", "options": [384, 448]},
    }
    more = {
        "fixed": {"network.front": "aperture"},
        "start": {"network.width": 384, "network.heads": 4},
    }
    forbid = [{"network.heads": 6, "network.width": 448}]

    assert "network.heads = 6 with network.width = 448 is no run" in problem(vary, **more)
    assert check_space(planted(vary, forbid=forbid, **more)).sound


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ({"loss.lam_gap": RIDGE}, "there is no field 'loss.lam_gap'"),
        ({"count.kind": KINDS, "count.smoothing": SMOOTHING}, "count.smoothing is dead"),
        ({"curriculum.structure_ramp": RAMP}, "curriculum.structure_ramp is dead"),
    ],
)
def test_a_knob_that_changes_no_run_is_found(vary: Mapping[str, object], said: str) -> None:
    """Nothing smooths an ordinal count, and no structure term has a weight that could ramp."""
    assert said in problem(vary)


def test_the_same_knob_is_alive_where_something_reads_it() -> None:
    alive = {"count.kind": KINDS, "count.smoothing": only_when(SMOOTHING, count__kind="softmax")}

    assert check_space(planted(alive)).sound


def test_a_knob_that_no_training_reads_is_found_by_training() -> None:
    def quick(config: RunConfig) -> Trace:
        return trace(config.replace({"training.epochs": 2, "validation.scenes": 16}))

    # Without samples in the blend nothing solves for them, whatever the ridge.
    unused, used = (
        planted({"sampled.ridge": RIDGE}, base="smoke", fixed=fixed)
        for fixed in ({}, {"beta.final": 0.3})
    )

    (dead,), (alive,) = (probe_space(space, train=quick) for space in (unused, used))

    assert (True, ()) == (dead.dead, dead.differs)
    assert {"weights", "scores"} <= {*alive.differs}
