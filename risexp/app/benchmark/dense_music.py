"""MUSIC as it is without factors: whole matrices, the yardstick of what the factored form saves."""

from time import perf_counter

import torch
from torch import Tensor

from risexp.config.run import RunConfig
from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.covariance.sampled import sampled_covariance
from risexp.data.frames import Scenes
from risexp.estimation.grid import search_grid, summed_energy
from risexp.estimation.receiver_model import ReceiverModel

_ENTRIES = 64 * 144**2
"""Entries of the matrices of a batch: 64 scenes of a 12 x 12 panel."""
_BATCHES = 3


def dense_null_spectrum(covariance: FactoredCovariance, count: Tensor, steering: Tensor) -> Tensor:
    """|a|^2 - |U_s^H a|^2 over the eigenvectors of the `count` largest eigenvalues, (B, G).

    The best that can be done with the matrices themselves: the signal subspace is the smaller one.

    Args:
        covariance: B scenes; R = F F^H + d I is formed.
        count: (B,) int.
        steering: a, (N, G) complex64.
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
    """Milliseconds a scene of the dense null spectrum, from a given covariance on; a median.

    The covariance itself and the search for peaks are left out, in favour of the dense form.
    """
    setting = ReceiverModel.of(config)
    steering = search_grid(setting.panel, setting.view, scenes.frames.y.device).steering
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
