"""Every probe of learning passes the sound network of each front and notices what cannot learn."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from risexp.config.learning import Front
from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.litmus import probe_litmus
from risexp.diagnostics.overfit import probe_overfit
from risexp.diagnostics.preflight import probe_preflight, probes_of
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report, Verdict
from tests.diagnostics.faults import Backwards, Detached, with_shuffled_labels
from tests.diagnostics.reports import failed
from tests.support.references import smoke

FRONTS: Final[tuple[Front, ...]] = ("pursuit", "aperture", "image")
FAULTS: Final[Mapping[str, ProbeTrainer]] = {
    "slow": ProbeTrainer(),
    "backwards": ProbeTrainer(objective=Backwards.of),
    "detached": ProbeTrainer(objective=Detached.of),
    "shuffled": ProbeTrainer(trainer=with_shuffled_labels),
}
EPOCHS: Final[Mapping[Front, int]] = {"pursuit": 30, "aperture": 80, "image": 50}
"""Enough for the sound network."""


def config_of(front: Front, fault: str = "none") -> RunConfig:
    lr = "1e-7" if fault == "slow" else "3e-3"
    return smoke("frame", f"network.front={front}", f"training.optimizer.lr={lr}")


def memorised(front: Front, fault: str, trainer: ProbeTrainer | None = None) -> Report:
    return probe_overfit(config_of(front, fault), 16, EPOCHS[front], trainer)


def counted(front: Front, fault: str, trainer: ProbeTrainer | None = None) -> Report:
    amount = Amount(scenes=16, epochs=100, judged=0)
    return probe_k_head(config_of(front, fault), amount, trainer=trainer)


def stepped(front: Front, fault: str, trainer: ProbeTrainer | None = None) -> Report:
    return probe_litmus(config_of(front, fault), trainer)


LONG: Final = [
    pytest.param(front, marks=() if front == "pursuit" else pytest.mark.slow) for front in FRONTS
]


@pytest.mark.parametrize("front", FRONTS)
def test_five_steps_of_a_sound_network_lower_its_loss(front: Front) -> None:
    assert "pass" == stepped(front, "none").verdict


@pytest.mark.parametrize("front", LONG)
@pytest.mark.parametrize("probe", [memorised, counted])
def test_a_sound_network_memorises_covariances_and_counts(
    probe: Callable[..., Report], front: Front
) -> None:
    assert "pass" == probe(front, "none").verdict


@pytest.mark.parametrize("front", LONG)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_cannot_learn_memorises_no_covariances(fault: str, front: Front) -> None:
    report = memorised(front, fault, FAULTS[fault])

    assert "NMSE of all scenes" in failed(report)
    assert "where an untrained network has " in " ".join(report.advice)


@pytest.mark.slow
@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_network_that_cannot_learn_memorises_no_counts(fault: str, front: Front) -> None:
    report = counted(front, fault, FAULTS[fault])

    assert "K accuracy of scenes known by heart" in failed(report)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("fault", ["slow", "backwards", "detached"])
def test_five_steps_of_a_network_that_cannot_learn_leave_its_loss(fault: str, front: Front) -> None:
    assert "share of the loss left" in failed(stepped(front, fault, FAULTS[fault]))


def test_five_steps_by_the_labels_of_other_scenes_leave_the_loss_of_a_search() -> None:
    report = stepped("pursuit", "shuffled", FAULTS["shuffled"])

    assert ["share of the loss left"] == failed(report)


def test_a_learning_rate_that_moves_nothing_is_found_by_the_preflight() -> None:
    """Once: every probe brought a rate of its own, and this ended with "this run can learn"."""
    verdicts: dict[str, Verdict] = {}
    probes = probes_of(config_of("pursuit", "slow"))

    report = probe_preflight(
        {name: probes[name] for name in ("oracle", "litmus")},
        lambda stage: verdicts.update({stage.report.name: stage.report.verdict}),
    )

    assert ("fail", {"oracle": "pass", "litmus": "fail"}) == (report.verdict, verdicts)
    assert "training.optimizer.lr" in report.advice[0]
