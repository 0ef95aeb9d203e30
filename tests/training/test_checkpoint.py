"""A checkpoint as bytes: everything comes back, and nothing of the machine is in it."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from risexp.config.run import RunConfig
from risexp.errors import CheckpointDamaged
from risexp.training.checkpoint import Checkpoint, decode, encode
from tests.support.trainers import checkpoints, same_state, small_config


@pytest.fixture(scope="module")
def kept() -> Checkpoint:
    return replace(checkpoints(2)[-1], temperature=1.25)


def test_all_comes_back_and_the_same_checkpoint_has_the_same_bytes(kept: Checkpoint) -> None:
    back = decode(*encode(kept))

    assert same_state(kept.state, back.state)
    assert math.isnan(back.scores["range_rmse"])
    assert {**kept.scores, "range_rmse": 0.0} == {**back.scores, "range_rmse": 0.0}
    assert (kept.run_id, kept.config, kept.plan) == (back.run_id, back.config, back.plan)
    assert 1.25 == back.temperature
    assert encode(kept) == encode(back)
    assert (2, kept.plan.beta) == (kept.epoch, kept.beta)
    assert small_config().sha() == kept.config_sha
    assert small_config().canonical() == RunConfig.model_validate(kept.config)


def test_it_is_safetensors_and_json_without_a_pickle_or_a_path(kept: Checkpoint) -> None:
    header, tensors = encode(kept)

    assert "risexp-checkpoint-1" == json.loads(header)["format"]
    length = int.from_bytes(tensors[:8], "little")
    assert "weights/heads.bias" in json.loads(tensors[8 : 8 + length])
    for path in (Path.home(), Path.cwd(), Path(torch.__file__).parent):
        assert str(path).encode() not in header + tensors


def test_a_header_or_tensors_of_another_kind_are_damage(kept: Checkpoint) -> None:
    sound, tensors = encode(kept)
    for header in (b"", b"{}", b"[]", b'{"format": "risexp-checkpoint-2"}', b"\x80\x04N.", b"NaN"):
        with pytest.raises(CheckpointDamaged, match="the header is none"):
            decode(header, tensors)
    for others in (b"", b"\x80\x04N.", b"\xff" * 64):
        with pytest.raises(CheckpointDamaged, match="the tensors cannot be read"):
            decode(sound, others)


def test_complex_and_empty_buffers_come_back(kept: Checkpoint) -> None:
    weights = {
        "grid": torch.randn(3, dtype=torch.complex64),
        "none": torch.zeros(0, 4),
        "one": torch.tensor(3, dtype=torch.int64),
        "transposed": torch.randn(3, 5).mT.contiguous(),
    }
    changed = replace(kept, state=replace(kept.state, weights=weights))

    assert same_state(changed.state, decode(*encode(changed)).state)
