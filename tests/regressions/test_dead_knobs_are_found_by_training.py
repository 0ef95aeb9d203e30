"""Once: eight of sixteen dimensions of a search were read by nothing, and their noise was tuned."""

from risexp.app.space.probe import ProbeResult, Trace, probe_space, trace
from risexp.config.run import RunConfig
from risexp.space.spec import SearchSpace
from tests.support.spaces import RIDGE, planted


def quick(config: RunConfig) -> Trace:
    return trace(config.replace({"training.epochs": 2, "validation.scenes": 16}))


def probed(space: SearchSpace) -> tuple[ProbeResult, ...]:
    return probe_space(space, train=quick)


def test_a_knob_that_no_training_reads_is_found() -> None:
    # Without samples in the blend nothing solves for them, whatever the ridge.
    vary = {
        "sampled.ridge": RIDGE,
        "training.optimizer.lr": {"kind": "log", "low": 1e-4, "high": 1e-2},
    }

    ridge, rate = probed(planted(vary, base="smoke"))

    assert ridge.dead
    assert ridge.differs == ()
    assert rate.differs == ("losses", "weights", "scores")


def test_the_same_knob_is_alive_where_samples_are_blended_in() -> None:
    space = planted({"sampled.ridge": RIDGE}, base="smoke", fixed={"beta.final": 0.3})

    (ridge,) = probed(space)

    assert {"weights", "scores"} <= {*ridge.differs}
