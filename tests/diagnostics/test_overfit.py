"""The overfit probe: memorised scenes have a verdict for every count."""

import pytest
import torch

from risexp.data.scenes import SceneGenerator
from risexp.diagnostics.overfit import LIMIT, ByCount, probe_overfit
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.training.curriculum import curriculum
from risexp.training.objective import Objective
from tests.diagnostics.reports import table
from tests.support.references import smoke


def test_scenes_are_learned_by_heart_for_each_count_after_some_steps() -> None:
    report = probe_overfit(smoke(), scenes=24, epochs=20)

    curve = table(report, "NMSE")
    assert ("overfit", "pass") == (report.name, report.verdict)
    assert ("epoch", "K = 1", "K = 2", "K = 3", "all") == curve.headings
    assert all(float(str(cell)) <= LIMIT for cell in curve.rows[-1][1:])
    assert float(str(curve.rows[-1][-1])) < float(str(curve.rows[0][-1]))
    assert (0, 1) == (curve.rows[0][0], curve.rows[1][0])
    steps, way, error = table(report, "checks").rows
    assert 16 <= float(str(steps[1])) < 80
    assert float(str(way[1])) <= 0.5 * float(str(curve.rows[0][-1]))
    assert float(str(error[1])) <= LIMIT / 2


def test_counts_that_fail_are_named() -> None:
    config = smoke("frame", "factors.kind=free")

    report = probe_overfit(config, scenes=24, epochs=2)

    assert "fail" == report.verdict
    assert "where an untrained network has " in report.advice[0]
    assert "50% of the way to zero is due" in report.advice[0]
    assert "stays above 0.1 for K = 1 at " in report.advice[1]
    assert "K = 3 at " in report.advice[1]
    assert "--epochs" in report.advice[1]


def test_scenes_are_judged_apart_by_their_count() -> None:
    config = smoke()
    objective, network = Objective.of(config), ProbeTrainer().fresh_network(config)
    scenes = SceneGenerator(config.physics, config.data).scenes("train", 0, 20)
    plan = curriculum(config)[0]
    judge = ByCount.of(objective, scenes)

    found = judge(network, plan)

    with torch.no_grad():
        together = objective(network, scenes, plan).terms["cov"]
    assert pytest.approx(float(together), rel=1e-5) == found["loss"]
    assert {"loss", "cov_k1", "cov_k2", "cov_k3"} == set(found)
    assert 20 == sum(len(group) for group in judge.groups.values())
    assert all((group.truth.count == count).all() for count, group in judge.groups.items())
