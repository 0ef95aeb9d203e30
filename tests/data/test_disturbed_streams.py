"""Correlated streams: as much as asked, in the same noise, and nothing else."""

import pytest
import torch
from torch import Tensor

from risexp.data.disturbed import with_shared_stream
from risexp.errors import DataInvalid
from tests.support.disturbed_scenes import MANY, PANEL, clean, noise
from tests.support.scenes import SMALL, tiny_scenes, uniform, worst

FRESH = SMALL.model_copy(update={"symbols": "snapshot"})


def test_correlated_streams_are_correlated_as_asked() -> None:
    scenes = tiny_scenes(MANY, physics=FRESH)
    turn = uniform(-3.0, 3.0, MANY, 5)

    heard = with_shared_stream(PANEL, scenes, 0.6, turn)

    kept = heard.truth.count >= 3
    first, second, third = heard.truth.symbols[kept][..., :3].unbind(-1)
    aligned = torch.polar(torch.ones_like(turn), -turn).to(torch.complex64)[kept].unsqueeze(-2)
    assert correlation(first, second * aligned[..., 1]) == pytest.approx(0.6, abs=0.04)
    assert correlation(second * aligned[..., 1], third * aligned[..., 2]) == pytest.approx(
        0.36, abs=0.05
    )
    assert float(second.abs().square().mean()) == pytest.approx(1.0, abs=0.06)


def test_fully_correlated_sources_send_one_stream() -> None:
    scenes = tiny_scenes(physics=FRESH)
    turn = uniform(-3.0, 3.0, 8, 5)

    heard = with_shared_stream(PANEL, scenes, 1.0, turn)

    rank = torch.linalg.matrix_rank(heard.truth.symbols, rtol=1e-4)
    assert [1] * 8 == rank.tolist()
    assert max(scenes.truth.count.tolist()) > 1
    assert torch.equal(scenes.truth.symbols[..., 0], heard.truth.symbols[..., 0])


def test_only_correlated_streams_change_and_the_noise_does_not() -> None:
    scenes = tiny_scenes(physics=FRESH)

    heard, same = (
        with_shared_stream(PANEL, scenes, share, uniform(-3.0, 3.0, 8, 5)) for share in (0.9, 0.0)
    )

    assert worst(clean(scenes), clean(heard)) > 0.1
    assert worst(noise(scenes), noise(heard)) < 1e-4
    assert torch.equal(scenes.frames.y, same.frames.y)
    assert torch.equal(scenes.truth.symbols, same.truth.symbols)
    with pytest.raises(DataInvalid, match="fresh"):
        with_shared_stream(PANEL, tiny_scenes(physics=SMALL), 0.5, torch.zeros(8, 5))


def correlation(one: Tensor, other: Tensor) -> float:
    """Of two streams of mean power 1 and mean 0."""
    return float((one.conj() * other).mean().real)
