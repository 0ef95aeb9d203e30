"""Factored against dense covariances in one run, on one thread: cost, error, and growth with N.

The factors are physical: a perturbed truth, a weak clutter of free columns, and the sampled
covariance of the same scenes, blended and regularised as everywhere else, so q = 26. Both sides
start from the factors, because that is what a network answers and what samples are. The dense side
is complex64 like the factors; errors are taken against a dense complex128 computation.

    python benchmarks/covariance.py [--sizes 144,1024] [--json]
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from dense_twins import dense, dense_mvdr, dense_nmse, tight_nmse
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Scenes
from risexp.data.scenes import SceneGenerator, source_steering
from risexp.physics.geometry import Panel, direction_cosines
from risexp.physics.steering import steering_vector

BATCH = 64
LARGE_BATCH = 8
"""Scenes on larger panels, where 64 dense matrices would fill the memory."""
RANK = 26
GRID = (61, 41)
BETA = 0.3


@dataclass(frozen=True)
class Problem:
    """Covariances of some scenes, their label, and a grid that passes through true sources."""

    estimate: FactoredCovariance
    label: FactoredCovariance
    steering: Tensor
    """(N, G) complex64"""
    near: Tensor
    """(N, 441) complex64, round the first scene's first source"""


def problem(elements: int, batch: int) -> Problem:
    """Scenes of a square panel of about `elements` elements, measured by about 2 N equations."""
    side = round(math.sqrt(elements))
    antennas = 16 if elements <= 144 else math.ceil(2 * elements / 16)
    panel = {"physics.elements_h": side, "physics.elements_v": side}
    config = RunConfig().replace(panel | {"physics.antennas": antennas})
    generator = SceneGenerator(config.physics, config.data)
    scenes = generator.scenes("train", 0, batch)
    snr_db = scenes.frames.snr_db
    if snr_db is None:
        raise SystemExit("the generator labels every scene")
    predicted, label = _predicted(generator.panel, scenes), _label(generator.panel, scenes)
    frames = scenes.frames
    sampled = sampled_covariance("per_snapshot", frames.y, frames.channel, frames.codes, 1e-3)
    estimate = effective(predicted, snr_db, sampled, BETA)
    if estimate.factor.shape[-1] != RANK:
        raise SystemExit(f"q is {estimate.factor.shape[-1]}, not {RANK}")
    grid, near = _grid(generator.panel, scenes), _near(generator.panel, scenes)
    return Problem(estimate, effective(label, snr_db), grid, near)


def _label(panel: Panel, scenes: Scenes) -> FactoredCovariance:
    return FactoredCovariance.from_sources(
        source_steering(panel, scenes.truth), scenes.truth.powers
    )


def _predicted(panel: Panel, scenes: Scenes) -> FactoredCovariance:
    """Ten columns: the truth, off by a tenth, and five of clutter a hundred times weaker."""
    truth = _label(panel, scenes).factor
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(2, *truth.shape, dtype=truth.dtype, generator=generator)
    scale = truth.abs().square().sum((-2, -1), keepdim=True).sqrt() / math.sqrt(truth[0].numel())
    columns = [truth + 0.1 * scale * noise[0], 0.1 * scale * noise[1]]
    return FactoredCovariance.from_factor(torch.cat(columns, dim=-1))


def _grid(panel: Panel, scenes: Scenes) -> Tensor:
    """61 x 41 directions at 5 m; the first few are the true sources of the first scene."""
    u, v = torch.meshgrid(
        torch.linspace(-0.87, 0.87, GRID[0]), torch.linspace(-0.5, 0.5, GRID[1]), indexing="ij"
    )
    steering = steering_vector(panel, u.flatten(), v.flatten(), torch.full((u.numel(),), 0.2))
    sources = int(scenes.truth.count[0])
    steering[:sources] = source_steering(panel, scenes.truth)[0, :sources]
    return steering.mT.contiguous()


def _near(panel: Panel, scenes: Scenes) -> Tensor:
    """21 x 21 directions within a degree of a true source, at its range."""
    truth = scenes.truth
    u, v = direction_cosines(truth.phi_rad[0, 0], truth.theta_rad[0, 0])
    offsets = torch.linspace(-0.017, 0.017, 21)
    grid_u, grid_v = torch.meshgrid(u.float() + offsets, v.float() + offsets, indexing="ij")
    rho = torch.full((441,), float(1.0 / truth.range_m[0, 0]))
    return steering_vector(panel, grid_u.flatten(), grid_v.flatten(), rho).mT.contiguous()


