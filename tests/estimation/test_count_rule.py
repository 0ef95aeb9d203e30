"""Criteria and evidence of a count, against formulas and how often true."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.estimation.count_rule import CountRule, counted, log_evidence, log_joint
from risexp.estimation.receiver_model import ReceiverModel
from risexp.inference.nomp import Nomp
from tests.support.localisation import at_snr, config_of, plain_misfit, scenes_of
from tests.support.looping import for_each
from tests.support.pursuits import Found, pursued

RULES: tuple[CountRule, ...] = ("evidence", "bic", "aic")


@for_each(("rule", "price"), [("bic", 5.0 * math.log(512.0)), ("aic", 10.0)])
def test_criteria_are_those_of_the_books(
    device: torch.device, rule: CountRule, price: float
) -> None:
    """2 m ln(E_k / m) + 5 k ln(2 m) and 2 m ln(E_k / m) + 10 k, m = L M = 256."""
    config = config_of()
    frames = scenes_of(config, 8, device).frames
    law, pursuit, ranges = pursued(config, frames)
    scores = torch.stack(
        [
            512.0 * (plain_misfit(config, frames, fit.points) / 256.0).log() + price * fit.count
            for fit in pursuit.fits[1:]
        ],
        dim=-1,
    )

    count, probabilities = counted(rule, pursuit, law, ranges)

    assert (scores.argmin(-1) + 1).tolist() == count.tolist()
    assert torch.allclose((-0.5 * scores).softmax(-1), probabilities, atol=5e-3)


def test_the_criteria_of_fresh_symbols_price_a_source_at_four_numbers(
    device: torch.device,
) -> None:
    config = config_of("physics.symbols=snapshot")
    law, pursuit, ranges = pursued(config, scenes_of(config, 4, device).frames)
    likelihood = torch.stack([fit.profile for fit in pursuit.fits[1:]], dim=-1)
    sources = torch.arange(1, 6, device=device)

    prices: dict[CountRule, float] = {"bic": 4.0 * math.log(512.0), "aic": 8.0}
    for rule, price in prices.items():
        scores = -2.0 * likelihood + price * sources
        count, probabilities = counted(rule, pursuit, law, ranges)

        assert (scores.argmin(-1) + 1).tolist() == count.tolist()
        assert torch.allclose((-0.5 * scores).softmax(-1), probabilities)


@for_each("symbols", ["frame", "snapshot"])
def test_probabilities_are_some_and_belong_to_the_counts(
    device: torch.device, symbols: str
) -> None:
    config = config_of(f"physics.symbols={symbols}", preset="smoke")
    law, pursuit, ranges = pursued(config, scenes_of(config, 8, device).frames)

    for rule in RULES:
        count, probabilities = counted(rule, pursuit, law, ranges)

        assert (8, 3) == tuple(probabilities.shape)
        assert torch.allclose(torch.ones_like(probabilities[:, 0]), probabilities.sum(-1))
        assert bool((probabilities >= 0.0).all())
        assert bool(((count >= 1) & (count <= 3)).all())


def test_a_joint_probability_is_evidence_times_hidden_sources_times_their_choices(
    device: torch.device,
) -> None:
    """log p(y, j seen | K) = log C(K, j) + log p(y | j) + (K - j) log h_j, spelled out."""
    config = config_of("data.sources_max=3")
    law, pursuit, ranges = pursued(config, scenes_of(config, 4, device).frames)
    evidence = [
        log_evidence(fit, law.receiver.view, each)
        for fit, each in zip(pursuit.fits, ranges, strict=True)
    ]

    joint = log_joint(pursuit, law.receiver, ranges)

    for scene in range(4):
        for count in (1, 2, 3):
            for seen in range(4):
                if seen > count:
                    assert -math.inf == float(joint[scene, seen, count - 1])
                    continue
                expected = float(evidence[seen][scene]) + math.log(math.comb(count, seen))
                if seen < count:
                    expected += (count - seen) * float(pursuit.hidden[scene, seen])
                assert pytest.approx(expected) == float(joint[scene, seen, count - 1])


def test_the_count_answered_is_worth_most_hits_and_successes(device: torch.device) -> None:
    """It maximises P(K) + P(K and all seen), which is not always the likeliest count."""
    _, (law, pursuit, ranges) = default_law(device)
    logs = log_joint(pursuit, law.receiver, ranges)
    joint = (logs - logs.flatten(1).logsumexp(-1)[:, None, None]).exp()
    likeliest = joint.sum(1).argmax(-1) + 1
    seen = torch.stack([joint[:, count, count - 1] for count in range(1, 6)], dim=-1)

    count, probabilities = counted("evidence", pursuit, law, ranges)

    assert torch.allclose(joint.sum(1), probabilities)
    assert ((joint.sum(1) + seen).argmax(-1) + 1).tolist() == count.tolist()
    assert likeliest.tolist() != count.tolist()


@cache
def default_law(device: torch.device) -> tuple[Scenes, Found]:
    scenes = scenes_of(config_of(), 256, device)
    return scenes, pursued(config_of(), scenes.frames)


def hits(rule: CountRule, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which counts are right, and what is said of that: two of (B,) float64."""
    scenes, (law, pursuit, ranges) = default_law(device)
    count, probabilities = counted(rule, pursuit, law, ranges)
    said = probabilities.gather(-1, count.unsqueeze(-1) - 1).squeeze(-1)
    return (count == scenes.truth.count).double(), said


def test_evidence_outdoes_the_criteria_and_is_right_as_often_as_it_says(
    device: torch.device,
) -> None:
    rates = {rule: float(hits(rule, device)[0].mean()) for rule in RULES}
    right, said = hits("evidence", device)
    unsure, sure = said.argsort()[:128], said.argsort()[128:]

    assert rates["evidence"] > rates["bic"] - 0.02
    assert rates["bic"] > rates["aic"] + 0.2
    assert rates["evidence"] > 0.6
    assert pytest.approx(float(said.mean()), abs=0.05) == float(right.mean())
    assert float(right[sure].mean()) > float(right[unsure].mean()) + 0.15
    for half in (unsure, sure):
        assert pytest.approx(float(said[half].mean()), abs=0.08) == float(right[half].mean())


@pytest.mark.slow
def test_the_evidence_of_fresh_symbols_is_right_as_often_as_it_says(device: torch.device) -> None:
    config = config_of("physics.symbols=snapshot")
    scenes = scenes_of(config, 256, device)

    found = Nomp(ReceiverModel.of(config))(scenes.frames)

    right = float((found.count == scenes.truth.count).double().mean())
    assert pytest.approx(float(found.confidence.mean()), abs=0.06) == right


def test_hidden_sources_are_as_likely_as_the_prior_makes_them_where_nothing_is_heard(
    device: torch.device,
) -> None:
    """Noise alone, loud: nobody could tell a source from none, and the odds are one."""
    config = config_of(at_snr(-60.0))
    scenes = scenes_of(config, 16, device)

    _, pursuit, _ = pursued(config, scenes.frames)

    assert float(pursuit.hidden.abs().max()) < 0.1
