"""The best any receiver could count, were it told where to look.

A genie names K_MAX candidate positions in order, the true ones first, and the noise power. Gains
are Gaussian, so under the first k candidates a look is CN(0, sigma^2 (I + V_k V_k^H)) with
V = B diag(amplitude) / sigma, and with the Cholesky factor L of I + V^H V, whose leading blocks
are the factors of the leading blocks,

    ln p(y | k) = const + sum_{j <= k} [ |(L^-1 V^H y / sigma)_j|^2 - 2 ln L_jj ].

Candidates come from one law whatever K is and say nothing about it, so under a uniform prior the
argmax is Bayes-optimal, and no receiver that is told less is right more often in the mean. (One
that is told the SNR knows the clean power as well; that adds .004 at -5..0 dB, nothing above.)
It is an approximation where gains are not Gaussian, under the power law `equal`, and where
`separation_deg` keeps the true sources, but not the dummies, apart.
"""

import torch
from torch import Tensor


def likeliest_count(
    response: Tensor, measured: Tensor, powers: Tensor, noise_power: Tensor
) -> Tensor:
    """The count of greatest evidence, (B,) int64 in 1 .. K_MAX."""
    return count_evidence(response, measured, powers, noise_power).argmax(-1) + 1


def count_evidence(
    response: Tensor, measured: Tensor, powers: Tensor, noise_power: Tensor
) -> Tensor:
    """Log-evidence of k = 1 .. K_MAX, less what all of them share, (B, K_MAX) float64.

    Args:
        response: Of the candidates, in the order in which they are counted, (B, T, S, K_MAX).
        measured: (B, T, S) complex.
        powers: Mean power of each candidate's gain, (B, K_MAX) real.
        noise_power: sigma^2, (B,) real.
    """
    noise = noise_power.double()[:, None, None, None]
    seen = response * (powers.double()[:, None, None, :] / noise).sqrt()
    eye = torch.eye(seen.shape[-1], dtype=seen.dtype, device=seen.device)
    root = torch.linalg.cholesky(seen.mH @ seen + eye)
    matched = seen.mH @ (measured.unsqueeze(-1) / noise.sqrt())
    fit = torch.linalg.solve_triangular(root, matched, upper=False).squeeze(-1)
    logs = root.diagonal(dim1=-2, dim2=-1).real.log()
    evidence: Tensor = (fit.abs().square() - 2.0 * logs).sum(1).cumsum(-1)
    return evidence
