"""The compiled search behind the torch types; no copy is made of what was measured."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.core.signals import write_stderr
from risexp.data.frames import Frames
from risexp.estimation.descent import longest_steps
from risexp.estimation.grid import search_grid
from risexp.estimation.kernels.compilation import is_cached
from risexp.estimation.kernels.condense import LANES, planar
from risexp.estimation.kernels.localise import AnswerArrays, localise, quick_pursuits, refit
from risexp.estimation.kernels.music import music
from risexp.estimation.kernels.scene import Field, GridArrays, Law, Measured, Receiver
from risexp.estimation.kernels.search import QuickArrays
from risexp.estimation.kernels.waves import WAVEFRONTS, Array
from risexp.estimation.receiver_model import ReceiverModel, View
from risexp.physics.geometry import Panel

_CPU: Final = torch.device("cpu")
_SCENES: Final = 16
"""Scenes searched at once: they share each pass over the grid, and fit into a core's caches."""

Answers = tuple[Tensor, Tensor, Tensor]
"""Counts (B,) int64; probabilities (B, K_MAX); azimuth, elevation, range (3, B, K_MAX) float64."""


def quick_sources(
    receiver: ReceiverModel, frames: Frames, noise: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Find K_MAX sources in each scene by a greedy search of few steps.

    Returns:
        Points (B, K_MAX, 3), powers and their variances (B, K_MAX), misfits (B, K_MAX + 1) and
        noise (B,), as in `pursuit.QuickPursuit`.
    """
    known, measured, most = _receiver(receiver), _measured(frames, noise), receiver.view.sources_max
    scenes = len(frames)
    found = QuickArrays(
        np.empty((scenes, most, 3)),
        np.empty((scenes, most)),
        np.empty((scenes, most)),
        np.empty((scenes, most + 1)),
    )

    def search(part: slice) -> None:
        own = QuickArrays(*(array[part] for array in found))
        quick_pursuits(known, _part(measured, part), steps, own)

    _in_parts(scenes, search)
    points, powers, spread, misfit = (torch.from_numpy(array) for array in found)
    return points.float(), powers, spread, misfit, torch.from_numpy(measured.noise)


def localised(
    receiver: ReceiverModel, frames: Frames, noise: Tensor, price: float | None
) -> Answers:
    """Count and localise; `price` is what a source costs, or None for the evidence."""
    known, measured = _receiver(receiver), _measured(frames, noise)
    answers = _new_answers(len(frames), receiver.view.sources_max)

    def search(part: slice) -> None:
        own = _answers_of(answers, part)
        localise(known, _part(measured, part), -1.0 if price is None else price, own)

    _in_parts(len(frames), search)
    return _tensors(answers)


def refitted(
    receiver: ReceiverModel, frames: Frames, noise: Tensor, start: tuple[Tensor, Tensor], steps: int
) -> Tensor:
    """Move points downhill in the misfit; azimuth, elevation and range (3, B, K).

    `start` is the count (B,) of each scene and its points (B, K, 3); other slots become NaN.
    """
    known, measured = _receiver(receiver), _measured(frames, noise)
    points = start[1].double().contiguous().numpy()
    count = _counts(start[0], points.shape[1])
    answers = _new_answers(*points.shape[:2])._replace(counts=count)

    def fit(part: slice) -> None:
        refit(known, _part(measured, part), steps, points[part], _answers_of(answers, part))

    _in_parts(len(frames), fit)
    return _tensors(answers)[2]


def music_points(receiver: ReceiverModel, basis: Tensor, count: Tensor) -> Tensor:
    """Points (B, K_MAX, 3) float32 of the sources whose steering vectors span (B, N, q)."""
    known, columns = _receiver(receiver), basis.mT.resolve_conj().contiguous().numpy()
    counts, most = _counts(count, receiver.view.sources_max), receiver.view.sources_max
    points = np.zeros((len(counts), most, 3))
    _in_parts(len(counts), lambda part: music(known, columns[part], counts[part], points[part]))
    return torch.from_numpy(points).float()


def _counts(count: Tensor, most: int) -> NDArray[np.int64]:
    """Counts as the loops take them, which look at no bounds."""
    if len(count) and not 0 <= int(count.min()) <= int(count.max()) <= most:
        message = f"counts must be 0 to {most}"
        raise ValueError(message)
    return count.long().contiguous().numpy()


def _new_answers(scenes: int, most: int) -> AnswerArrays:
    counts = np.zeros(scenes, np.int64)
    return AnswerArrays(counts, np.zeros((scenes, most)), np.empty((scenes, 3, most)))


def _answers_of(answers: AnswerArrays, part: slice) -> AnswerArrays:
    return AnswerArrays(answers.counts[part], answers.probabilities[part], answers.slots[part])


def _tensors(answers: AnswerArrays) -> Answers:
    counts, probabilities, slots = (torch.from_numpy(array) for array in answers)
    return counts, probabilities, slots.movedim(1, 0)


def _measured(frames: Frames, noise: Tensor) -> Measured:
    """Frames as arrays that share their memory."""
    channel, codes, y = (
        part.detach().to(torch.complex64).resolve_conj().contiguous().numpy()
        for part in (frames.channel, frames.codes, frames.y)
    )
    own = codes if codes.ndim == 3 else codes[None]
    return Measured(channel, own, y, noise.detach().double().numpy().copy())


def _part(measured: Measured, part: slice) -> Measured:
    codes = measured.codes[part] if len(measured.codes) > 1 else measured.codes
    return Measured(measured.channel[part], codes, measured.y[part], measured.noise[part])


def _in_parts(scenes: int, work: Callable[[slice], None]) -> None:
    """Work on some scenes at a time, in as many threads as torch may use."""
    parts = [slice(start, min(start + _SCENES, scenes)) for start in range(0, scenes, _SCENES)]
    threads = min(torch.get_num_threads(), len(parts))
    if threads < 2:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))


@lru_cache(maxsize=8)
def _receiver(receiver: ReceiverModel) -> Receiver:
    if not is_cached():
        write_stderr("compiling the search, once for this version: this takes a minute or two")
    fades = receiver.power == "free_space"
    scale = float(receiver.mean_power(torch.ones((), dtype=torch.float64)))
    field = _field(receiver.panel, receiver.view)
    return Receiver(_array(receiver.panel), field, Law(scale, fades), _grid(receiver))


def _array(panel: Panel) -> Array:
    """The panel's elements, padded to whole vectors."""
    h, v = (_padded(offset.numpy()) for offset in panel.positions(torch.float32))
    weight = _padded(np.full(panel.elements, 1.0 / math.sqrt(panel.elements), np.float32))
    return Array(h, v, h * h + v * v, weight, 1.0 / panel.wavelength_m, WAVEFRONTS[panel.wavefront])


def _field(panel: Panel, view: View) -> Field:
    left, right = (math.sin(phi) for phi in view.phi_rad)
    reach, extent = longest_steps(panel, view, _CPU).numpy(), np.array(view.extent)
    return Field(left, right, *view.v, *view.rho, reach, extent, view.area, *view.range_m)


def _grid(receiver: ReceiverModel) -> GridArrays:
    grid = search_grid(receiver.panel, receiver.view, _CPU)
    steering = grid.steering.mT.contiguous().numpy()
    waves = np.zeros((len(steering), 2, _size(steering.shape[1])), np.float32)
    planar(steering, waves)
    cells = grid.places.numpy()
    owners = np.full(grid.inside.numel(), -1, np.int64)
    owners[cells] = np.arange(len(cells))
    points = grid.candidates.contiguous()
    expected = receiver.mean_power(points[:, 2].double().reciprocal()).float().numpy()
    prior = grid.prior.exp().float().numpy()
    return GridArrays(waves, points.numpy(), expected, prior, cells, owners.reshape(grid.shape))


def _padded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.pad(values, (0, _size(len(values)) - len(values)))


def _size(elements: int) -> int:
    return -(-elements // LANES) * LANES


def compile_all() -> None:
    """Compile what searches and localisers call; later processes find it on disk."""
    receiver = ReceiverModel.of(RunConfig())
    elements = receiver.panel.elements
    channel = torch.zeros(1, elements, elements, dtype=torch.complex64)
    codes, y = torch.ones(1, elements) + 0j, torch.ones(1, 1, elements) + 0j
    frames, noise = Frames(y, channel, codes, None), torch.ones(1, dtype=torch.float64)
    points, count = torch.zeros(1, 5, 3), torch.ones(1, dtype=torch.int64)
    quick_sources(receiver, frames, noise, 1)
    localised(receiver, frames, noise, None)
    refitted(receiver, frames, noise, (count, points), 1)
    music_points(receiver, channel[..., :5].contiguous(), count)


if __name__ == "__main__":
    compile_all()
