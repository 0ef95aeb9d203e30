"""The litmus probe: five steps on one batch pass or name the fault."""

from functools import cache

import pytest

from risexp.diagnostics.litmus import LEFT, RATES, probe_litmus
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Cell, Report
from risexp.physics.signals import Symbols
from risexp.training.objective import Objective
from tests.diagnostics.faults import (
    Undefined,
    Uphill,
    WithoutHeads,
)
from tests.diagnostics.reports import failed, number, table
from tests.support.references import smoke


@cache
def probed(*overrides: str, symbols: Symbols = "frame") -> Report:
    return probe_litmus(smoke(symbols, *overrides))


def measured(report: Report) -> dict[Cell, Cell]:
    return {row[0]: row[1] for row in table(report, "checks").rows}


def test_a_network_learns_its_batch() -> None:
    report = probed()

    assert ("litmus", "pass") == (report.name, report.verdict)
    assert {
        "parameters with an undefined gradient": 0.0,
        "optimizer steps taken": 5,
        "parameters without a gradient": 0.0,
    }.items() <= measured(report).items()
    assert pytest.approx(0.7, abs=0.11) == measured(report)["share of the loss left"]
    assert number(report, "trainable parameters") > 20


@pytest.mark.parametrize(
    "overrides",
    [
        ("curriculum.phase=three-phase",),
        ("count.kind=softmax", "count.path=direct", "factors.kind=free"),
        ("beta.final=0.9", "training.optimizer.lr=1e-4"),
        ("network.front=aperture", "network.dropout=0.2", "training.precision=bf16"),
        (
            *("loss.subspace=0.5", "loss.eigengap=0.1", "loss.structure_share=0.1"),
            *("curriculum.structure_ramp=50", "curriculum.count_ramp=50", "loss.margin=0.1"),
        ),
    ],
)
def test_every_sound_network_learns_its_batch(overrides: tuple[str, ...]) -> None:
    assert "pass" == probed(*overrides).verdict


def test_fresh_symbols_and_a_frozen_phase_are_learned_too() -> None:
    frozen = ("curriculum.phase=count", "curriculum.warm_start=train-1")

    assert "pass" == probed("network.front=image", "loss.heat=0.1", symbols="snapshot").verdict
    assert "pass" == probed(*frozen, "curriculum.count.found=0.2").verdict


def test_rates_are_tried_until_one_is_enough() -> None:
    rows = table(probed("training.seed=2", "data.seed=2"), "loss of the batch").rows

    tried = [float(str(row[0])) for row in rows]
    left = [float(str(row[-1])) / float(str(row[1])) for row in rows]
    assert list(RATES[: len(tried)]) == tried
    assert [True] * (len(left) - 1) + [False] == [share > LEFT for share in left]


def test_the_balance_learns_too() -> None:
    plain = number(probed(), "trainable parameters")
    balanced = number(probed("loss.balance=uncertainty"), "trainable parameters")

    config = smoke("frame", "loss.balance=uncertainty")
    assert balanced - plain == len(list(Objective.of(config).balance.parameters())) > 3


def test_a_head_that_was_bypassed_is_listed_and_long_lists_are_cut() -> None:
    report = probe_litmus(smoke(), ProbeTrainer(network=WithoutHeads))

    assert "parameters without a gradient" in failed(report)
    assert "count.mixture" in report.advice[0]
    assert "and 3 more" in report.advice[0]


def test_an_undefined_gradient_is_told_with_its_term_and_place() -> None:
    """Museum 4."""
    report = probe_litmus(smoke(), ProbeTrainer(objective=Undefined.of))

    assert {"parameters with an undefined gradient", "optimizer steps taken"} <= set(failed(report))
    assert "is not finite (batch 0: gradient in pointers at " in report.advice[0]
    assert "risexp diagnose gradients" in report.advice[0]
    assert "0 of 5 optimizer steps were taken" in report.advice[1]
    assert 1 == len(table(report, "loss of the batch").rows)


def test_a_gradient_that_points_elsewhere_fails_at_every_rate() -> None:
    report = probe_litmus(
        smoke("frame", "loss.balance=uncertainty", "training.optimizer.lr=1e-3"),
        ProbeTrainer(objective=Uphill.of),
    )

    assert ["share of the loss left"] == failed(report)
    assert len(RATES) == len(table(report, "loss of the batch").rows)
    assert "at every rate tried" in report.advice[0]
