"""Times of methods, and of MUSIC on whole matrices: the yardstick of what factors save."""

from time import perf_counter

import torch
from torch import Tensor

from risexp.app.benchmark.methods import Method
from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Scenes
from risexp.estimation.grid import search_grid, summed_energy
from risexp.estimation.receiver_model import ReceiverModel
from risexp.evaluation.scene_scores import SceneScores, score_scenes

_ENTRIES = 64 * 144**2
"""Entries of the matrices of a batch: 64 scenes of a 12 x 12 panel."""
_BATCHES = 3
_SINGLE_CALLS = 10


def dense_null_spectrum(covariance: FactoredCovariance, count: Tensor, steering: Tensor) -> Tensor:
    """|a|^2 - |U_s^H a|^2 over the eigenvectors of the `count` largest eigenvalues, (B, G).

    The best that can be done with the matrices themselves: the signal subspace is the smaller one.

    R = F F^H + d I is formed; `count` is (B,) int, `steering` a (N, G) complex64.
    """
    matrix = covariance.dense()
    vectors = torch.linalg.eigh(matrix).eigenvectors
    most = int(count.max())
    kept = torch.arange(most, 0, -1, device=count.device) <= count.unsqueeze(-1)
    signal = vectors[..., -most:] * kept.unsqueeze(-2)
    rows = signal.mH.reshape(len(matrix) * most, -1)
    length = torch.view_as_real(steering).square().sum((0, -1))
    return length - summed_energy((rows @ steering).view(len(matrix), most, -1))


def dense_ms(config: RunConfig, scenes: Scenes) -> float:
    """Median milliseconds a scene of the dense null spectrum of a known covariance.

    Neither the covariance nor the search for peaks is timed, in favour of the dense form.
    """
    receiver = ReceiverModel.of(config)
    steering = search_grid(receiver.panel, receiver.view, scenes.frames.y.device).steering
    size = max(1, _ENTRIES // config.physics.elements**2)
    starts = range(0, min(len(scenes), _BATCHES * size), size)
    batches = [scenes[start : start + size] for start in starts]
    dense_null_spectrum(_seen(config, scenes[:1]), scenes.truth.count[:1], steering)
    times = sorted(_seconds(config, batch, steering) / len(batch) for batch in batches)
    return 1e3 * times[len(times) // 2]


def _seconds(config: RunConfig, scenes: Scenes, steering: Tensor) -> float:
    covariance = _seen(config, scenes)
    started = perf_counter()
    dense_null_spectrum(covariance, scenes.truth.count, steering)
    return perf_counter() - started


def _seen(config: RunConfig, scenes: Scenes) -> FactoredCovariance:
    """The effective covariance of what was measured."""
    frames, sampled = scenes.frames, config.sampled
    method = sampled.method_for(config.physics.symbols)
    samples = sampled_covariance(method, frames.y, frames.channel, frames.codes, sampled.ridge)
    snr_db = torch.zeros(len(scenes)) if frames.snr_db is None else frames.snr_db
    return effective(samples, snr_db, alpha_base=config.covariance.alpha_base)


def timed_scores(method: Method, scenes: Scenes) -> tuple[SceneScores, float]:
    """The scored answer, and the seconds the method took; scoring is not counted."""
    started = perf_counter()
    estimate = method(scenes)
    seconds = perf_counter() - started
    return score_scenes(estimate, scenes.truth), seconds


def single_ms(method: Method, scenes: Scenes, calls: int = _SINGLE_CALLS) -> float:
    """Milliseconds from the call to the answer of one scene, the median of some calls."""
    method(scenes[:1])
    places = (call % len(scenes) for call in range(calls))
    times = [timed_scores(method, scenes[place : place + 1])[1] for place in places]
    return 1e3 * sorted(times)[calls // 2]


def batch_ms(method: Method, scenes: Scenes, calls: int = 3) -> float:
    """Milliseconds a scene in one batch of them, the shortest of some calls."""
    method(scenes[:1])
    return 1e3 * min(timed_scores(method, scenes)[1] for _ in range(calls)) / len(scenes)
