"""Predictions for tests of the loss: random with gradients, or perfect."""

import math
from dataclasses import fields, replace

import torch
from torch import Tensor

from risexp.config.learning import CountKind, LabelPower
from risexp.config.measurement import DataConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Scenes, Truth
from risexp.data.scenes import panel_of
from risexp.loss.main_terms import source_cells
from risexp.loss.prediction_pair import PredictionPair, TermSettings
from risexp.loss.self_test import SURE, perfect_prediction
from risexp.loss.target import Target
from risexp.loss.terms import Term
from risexp.model.prediction import CountLaw, Heat, Pointers, Prediction
from tests.support.scenes import SMALL, gaussian, tiny_scenes, uniform

SETTINGS = TermSettings(rho_unit=0.1, under_weight=2.0, over_weight=1.5, smoothing=0.05)
ALPHA_BASE = 1e-3
LAMBDA_RANGE = 0.1
SCENES = 32


def small_scenes(
    count: int = SCENES, *, sources_max: int = 5, device: torch.device | str = "cpu"
) -> Scenes:
    """Scenes of the small panel."""
    data = DataConfig(sources_max=sources_max)
    return tiny_scenes(count, physics=SMALL, data=data, device=device)


def target_of(scenes: Scenes, label_power: LabelPower = "linear") -> Target:
    """The labels of scenes of the small panel."""
    snr_db = scenes.frames.snr_db
    assert snr_db is not None
    return Target.of(panel_of(SMALL), scenes.truth, snr_db, ALPHA_BASE, label_power)


def small_target(
    count: int = SCENES, *, sources_max: int = 5, device: torch.device | str = "cpu"
) -> Target:
    return target_of(small_scenes(count, sources_max=sources_max, device=device))


def law_of(target: Target, kind: CountKind = "ordinal") -> CountLaw:
    return CountLaw(kind, target.sources_max)


def random_prediction(target: Target, kind: CountKind = "ordinal", seed: int = 0) -> Prediction:
    """A random prediction; its nine outputs record gradients."""
    law, shape = law_of(target, kind), tuple(target.present.shape)
    columns = (len(target), target.panel.elements, target.sources_max)
    angle, ranges = (
        _leaf(gaussian(*columns, seed=10 * seed + part), target, torch.complex64)
        for part in range(2)
    )
    outputs = [
        _leaf(uniform(-1.0, 1.0, *size, seed=10 * seed + part), target, torch.float32)
        for part, size in enumerate([(len(target), law.width), *[shape] * 5], start=2)
    ]
    return effectively(
        Prediction(
            angle_factor=angle,
            range_factor=ranges,
            lambda_range=LAMBDA_RANGE,
            effective=FactoredCovariance.from_factor(angle),
            count_logits=outputs[0],
            count_law=law,
            found_logits=outputs[5],
            pointers=Pointers(*outputs[1:5]),
            heat=random_heat(target, seed),
        ),
        target,
    )


def effectively(prediction: Prediction, target: Target) -> Prediction:
    """The same prediction with the effective covariance of its own factors."""
    seen = effective(prediction.predicted, target.snr_db, alpha_base=target.alpha_base)
    return replace(prediction, effective=seen)


def random_heat(target: Target, seed: int = 0) -> Heat:
    """A map of 7 x 9 directions."""
    device = target.count.device
    drawn = uniform(-1.0, 1.0, len(target), 7, 9, seed=10 * seed + 9)
    u, v = torch.linspace(-0.9, 0.9, 9), torch.linspace(-0.5, 0.5, 7)
    return Heat(_leaf(drawn, target, torch.float32), u.to(device), v.to(device))


def best_prediction(target: Target, kind: CountKind = "ordinal") -> Prediction:
    """The labels as a prediction, with a heat map that is certain of every cell."""
    best = perfect_prediction(target, SETTINGS, law_of(target, kind), LAMBDA_RANGE)
    heat = random_heat(target)
    sure = torch.where(source_cells(heat, target), SURE, -SURE)
    return replace(best, heat=replace(heat, logits=sure))


def orthogonal_prediction(target: Target) -> Prediction:
    """A prediction of ten orthogonal columns."""
    most = target.sources_max
    drawn = gaussian(len(target), target.panel.elements, 2 * most).to(target.count.device)
    columns = torch.linalg.qr(drawn).Q.to(torch.complex64)
    angle, ranges = columns[..., :most], columns[..., most:]
    return replace(best_prediction(target), angle_factor=angle, range_factor=ranges)


