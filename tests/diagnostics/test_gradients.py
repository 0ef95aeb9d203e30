"""Degenerate scenes, and the terms of the loss that do not survive them."""

from functools import cache

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.diagnostics.degenerate import CHANGES, degenerate_batches
from risexp.diagnostics.gradients import probe_gradients
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS, Term
from risexp.model.network import Network
from risexp.model.observation import Observation
from risexp.model.prediction import Prediction
from risexp.physics.signals import Symbols
from tests.diagnostics.reports import table
from tests.support.references import LAWS, smoke


@cache
def probed(symbols: Symbols, *overrides: str) -> Report:
    return probe_gradients(smoke(symbols, *overrides), scenes=4)


@cache
def batches(symbols: Symbols = "frame") -> dict[str, Scenes]:
    return degenerate_batches(smoke(symbols), 12)


def steep(guess: PredictionPair) -> Tensor:
    """|y| as a penalty: its slope is undefined where a frame is silent."""
    silent = guess.prediction.effective.trace() * 0.0
    heard = torch.where(guess.prediction.pointers.phi_rad[:, 0] > 9.0, 0.0, silent)
    return heard.sqrt()


def failing(guess: PredictionPair) -> Tensor:
    if bool(guess.target.snr_db.amax() > 99.0):
        message = "no such SNR"
        raise ValueError(message)
    return guess.prediction.effective.trace()


def undefined(guess: PredictionPair) -> Tensor:
    return guess.prediction.effective.trace() / (guess.target.snr_db + 100.0).clamp(min=0.0)


@pytest.mark.parametrize(
    ("symbols", "overrides"),
    [
        ("frame", ()),
        ("snapshot", ()),
        ("frame", ("count.kind=slots", "count.detach_spectral=false", "beta.final=1.0")),
        ("frame", ("network.front=aperture", "factors.kind=free", "count.kind=softmax")),
    ],
)
def test_all_terms_are_finite_on_all_batches(symbols: Symbols, overrides: tuple[str, ...]) -> None:
    report = probed(symbols, *overrides)

    found = table(report, "terms by batch")
    assert ("gradients", "pass") == (report.name, report.verdict)
    assert ("term", *CHANGES) == found.headings
    assert {"finite"} == {cell for row in found.rows for cell in row[1:]}
    drawn = set(TERMS) - (set() if symbols == "snapshot" else {"heat"})
    assert drawn == {row[0] for row in found.rows}


@pytest.mark.parametrize(
    ("term", "batch", "cell", "words"),
    [
        (steep, "ordinary", "gradient", "new has a gradient that is not finite, at "),
        (failing, "no noise", "fails", "cannot be computed (no such SNR), on the batch `no noise`"),
        (undefined, "all noise", "value", "is no finite number, on the batch `all noise`"),
    ],
)
def test_a_term_that_does_not_survive_is_told_with_its_batch(
    term: Term, batch: str, cell: str, words: str
) -> None:
    report = probe_gradients(smoke(), 2, table={"cov": TERMS["cov"], "new": term})

    found = table(report, "terms by batch")
    place = found.headings.index(batch)
    assert "fail" == report.verdict
    assert {"cov": "finite", "new": cell} == {row[0]: row[place] for row in found.rows}
    assert any(words in said for said in report.advice)


def test_a_network_that_cannot_answer_is_told_as_such() -> None:
    class Loud(Network):
        """Gives up where it hears nothing."""

        def forward(self, observation: Observation, beta: float) -> Prediction:
            if not observation.frames.y.any():
                message = "nothing to hear"
                raise ArithmeticError(message)
            return super().forward(observation, beta)

    report = probe_gradients(smoke(), 2, ProbeTrainer(network=Loud), {"cov": TERMS["cov"]})

    (answer, cov) = table(report, "terms by batch").rows
    assert "fail" == report.verdict
    assert ("the answer", 2) == (answer[0], answer.count("fails"))
    assert "fails" not in cov
    assert "the answer cannot be computed (nothing to hear)" in report.advice[0]


def test_every_batch_is_degenerate_in_its_own_way() -> None:
    found = batches()
    ordinary = found["ordinary"]
    powers, places = found["equal powers"].truth.powers, found["coincident"].truth
    repeated, poor = found["one repeated"].truth, found["rank-one channel"].frames.channel

    assert not found["zero frame"].frames.y.any()
    assert not found["silent channel"].frames.channel.any()
    assert {0.0, 1.0} == set(powers.flatten().tolist())
    for each in (places.phi_rad, places.theta_rad, places.range_m):
        torch.testing.assert_close(
            each, torch.where(places.present, each[:, :1], torch.nan), equal_nan=True
        )
    assert {3} == set(repeated.count.tolist())
    assert torch.equal(repeated.phi_rad, repeated.phi_rad[:, :1].expand(-1, 3))
    assert {1} == set(torch.linalg.matrix_rank(poor, rtol=1e-4).tolist())
    for name, ratio in (("huge", 1e9), ("tiny", 1e-9)):
        torch.testing.assert_close(found[name].frames.y, ordinary.frames.y * ratio)


@pytest.mark.parametrize("symbols", LAWS)
def test_what_is_heard_is_what_is_true(symbols: Symbols) -> None:
    for name in ("coincident", "equal powers", "one repeated", "no noise", "rank-one channel"):
        scenes = batches(symbols)[name]
        frames, truth = scenes.frames, scenes.truth
        power = frames.y.abs().square().mean((-2, -1))
        assert frames.snr_db is not None

        due = truth.noise_power * (1.0 + torch.pow(10.0, frames.snr_db / 10.0))

        torch.testing.assert_close(power, due, rtol=0.5, atol=0.0)
        assert power.isfinite().all()
        assert (truth.present == (truth.amplitude > 0)).all()
