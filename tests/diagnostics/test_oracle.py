"""The oracle probe: labels as answers pass, and faulty code fails."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from risexp.covariance.effective import alpha, effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Truth
from risexp.diagnostics.oracle import (
    CodeUnderTest,
    CovarianceError,
    Locate,
    perfect_score,
    probe_oracle,
)
from risexp.diagnostics.probe_data import drawn, label_estimate
from risexp.diagnostics.report import Report
from risexp.evaluation.metrics import METRICS
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import summarise
from risexp.inference.estimate import Estimate
from risexp.physics.signals import Symbols
from tests.diagnostics.reports import failed, number, table
from tests.support.references import LAWS, smoke

SCENES = 64
TRUTH = drawn(smoke(), 8).truth
BASE = smoke().covariance.alpha_base


def probed(
    tried: CodeUnderTest | None = None, *, symbols: Symbols = "frame", beta: float = 0.3
) -> Report:
    config = smoke(symbols)
    return probe_oracle(config, SCENES, beta, (0.0, 20.0), tried or CodeUnderTest.of(config))


def bent(by: Callable[[Estimate], Estimate]) -> Locate:
    """The localiser, its answers bent."""
    locate = CodeUnderTest.of(smoke()).locate
    return lambda covariance, count: by(locate(covariance, count))


def mirrored_in_u(found: Estimate) -> Estimate:
    return replace(found, phi_rad=-found.phi_rad)


def transposed(covariance: FactoredCovariance, count: Tensor) -> Estimate:
    """Steering a^T R a* in place of a^H R a."""
    conjugate = replace(covariance, factor=covariance.factor.conj().resolve_conj())
    return CodeUnderTest.of(smoke()).locate(conjugate, count)


def test_labels_are_perfect_answers() -> None:
    for beta, symbols in product([0.0, 0.3, 1.0], LAWS):
        report = probed(symbols=symbols, beta=beta)

        assert ("oracle", "pass") == (report.name, report.verdict), (beta, symbols)
        assert {"pass"} == {row[-1] for row in table(report, "checks").rows}, (beta, symbols)
        assert "Labels as answers are perfect" in report.advice[0], (beta, symbols)


def test_a_wrong_error_fails_with_what_to_do() -> None:
    cases: list[tuple[CovarianceError, set[object], str]] = [
        (
            lambda ours, label, snr_db: effective(ours, snr_db).nmse(label.trace_normalize()),
            {"cov of labels"},
            "through the same effective()",
        ),
        (
            lambda ours, label, snr_db: ours.regularise(alpha(snr_db, BASE)).nmse(
                label.regularise(alpha(snr_db, BASE))
            ),
            {"cov of labels at twice the amplitude"},
            "trace-normalise",
        ),
        (
            lambda _, label, __: torch.zeros(len(label)),
            {"cov of predictions that say nothing"},
            "does not notice",
        ),
        (
            lambda _, label, __: torch.full((len(label),), math.nan),
            {"cov of labels", "cov of predictions that say nothing"},
            "effective()",
        ),
    ]
    for error, checks, advice in cases:
        report = probed(replace(CodeUnderTest.of(smoke()), error=error))

        assert checks <= set(failed(report)), checks
        assert advice in report.advice[0], checks


def test_a_similarity_in_place_of_an_error_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    nmse = FactoredCovariance.nmse
    monkeypatch.setattr(FactoredCovariance, "nmse", lambda one, other: 1.0 - nmse(one, other))

    report = probed()

    assert {"nmse(R, R)", "|nmse(0, R) - 1|"} <= set(failed(report))


def test_a_blend_that_ignores_beta_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    blend = FactoredCovariance.blend
    monkeypatch.setattr(
        FactoredCovariance,
        "blend",
        lambda one, other, beta: blend(one, other, beta if beta == 1.0 else 0.0),
    )

    assert ["cov of blended labels, off beta^2 of the samples' own"] == failed(probed())


def test_a_localiser_that_is_wrong_about_labels_fails() -> None:
    for locate in (bent(mirrored_in_u), transposed):
        report = probed(replace(CodeUnderTest.of(smoke()), locate=locate))

        assert ["success on labels, equal powers, 10 deg apart"] == failed(report), locate
        assert "whose label and count it is given" in report.advice[0], locate


def test_scores_that_differ_from_perfect_fail_and_name_the_worst() -> None:
    def in_another_unit(estimate: Estimate, truth: Truth) -> SceneScores:
        return score_scenes(replace(estimate, range_m=estimate.range_m * 1.001), truth)

    report = probed(replace(CodeUnderTest.of(smoke()), score=in_another_unit))

    assert ["scores of perfect estimates, worst deviation"] == failed(report)
    assert "gospa is off" in report.advice[0] or "range_" in report.advice[0]


def test_a_score_that_is_undefined_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    perfect = summarise(score_scenes(label_estimate(TRUTH), TRUTH))
    monkeypatch.setattr(
        "risexp.diagnostics.oracle.summarise", lambda _: replace(perfect, range_p95=math.nan)
    )

    report = probed()

    assert ["scores of perfect estimates, worst deviation"] == failed(report)
    assert "range_p95 is off by nan" in report.advice[0]


def test_every_score_has_a_perfect_value() -> None:
    assert {-1.0} == {perfect_score("k_loc")}
    assert {name for name, metric in METRICS.items() if metric.direction == "max"} == {
        name for name in METRICS if perfect_score(name) == 1.0
    }
    assert list(METRICS) == [row[0] for row in table(probed(), "scores of perfect").rows]


def test_the_floor_is_that_of_the_samples_and_none_without_them() -> None:
    blended, unblended = probed(), probed(beta=0.0)

    rows = table(blended, "blended with joint").rows
    floors = [[float(str(cell)) for cell in row[1:]] for row in rows]
    assert ["0", "20"] == [row[0] for row in rows]
    assert all(pytest.approx(0.3**2 * alone, rel=1e-4) == floor for floor, alone in floors)
    assert floors[0][0] > 1.2 * floors[1][0]
    assert pytest.approx(0.0, abs=1e-9) == number(unblended, "floor")
    assert "Blending is off" in unblended.advice[-1]


def test_the_beta_that_is_advised_leaves_little_floor() -> None:
    report = probed().advice[-1]

    found = re.search(r"stay below beta ([0-9.]+), where the floor is 0.01", report)
    assert found is not None
    advised = probed(beta=0.95 * float(found[1]))
    assert pytest.approx(0.009, rel=0.1) == number(advised, "floor")
    assert "little enough to blend" in advised.advice[-1]


def test_the_localiser_is_given_what_inference_would_see() -> None:
    seen: list[FactoredCovariance] = []
    tried = CodeUnderTest.of(smoke())

    def watched(covariance: FactoredCovariance, count: Tensor) -> Estimate:
        seen.append(covariance)
        return tried.locate(covariance, count)

    probed(replace(tried, locate=watched))

    assert 2 == len(seen)
    for covariance in seen:
        torch.testing.assert_close(covariance.trace(), torch.full((SCENES,), 36.0))
        assert bool((covariance.diagonal > 0).all())


def test_what_is_missed_on_the_configured_law_is_reported_and_fails_nothing() -> None:
    config = smoke()
    tried = CodeUnderTest.of(config)
    powers: list[bool] = []

    def half_blind(covariance: FactoredCovariance, count: Tensor) -> Estimate:
        """Right on the first law it is given, the separated one, wrong on the second."""
        powers.append(True)
        found = tried.locate(covariance, count)
        return found if len(powers) == 1 else mirrored_in_u(found)

    report = probed(replace(tried, locate=half_blind))

    assert "pass" == report.verdict
    assert number(report, "configured law") < 0.5
    assert "are missed with label and count given" in report.advice[1]