def pair_of(
    prediction: Prediction, target: Target, settings: TermSettings = SETTINGS
) -> PredictionPair:
    return PredictionPair(prediction, target, settings)


def scored(
    term: Term, prediction: Prediction, target: Target, settings: TermSettings = SETTINGS
) -> Tensor:
    """A term's errors (B,) as constants."""
    return term(pair_of(prediction, target, settings)).detach()


def leaves(prediction: Prediction) -> dict[str, Tensor]:
    """The outputs of a drawn prediction, by name."""
    pointers = {field.name: getattr(prediction.pointers, field.name) for field in fields(Pointers)}
    found = {
        "angle_factor": prediction.angle_factor,
        "range_factor": prediction.range_factor,
        "count_logits": prediction.count_logits,
        "found_logits": prediction.found_logits,
        **pointers,
    }
    return found if prediction.heat is None else {**found, "heat": prediction.heat.logits}


def gradients(value: Tensor, prediction: Prediction) -> dict[str, Tensor]:
    """The gradients of a scalar for the outputs that it depends on."""
    outputs = leaves(prediction)
    found = torch.autograd.grad(
        value, list(outputs.values()), allow_unused=True, materialize_grads=False
    )
    return {name: each for name, each in zip(outputs, found, strict=True) if _given(each)}


def _given(gradient: Tensor | None) -> bool:
    """Torch's annotations deny that an unused output has no gradient."""
    return gradient is not None


def term_faults(term: Term, pair: PredictionPair, best: Prediction) -> list[str]:
    """Faults of a term: not positive on a random pair, not zero at its optimum, no gradient."""
    value, least = term(pair), scored(term, best, pair.target, pair.settings)
    errors, faults = value.detach(), []
    if errors.shape != (len(pair.target),) or not bool((errors >= 0.0).all()):
        faults.append("no error for each scene")
    if not float(errors.mean()) > 1e-3:
        faults.append("not positive on a random pair")
    if not float(least.abs().max()) <= 1e-6:
        faults.append("not zero at its optimum")
    return faults + gradient_faults(value.mean(), pair.prediction)


def gradient_faults(value: Tensor, prediction: Prediction) -> list[str]:
    """Faults of the gradient of a scalar."""
    if not value.requires_grad:
        return ["no gradient"]
    sizes = [float(each.abs().max()) for each in gradients(value, prediction).values()]
    if not all(math.isfinite(size) for size in sizes):
        return ["a gradient that is not finite"]
    return [] if max(sizes, default=0.0) > 1e-6 else ["a gradient of zero"]


def reordered(truth: Truth, seed: int) -> Truth:
    """The same scenes with their sources listed in another order, absent ones still last."""
    generator = torch.Generator().manual_seed(seed)
    key = torch.rand(truth.present.shape, generator=generator).to(truth.count.device)
    order = torch.where(truth.present, key, 2.0).argsort(dim=-1, stable=True)
    moved = {
        name: getattr(truth, name).gather(-1, order)
        for name in ("phi_rad", "theta_rad", "range_m", "amplitude")
    }
    rows = order.unsqueeze(1).expand(-1, truth.symbols.shape[1], -1)
    return replace(truth, symbols=truth.symbols.gather(-1, rows), **moved)


def with_slots_reordered(prediction: Prediction, seed: int) -> Prediction:
    """The same answer with its slots in another order, the same in every scene."""
    most = prediction.count_law.sources_max
    order = torch.randperm(most, generator=torch.Generator().manual_seed(seed))
    order = order.to(prediction.count_logits.device)
    pointers = Pointers(
        **{
            field.name: getattr(prediction.pointers, field.name)[:, order]
            for field in fields(Pointers)
        }
    )
    slotted = prediction.count_law.kind == "slots"
    logits = prediction.count_logits[:, order] if slotted else prediction.count_logits
    return replace(
        prediction,
        angle_factor=prediction.angle_factor[..., order],
        range_factor=prediction.range_factor[..., order],
        count_logits=logits,
        pointers=pointers,
    )


def _leaf(values: Tensor, target: Target, dtype: torch.dtype) -> Tensor:
    return values.to(target.count.device, dtype).requires_grad_()
