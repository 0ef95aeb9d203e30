"""Many small numbers on a device, read in one transfer."""

from collections.abc import Mapping

import torch
from torch import Tensor


def fetch(tensors: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """The values of named tensors, flattened, as Python floats; the host waits once."""
    flat = torch.cat([tensor.detach().double().flatten() for tensor in tensors.values()])
    values = iter(flat.tolist())
    return {name: [next(values) for _ in range(each.numel())] for name, each in tensors.items()}
