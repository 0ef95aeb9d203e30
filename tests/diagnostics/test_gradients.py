"""The gradients probe: faulty terms on degenerate scenes."""

from functools import cache

import pytest
import torch
from torch import Tensor

from risexp.data.frames import Scenes
from risexp.diagnostics.degenerate import CHANGES, degenerate_batches
from risexp.diagnostics.gradients import probe_gradients
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.terms import TERMS, Term
from risexp.model.network import Network
from risexp.model.observation import Observation
from risexp.model.prediction import Prediction
from risexp.physics.signals import Symbols
from tests.diagnostics.reports import table
from tests.support.references import LAWS, smoke


@cache
def batches(symbols: Symbols = "frame") -> dict[str, Scenes]:
    return degenerate_batches(smoke(symbols), 12)


def steep(pair: PredictionPair) -> Tensor:
    """|y| as a penalty: its slope is undefined where a frame is silent."""
    silent = pair.prediction.effective.trace() * 0.0
    heard = torch.where(pair.prediction.pointers.phi_rad[:, 0] > 9.0, 0.0, silent)
    return heard.sqrt()


def failing(pair: PredictionPair) -> Tensor:
    if bool(pair.target.snr_db.amax() > 99.0):
        message = "no such SNR"
        raise ValueError(message)
    return pair.prediction.effective.trace()


def undefined(pair: PredictionPair) -> Tensor:
    return pair.prediction.effective.trace() / (pair.target.snr_db + 100.0).clamp(min=0.0)


@pytest.mark.parametrize(
    ("symbols", "overrides"),
    [
        ("frame", ()),
        ("snapshot", ("factors.kind=free", "count.kind=softmax")),
        ("frame", ("network.front=aperture", "count.kind=slots", "beta.final=1.0")),
    ],
)
def test_all_terms_are_finite_on_all_batches(symbols: Symbols, overrides: tuple[str, ...]) -> None:
    report = probe_gradients(smoke(symbols, "network.depth=1", *overrides), scenes=2)

    cells = table(report, "terms by batch")
    assert ("gradients", "pass") == (report.name, report.verdict)
    assert ("term", *CHANGES) == cells.headings
    assert {"finite"} == {cell for row in cells.rows for cell in row[1:]}
    terms = set(TERMS) - (set() if symbols == "snapshot" else {"heat"})
    assert terms == {row[0] for row in cells.rows}


def test_a_term_that_does_not_survive_is_told_with_its_batch() -> None:
    cases: list[tuple[Term, str, str, str]] = [
        (steep, "ordinary", "gradient", "new has a gradient that is not finite, at "),
        (failing, "no noise", "fails", "cannot be computed (no such SNR), on the batch `no noise`"),
        (undefined, "all noise", "value", "is no finite number, on the batch `all noise`"),
    ]
    for term, batch, cell, words in cases:
        report = probe_gradients(smoke(), 2, table={"cov": TERMS["cov"], "new": term})

        found = table(report, "terms by batch")
        place = found.headings.index(batch)
        assert "fail" == report.verdict, (term, batch, cell, words)
        assert {"cov": "finite", "new": cell} == {row[0]: row[place] for row in found.rows}, batch
        assert any(words in sentence for sentence in report.advice), (term, batch, cell, words)


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


def test_what_is_heard_is_what_is_true() -> None:
    for symbols in LAWS:
        for name in ("coincident", "equal powers", "one repeated", "no noise", "rank-one channel"):
            scenes = batches(symbols)[name]
            frames, truth = scenes.frames, scenes.truth
            power = frames.y.abs().square().mean((-2, -1))
            assert frames.snr_db is not None, symbols

            due = truth.noise_power * (1.0 + torch.pow(10.0, frames.snr_db / 10.0))

            torch.testing.assert_close(power, due, rtol=0.5, atol=0.0)
            assert power.isfinite().all(), symbols
            assert (truth.present == (truth.amplitude > 0)).all(), symbols