def backward(factor: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Gradient of a loss with respect to the factor."""
    leaf = factor.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    return gradient


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    """Median of several runs after one that does not count."""
    work()
    spent = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return 1e3 * statistics.median(spent)


def worst(found: Tensor, exact: Tensor) -> float:
    """Largest relative error, element by element."""
    return float(((found.double() - exact).abs() / exact.abs()).max())


def compare(
    ours: Callable[[], Tensor],
    theirs: Callable[[], Tensor],
    error: Callable[[Tensor], float],
    rounds: int,
) -> dict[str, float]:
    """Both timed in turn, and the errors of both."""
    factored_ms, dense_ms = milliseconds(ours, rounds), milliseconds(theirs, max(rounds // 3, 1))
    return {
        "ratio": round(dense_ms / factored_ms, 2),
        "error": error(ours()),
        "dense_error": error(theirs()),
        "factored_ms": round(factored_ms, 3),
        "dense_ms": round(dense_ms, 3),
    }


def eigenvalues(given: Problem, rounds: int) -> dict[str, float]:
    """`eigvalsh` of the q x q Gram matrix against `eigvalsh` of the matrix."""
    estimate = given.estimate
    exact = torch.linalg.eigvalsh(dense(estimate, torch.complex128)).flip(-1)[:, :RANK]
    return compare(
        estimate.eigenvalues,
        lambda: torch.linalg.eigvalsh(dense(estimate)).flip(-1)[:, :RANK],
        lambda found: worst(found, exact),
        rounds,
    )


def eigenvalues_backward(given: Problem, rounds: int) -> dict[str, float]:
    """The mean log eigenvalue and its gradient; errors relative to the largest gradient."""
    factor, diagonal = given.estimate.factor, given.estimate.diagonal

    def ours(leaf: Tensor) -> Tensor:
        return FactoredCovariance(leaf, diagonal).eigenvalues().log().mean()

    def theirs(leaf: Tensor) -> Tensor:
        matrix = dense(FactoredCovariance(leaf, diagonal), leaf.dtype)
        values: Tensor = torch.linalg.eigvalsh(matrix)
        return values[:, -RANK:].log().mean()

    exact = backward(factor.to(torch.complex128), theirs)

    def error(found: Tensor) -> float:
        return float((found - exact).abs().max() / exact.abs().max())

    return compare(lambda: backward(factor, ours), lambda: backward(factor, theirs), error, rounds)


def mvdr(given: Problem, rounds: int) -> dict[str, float]:
    """Capon spectrum on 61 x 41 points, true sources among them."""
    figures = _spectra(given.estimate, given.steering, rounds)

    def by_inverse() -> Tensor:
        solved: Tensor = torch.linalg.inv(dense(given.estimate)) @ given.steering
        return (solved * given.steering.conj()).sum(-2).real.reciprocal()

    other_ms = milliseconds(by_inverse, 1)
    return figures | {"ratio_to_explicit_inverse": round(other_ms / figures["factored_ms"], 2)}


def mvdr_near_sources(given: Problem, rounds: int) -> dict[str, float]:
    """Capon spectrum on 441 points within a degree of a true source: nearly all of them cancel."""
    return _spectra(given.label, given.near, rounds)


def _spectra(estimate: FactoredCovariance, steering: Tensor, rounds: int) -> dict[str, float]:
    exact = dense_mvdr(dense(estimate, torch.complex128), steering.to(torch.complex128))
    return compare(
        lambda: estimate.mvdr(steering),
        lambda: dense_mvdr(dense(estimate), steering),
        lambda found: worst(found, exact),
        rounds,
    )


def nmse(given: Problem, rounds: int) -> dict[str, float]:
    """Normalised squared distance to the label."""
    estimate, label = given.estimate, given.label
    exact = dense_nmse(dense(estimate, torch.complex128), dense(label, torch.complex128))
    figures = compare(
        lambda: estimate.nmse(label),
        lambda: dense_nmse(dense(estimate), dense(label)),
        lambda found: worst(found, exact),
        rounds,
    )
    other_ms = milliseconds(lambda: tight_nmse(dense(estimate), dense(label)), rounds)
    return figures | {"ratio_to_tightest_dense": round(other_ms / figures["factored_ms"], 2)}


OPERATIONS = {
    "eigenvalues": eigenvalues,
    "eigenvalues_backward": eigenvalues_backward,
    "mvdr": mvdr,
    "mvdr_near_sources": mvdr_near_sources,
    "nmse": nmse,
}


def growth(sizes: tuple[int, ...] = (144, 576, 1024)) -> dict[str, dict[str, float]]:
    """Cost of each operation on larger panels over its cost at the smallest."""
    costs = {}
    for size in sizes:
        given = problem(size, BATCH)
        costs[size] = {
            "eigenvalues": milliseconds(given.estimate.eigenvalues, 9),
            "mvdr": milliseconds(partial(given.estimate.mvdr, given.steering), 3),
            "nmse": milliseconds(partial(given.estimate.nmse, given.label), 9),
        }
    first = costs[sizes[0]]
    return {
        str(size): {name: round(cost / first[name], 2) for name, cost in costs[size].items()}
        for size in sizes
    }


def main() -> None:
    """Measure, then say it as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="144,1024", help="numbers of elements, e.g. 144,1024")
    parser.add_argument("--rounds", type=int, default=15, help="timed runs of the factored side")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for size in map(int, asked.sizes.split(",")):
        batch, rounds = (BATCH, asked.rounds) if size <= 144 else (LARGE_BATCH, 3)
        given = problem(size, batch)
        figures[str(size)] = {name: run(given, rounds) for name, run in OPERATIONS.items()}
        if not asked.json:
            _say(size, batch, figures[str(size)])
    grown = growth()
    if asked.json:
        print(json.dumps(figures | {"growth": grown}, indent=2))
    else:
        print(f"factored cost over N, batch {BATCH}, as multiples of N = 144: {json.dumps(grown)}")


def _say(size: int, batch: int, measured: dict[str, dict[str, float]]) -> None:
    print(f"N = {size}, batch {batch}, q = {RANK}, one thread")
    for name, row in measured.items():
        extra = {key: value for key, value in row.items() if key.startswith("ratio_")}
        print(
            f"  {name:21s} dense {row['dense_ms']:9.2f} ms  factored {row['factored_ms']:8.2f} ms"
            f"  ratio {row['ratio']:6.1f}x  error {row['error']:.1e}"
            f" (dense {row['dense_error']:.1e})"
            + "".join(f"  {key} {value}" for key, value in extra.items())
        )


if __name__ == "__main__":
    main()
