"""A device with memory for a few scenes at a time."""

import pytest
import torch
from torch.nn import Module

from risexp.data.frames import Scenes
from risexp.loss.weighting import Loss
from risexp.training.objective import Objective
from risexp.training.plan import Plan


def device_holds(monkeypatch: pytest.MonkeyPatch, scenes: int) -> list[int]:
    """Give the device memory for so many scenes; return the batch sizes that are tried."""
    tried: list[int] = []
    compute = Objective.__call__

    def limited(self: Objective, network: Module, batch: Scenes, plan: Plan) -> Loss:
        tried.append(len(batch))
        if len(batch) > scenes:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(self, network, batch, plan)

    monkeypatch.setattr(Objective, "__call__", limited)
    return tried
