"""What the words `scenes-1` stand for: if one of these changes, so must the generator's name."""

import hashlib

import pytest
import torch

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.data.freezing import GENERATOR
from risexp.data.scenes import SceneGenerator, codes_of
from risexp.data.streams import BLOCK, stream_key

EIGHTHS = {
    "dft": "07fc3c3d",
    "balanced": "fd9098b0",
    "hadamard": "5a3372d2",
    "random": "45270ce4",
}
"""First digits of the SHA-256 of each codebook's phases, in eighths of a turn."""


def test_the_generator_is_the_one_these_figures_are_of() -> None:
    assert GENERATOR == "scenes-1"


@pytest.mark.parametrize("kind", EIGHTHS)
def test_codes_are_what_they_were(kind: str) -> None:
    codes = codes_of(RunConfig().replace({"physics.codebook": kind}).physics)

    eighths = (codes.angle() / (torch.pi / 4)).round().to(torch.int64) % 8

    said = hashlib.sha256(bytes(eighths.flatten().tolist())).hexdigest()
    assert EIGHTHS[kind] == said[:8]


def test_streams_are_what_they_were() -> None:
    keys = [stream_key(0, "train", 0), stream_key(7, "test", 1234), stream_key(0, "test", 0)]

    assert [2115791543933604651, 585156375013031001, 2115791548140029359] == keys
    assert 256 == BLOCK


def test_scenes_are_what_they_were() -> None:
    config = load_config(preset="smoke").config
    scenes = SceneGenerator(config.physics, config.data).scenes("test", 300, 2)
    frames, truth = scenes.frames, scenes.truth

    assert [3, 3] == truth.count.tolist()
    assert frames.snr_db is not None
    found = [
        float(truth.phi_rad[0, 0]),
        float(truth.range_m[1, 0]),
        float(frames.snr_db[1]),
        float(truth.symbols[0, 0, 0].real),
        float(frames.channel[0, 0, 0].real),
        float(1e3 * frames.y[1, 3, 2].imag),
    ]
    assert (
        pytest.approx([0.930602, 3.65406, -0.459382, -0.839427, -0.339673, -2.8056], rel=1e-4)
        == found
    )
