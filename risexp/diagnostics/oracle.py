"""The oracle probe: labels in place of answers must score perfectly, else the code is wrong."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Self

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Scenes, Truth
from risexp.diagnostics.label_checks import (
    LIMIT,
    BlendedLabels,
    floor_advice,
    floor_table,
    term_checks,
)
from risexp.diagnostics.probe_data import drawn, known_snr_db, label_covariance, label_estimate
from risexp.diagnostics.report import Number, Rate, Report, Requirement, Table, checked_report
from risexp.errors import ConfigInvalid
from risexp.estimation.receiver_model import ReceiverModel
from risexp.evaluation.metrics import METRICS
from risexp.evaluation.scene_scores import SceneScores, score_scenes
from risexp.evaluation.scores import Scores, summarise
from risexp.inference.estimate import Estimate
from risexp.inference.spectral import Spectral
from risexp.training.objective import Objective

ROUNDING: Final = 1e-5
"""Rounding error of a blend in single precision."""
NOTICED: Final = 0.1
"""Least error of a prediction without content; it is close to 1 on most panels."""
SEPARATED: Final = {"physics.power": "equal", "data.separation_deg": 10.0}
"""The law of scenes that every sound localiser resolves from the label."""

CovarianceError = Callable[[FactoredCovariance, FactoredCovariance, Tensor], Tensor]
"""From prediction, label and SNR (B,) in dB to an error (B,)."""
Locate = Callable[[FactoredCovariance, Tensor], Estimate]
"""From effective covariance and count (B,) to positions."""
Score = Callable[[Estimate, Truth], SceneScores]


def effective_error(
    predicted: FactoredCovariance, label: FactoredCovariance, snr_db: Tensor, *, alpha_base: float
) -> Tensor:
    """NMSE of the effective covariances, both sides regularised alike, (B,) float64."""
    ours, theirs = (effective(side, snr_db, alpha_base=alpha_base) for side in (predicted, label))
    return ours.nmse(theirs)


@dataclass(frozen=True)
class CodeUnderTest:
    """The functions that labels are fed to."""

    error: CovarianceError
    locate: Locate
    objective: Objective
    score: Score = score_scenes

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """The functions that train and validate this configuration."""
        error = partial(effective_error, alpha_base=config.covariance.alpha_base)
        return cls(error, Spectral(ReceiverModel.of(config)).locate, Objective.of(config))


def probe_oracle(
    config: RunConfig,
    scenes: int,
    beta: float,
    levels: Sequence[float],
    code: CodeUnderTest | None = None,
) -> Report:
    """Feed labels to errors, loss, scores and localiser; measure the floor under a blend."""
    code = code or CodeUnderTest.of(config)
    ours, separated = drawn(config, scenes), config.replace(SEPARATED)
    resolved = localiser_scores(separated, _apart(separated, scenes), code)
    scores = summarise(code.score(label_estimate(ours.truth), ours.truth))
    blend = BlendedLabels.of(config, ours, beta)
    floor = float(blend.blended.mean())
    checks = (
        *_error_checks(config, ours, code.error),
        *term_checks(config, code.objective, ours),
        _blend_check(blend, beta),
        _score_check(scores),
        _location_check(resolved),
    )
    configured = localiser_scores(config, ours, code)
    evidence = (
        _score_table(scores),
        Number("success on labels of the configured law", Rate.of(configured.success)),
        Number(f"floor of the NMSE at beta {beta:g}", floor),
        floor_table(config, scenes, beta, levels),
    )
    clear = ["Labels as answers are perfect: what a run loses, this code does not lose."]
    report = checked_report("oracle", checks, evidence, clear)
    more = (*_on_configured(configured), floor_advice(beta, floor))
    return replace(report, advice=report.advice + more)


def localiser_scores(config: RunConfig, scenes: Scenes, code: CodeUnderTest) -> SceneScores:
    """Scores of the localiser on label covariances and true counts."""
    label = label_covariance(config.physics, scenes.truth)
    base = config.covariance.alpha_base
    seen = effective(label, known_snr_db(scenes.frames), alpha_base=base)
    return code.score(code.locate(seen, scenes.truth.count), scenes.truth)


def _apart(separated: RunConfig, scenes: int) -> Scenes:
    try:
        return drawn(separated, scenes)
    except ConfigInvalid as error:
        raise ConfigInvalid(f"the oracle keeps sources 10 deg apart: {error}") from None


def _error_checks(
    config: RunConfig, scenes: Scenes, error: CovarianceError
) -> tuple[Requirement, ...]:
    """Labels score zero at any scale, and empty predictions do not."""
    label = label_covariance(config.physics, scenes.truth)
    snr_db = known_snr_db(scenes.frames)
    twice = replace(label, factor=2.0 * label.factor)
    nothing = replace(label, factor=torch.zeros_like(label.factor))
    one_sided = (
        "Labels fed as predictions do not score 0: send prediction and label through the same "
        "effective(), regularised alike."
    )
    scaled = "The score depends on a prediction's scale: trace-normalise before comparing."
    blind = "The score does not notice a prediction that says nothing: it measures something else."
    similar = "nmse() is no error, or a similarity: nmse(R, R) = 0 and nmse(0, R) = 1 are due."
    return (
        Requirement.at_most("cov of labels", _worst(error(label, label, snr_db)), LIMIT, one_sided),
        Requirement.at_most(
            "cov of labels at twice the amplitude",
            _worst(error(twice, label, snr_db)),
            LIMIT,
            scaled,
        ),
        Requirement.at_least(
            "cov of predictions that say nothing",
            float(error(nothing, label, snr_db).mean()),
            NOTICED,
            blind,
        ),
        Requirement.at_most("nmse(R, R)", _worst(label.nmse(label)), LIMIT, similar),
        Requirement.at_most("|nmse(0, R) - 1|", _worst(nothing.nmse(label) - 1.0), LIMIT, similar),
    )


def _blend_check(blend: BlendedLabels, beta: float) -> Requirement:
    """A blend moves a covariance of trace N by beta of its distance to the samples."""
    return Requirement.at_most(
        "cov of blended labels, off beta^2 of the samples' own",
        _worst(blend.blended - beta**2 * blend.samples),
        ROUNDING,
        "The blend is not (1 - beta) of the prediction and beta of the samples: look whether beta "
        "reaches effective(), and whether both have trace N before they meet.",
    )


def _worst(errors: Tensor) -> float:
    return float(errors.abs().max())


def perfect_score(name: str) -> float:
    """The score of a perfect answer: 1 for rates, 0 for errors, -1 for `k_loc`."""
    if name == "k_loc":
        return -1.0
    return 1.0 if METRICS[name].direction == "max" else 0.0


def _score_check(scores: Scores) -> Requirement:
    off = {name: value - perfect_score(name) for name, value in scores.items()}
    # NaN must come out as the worst.
    worst = max(off, key=lambda name: math.inf if math.isnan(off[name]) else abs(off[name]))
    return Requirement.at_most(
        "scores of perfect estimates, worst deviation",
        abs(off[worst]),
        LIMIT,
        f"{worst} is off by {off[worst]:.3g} where the estimate is the truth: compare its "
        "matching, its count and its units with their definitions.",
    )


def _score_table(scores: Scores) -> Table:
    rows = tuple((name, value, perfect_score(name)) for name, value in scores.items())
    return Table("scores of perfect estimates", ("score", "measured", "perfect"), rows)


def _location_check(resolved: SceneScores) -> Requirement:
    missed = int((~resolved.success).sum())
    return Requirement.at_least(
        "success on labels, equal powers, 10 deg apart",
        float(resolved.success.double().mean()),
        1.0,
        f"The localiser misses {missed} of {len(resolved)} scenes whose label and count it is "
        "given: compare its steering, its conjugates and its axes with those of the generator.",
    )


def _on_configured(configured: SceneScores) -> list[str]:
    """How the localiser fares with labels on the configured law."""
    missed = int((~configured.success).sum())
    if missed == 0:
        return ["On the configured law, too, labels and counts alone locate every scene."]
    sentence = (
        f"On the configured law {missed} of {len(configured)} scenes are missed with label and "
        "count given: close or weak sources that a perfect covariance does not resolve."
    )
    return [sentence]
