"""References for the count: is every source detectable, and what would an ideal receiver count?

`detectable` asks whether a scene's weakest source passes BIC at the true positions. P projects out
the responses of the other sources, and m = L M is the number of samples.

`frame`: leaving out source k of response b_k and gain g_k costs twice the log-likelihood
2 |P b_k g_k|^2 / sigma^2; BIC charges five real parameters, so k is detectable where

    |P b_k g_k|^2 / sigma^2 > (5/2) ln(2 m).

`snapshot`: the same projection in every snapshot l. With q_l = p_k |P_l b_kl|^2 / sigma^2 of the
power p_k and e_l = |P_l b_kl g_kl|^2 / sigma^2 of the symbol that was sent, P_l y_l has the
covariance sigma^2 P_l with or without p_k P_l b_kl b_kl^H P_l. The expectation over the noise of
twice the log of their likelihood ratio is charged with four real parameters:

    2 sum_l [q_l (1 + e_l) / (1 + q_l) - ln(1 + q_l)] > 4 ln(2 m).

Averaged over Gaussian symbols (e_l -> q_l) the left side is twice a Kullback-Leibler divergence.
Projected data hold no more of it than the whole, so this falls short of what refitting the other
powers would leave; with K > M nothing is detectable.

`count_evidence` is greatest at the best count of any receiver that knew where to look. It is given
K_MAX candidate positions in order, the true ones first, and the noise power. Gains are Gaussian, so
under the first k candidates a look is CN(0, sigma^2 (I + V_k V_k^H)) with
V = B diag(amplitude) / sigma, and with the Cholesky factor L of I + V^H V, whose leading blocks
are the factors of the leading blocks,

    ln p(y | k) = const + sum_{j <= k} [ |(L^-1 V^H y / sigma)_j|^2 - 2 ln L_jj ].

Candidates come from one law for all K, so under a uniform prior the argmax is Bayes-optimal: no
receiver that knows less is right more often in the mean. (A receiver that knows the SNR knows the
clean power as well; that adds .004 at -5..0 dB, nothing above.) It is an approximation where gains
are not Gaussian, under the power law `equal`, and where `separation_deg` keeps the true sources,
but not the dummies, apart.
"""

import math

import torch
from torch import Tensor

from risexp.data.frames import Truth
from risexp.physics.signals import Symbols


def detectable(symbols: Symbols, response: Tensor, truth: Truth) -> Tensor:
    """Whether every source of a scene stands out, (B,) bool.

    `response` (B, T, S, K_MAX) is of the candidates, the true sources first.
    """
    samples = response.shape[1] * response.shape[2]
    freedom = 5.0 if symbols == "frame" else 4.0
    stands_out = likelihood_gain(symbols, response, truth) > freedom * math.log(2 * samples)
    return (stands_out | ~truth.present).all(-1)


def likelihood_gain(symbols: Symbols, response: Tensor, truth: Truth) -> Tensor:
    """Twice the expected log-likelihood that each source is worth, (B, K_MAX); absent zero."""
    unit = residual_energy(response, truth.present) / truth.noise_power.double()[:, None, None]
    sent = unit * truth.gains.abs().double().square()
    if symbols == "frame":
        return 2.0 * sent.sum(1)
    mean = unit * truth.powers.double().unsqueeze(1)
    return 2.0 * (mean * (1.0 + sent) / (1.0 + mean) - mean.log1p()).sum(1)


def residual_energy(response: Tensor, present: Tensor) -> Tensor:
    """|P b_k|^2, what is left of each response once the other sources' are projected out.

    It is the inverse of a diagonal entry of the inverse Gram matrix, (B, T, K) of responses
    (B, T, S, K); 1 for an absent column, and zero throughout a look whose responses depend on one
    another.
    """
    columns = response * present[:, None, None, :]
    absent = torch.diag_embed((~present).to(columns.dtype)).unsqueeze(1)
    root, failed = torch.linalg.cholesky_ex(columns.mH @ columns + absent)
    dependent = (failed > 0)[..., None, None]
    eye = torch.eye(root.shape[-1], dtype=root.dtype, device=root.device).expand_as(root)
    inverse = torch.linalg.solve_triangular(root.where(~dependent, eye), eye, upper=False)
    energy: Tensor = inverse.abs().square().sum(-2).reciprocal()
    return energy.where(~dependent.squeeze(-1), 0.0)


def count_evidence(
    response: Tensor, measured: Tensor, powers: Tensor, noise_power: Tensor
) -> Tensor:
    """Log-evidence of k = 1 .. K_MAX, less what all of them share, (B, K_MAX) float64.

    `response` (B, T, S, K_MAX) and the mean `powers` (B, K_MAX) of the gains are of the candidates
    in the order in which they are counted; `measured` is (B, T, S).
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
