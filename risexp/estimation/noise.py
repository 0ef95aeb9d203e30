"""The noise power of a frame, by its SNR or from what no source can explain."""

import torch
from torch import Tensor

from risexp.data.frames import Frames
from risexp.errors import DataInvalid
from risexp.physics.signals import Symbols


def noise_power(frames: Frames, symbols: Symbols) -> Tensor:
    """sigma^2, (B,) float64; at least a trace of the frame's own power.

    With an SNR it is mean |y|^2 / (1 + SNR). Without, it is the energy of y outside the span of
    G = [H diag(c_l)]_l, of which no field on the panel explains anything; that takes L M > N.

    Raises:
        DataInvalid: No SNR is given and the measurements leave nothing unexplained.
    """
    if frames.snr_db is None and symbols == "snapshot":
        message = "fresh symbols leave no measurement free of signal: give snr_db with the frames"
        raise DataInvalid(message)
    samples = frames.y.shape[-2] * frames.y.shape[-1]
    energy = torch.view_as_real(frames.y).double().square().sum((-3, -2, -1))
    if frames.snr_db is not None:
        power = energy / (samples * (1.0 + torch.pow(10.0, frames.snr_db.double() / 10.0)))
    elif samples > frames.channel.shape[-1]:
        power = _outside(frames) / (samples - frames.channel.shape[-1])
    else:
        message = (
            f"{samples} samples of {frames.channel.shape[-1]} elements leave no noise to measure: "
            "give snr_db with the frames"
        )
        raise DataInvalid(message)
    return power.maximum(1e-9 * energy / samples).clamp(min=1e-30)


def snr_db_of(frames: Frames, symbols: Symbols) -> Tensor:
    """The SNR that came with the frames, or the one their noise power stands for, (B,)."""
    if frames.snr_db is not None:
        return frames.snr_db
    power = torch.view_as_real(frames.y).double().square().sum(-1).mean((-2, -1))
    noise = noise_power(frames, symbols)
    return (10.0 * (power / noise - 1.0).clamp(min=1e-3).log10()).to(frames.y.real.dtype)


def _outside(frames: Frames) -> Tensor:
    """|y|^2 - |projection of y on the span of G|^2, from the normal equations."""
    channel, codes = (x.to(torch.complex128) for x in (frames.channel, frames.codes))
    y = frames.y.to(torch.complex128)
    gram = (channel.mH @ channel) * (codes.mH @ codes)
    matched = (codes.conj() * (y @ channel.conj())).sum(-2)
    mean = gram.diagonal(dim1=-2, dim2=-1).real.mean(-1)[:, None, None]
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    root = torch.linalg.cholesky_ex(gram + (1e-12 * mean + 1e-30) * eye).L
    inside = torch.linalg.solve_triangular(root, matched.unsqueeze(-1), upper=False)
    energy = torch.view_as_real(y).square().sum((-3, -2, -1))
    return energy - torch.view_as_real(inside).square().sum((-3, -2, -1))
