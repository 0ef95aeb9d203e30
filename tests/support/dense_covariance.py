"""The dense twin of the factored covariance, and one table of what both can be asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from tests.support.scenes import gaussian, matrix, uniform, worst


@dataclass(frozen=True)
class Dense:
    """The same covariances as matrices (B, N, N), every operation as the textbook has it."""

    matrix: Tensor

    def __getitem__(self, scenes: slice) -> "Dense":
        return Dense(self.matrix[scenes])

    def eye(self) -> Tensor:
        return torch.eye(self.matrix.shape[-1], dtype=torch.complex128, device=self.matrix.device)

    def per_scene(self, share: float | Tensor) -> Tensor:
        real = torch.as_tensor(share, dtype=torch.float64, device=self.matrix.device)
        return real[..., None, None]

    def trace(self) -> Tensor:
        return self.matrix.diagonal(dim1=-2, dim2=-1).sum(-1).real

    def trace_normalize(self) -> "Dense":
        return Dense(self.matrix * (self.matrix.shape[-1] / self.trace())[:, None, None])

    def blend(self, other: "Dense", beta: float | Tensor) -> "Dense":
        share = self.per_scene(beta)
        return Dense((1 - share) * self.matrix + share * other.matrix.detach())

    def regularise(self, alpha: float | Tensor) -> "Dense":
        mean = (self.trace() / self.matrix.shape[-1])[:, None, None]
        share = self.per_scene(alpha)
        return Dense((1 - share) * self.matrix + share * mean * self.eye())

    def squared_norm(self) -> Tensor:
        return self.matrix.abs().square().sum((-2, -1))

    def squared_distance(self, other: "Dense") -> Tensor:
        return (self.matrix - other.matrix).abs().square().sum((-2, -1))

    def nmse(self, label: "Dense") -> Tensor:
        return self.squared_distance(label) / label.squared_norm()

    def eigenvalues(self) -> Tensor:
        values: Tensor = torch.linalg.eigvalsh(self.matrix)
        return values.flip(-1)

    def signal_subspace(self, count: Tensor) -> Tensor:
        vectors: Tensor = torch.linalg.eigh(self.matrix)[1].flip(-1)
        kept = torch.arange(vectors.shape[-1], device=count.device) < count.unsqueeze(-1)
        return vectors * kept.unsqueeze(-2)

    def music(self, steering: Tensor, count: Tensor) -> Tensor:
        basis = self.signal_subspace(count)
        return (steering - basis @ (basis.mH @ steering)).abs().square().sum(-2)

    def mvdr(self, steering: Tensor) -> Tensor:
        solved: Tensor = torch.linalg.solve(self.matrix, steering)
        return 1.0 / (steering.conj() * solved).sum(-2).real


@dataclass(frozen=True)
class Case:
    """Two covariances, either factored or dense, and what is asked of them."""

    one: Any
    other: Any
    steering: Tensor
    count: Tensor
    share: Tensor

    def dense(self) -> "Case":
        twins = Dense(matrix(self.one)), Dense(matrix(self.other))
        return Case(*twins, self.steering.to(torch.complex128), self.count, self.share)


def entries(covariance: FactoredCovariance | Dense) -> Tensor:
    return covariance.matrix if isinstance(covariance, Dense) else matrix(covariance)


def projector(basis: Tensor) -> Tensor:
    return basis @ basis.mH


OPERATIONS: dict[str, Callable[[Case], Tensor]] = {
    "trace": lambda case: case.one.trace(),
    "trace_normalize": lambda case: entries(case.one.trace_normalize()),
    "blend": lambda case: entries(case.one.blend(case.other, 0.3)),
    "blend per scene": lambda case: entries(case.one.blend(case.other, case.share)),
    "regularise": lambda case: entries(case.one.regularise(0.2)),
    "regularise per scene": lambda case: entries(case.one.regularise(case.share)),
    "squared_norm": lambda case: case.one.squared_norm(),
    "squared_distance": lambda case: case.one.squared_distance(case.other),
    "nmse": lambda case: case.one.nmse(case.other),
    "eigenvalues": lambda case: case.one.eigenvalues()[:, : int(case.count.max())],
    "signal_subspace": lambda case: projector(case.one.signal_subspace(case.count)),
    "music": lambda case: case.one.music(case.steering, case.count),
    "mvdr": lambda case: case.one.mvdr(case.steering),
    "slice": lambda case: entries(case.one[1:]),
}


def make_case(factor: Tensor, seed: int) -> Case:
    """A case around the factor (2, N, q), whose count falls into the widest gap of its spectrum."""
    _, elements, columns = factor.shape
    one = FactoredCovariance(factor, uniform(0.05, 0.5, 2, seed=seed).to(factor.real))
    samples = gaussian(2, elements, 3, seed=seed + 1).to(factor)
    other = FactoredCovariance(samples, uniform(0.05, 0.5, 2, seed=seed + 2).to(factor.real))
    spectrum = torch.linalg.eigvalsh(matrix(one)).flip(-1)
    gaps = spectrum[:, :-1] - spectrum[:, 1:]
    count = gaps[:, :columns].argmax(-1) + 1
    inside = factor.detach() @ gaussian(columns, 3, seed=seed + 4).to(factor)
    steering = torch.cat([inside, gaussian(2, elements, 4, seed=seed + 3).to(factor)], dim=-1)
    return Case(one, other, steering, count, uniform(0.1, 0.9, 2, seed=seed).to(factor.real))


def drawn_factor(elements: int, columns: int, seed: int, *, collapsed: bool) -> Tensor:
    """A random factor, on demand with a repeated column and a column of zeros."""
    factor = gaussian(2, elements, columns, seed=seed)
    if collapsed and columns > 2:
        factor[..., columns // 2] = 0.0
        factor[..., -1] = 0.5j * factor[..., 0]
    return factor


def deviation(operation: str, expected: Tensor, actual: Tensor) -> float:
    """Spectra in every point: mvdr in its own size, music in amplitude against |a|."""
    if operation == "mvdr":
        return worst(torch.ones_like(expected), actual.double() / expected)
    if operation == "music":
        return worst(expected.sqrt(), actual.double().sqrt())
    return worst(expected, actual)


def tolerance(operation: str, dtype: torch.dtype) -> float:
    """Single precision may lose a digit and a half in the difference that mvdr divides by."""
    if dtype == torch.complex128:
        return 1e-9
    return 1e-4 if operation == "mvdr" else 1e-5
