"""Random numbers that belong to a scene: the same wherever the scene stands, on any device.

A stream is named by the scene's true positions and by what it is for, so a reference does not
depend on the set the scene is scored in, on its place there, or on how the set is cut.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from risexp.data.frames import Truth


def scene_normals(truth: Truth, purpose: str, shape: tuple[int, ...]) -> Tensor:
    """N(0, 1) draws of every scene's own, (B, *shape) float64 on the scenes' device."""
    answer = torch.empty(len(truth), *shape, dtype=torch.float64)
    for row, generator in zip(answer, _generators(truth, purpose), strict=True):
        row.normal_(generator=generator)
    return answer.to(truth.count.device)


def scene_uniforms(truth: Truth, purpose: str, shape: tuple[int, ...]) -> Tensor:
    """U(0, 1) draws of every scene's own, (B, *shape) float64 on the scenes' device."""
    answer = torch.empty(len(truth), *shape, dtype=torch.float64)
    for row, generator in zip(answer, _generators(truth, purpose), strict=True):
        row.uniform_(generator=generator)
    return answer.to(truth.count.device)


def _generators(truth: Truth, purpose: str) -> Iterator[torch.Generator]:
    """One fresh CPU generator a scene."""
    rows = torch.cat([truth.phi_rad, truth.theta_rad, truth.range_m], dim=-1).cpu().numpy()
    for row in rows:
        digest = hashlib.sha256(f"risexp {purpose} ".encode() + row.tobytes()).digest()
        # A torch generator on CPU keeps 32 bits; two scenes in one stream would do no harm.
        yield torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))
