"""The error of a count head, by what its logits mean.

    ordinal    mean over t of w_t BCE(l_t, 1[K > t]), t = 1 .. K_MAX - 1
    slots      mean over s of w_s BCE(l_s, 1[slot s answers a source])
    softmax    KL(q, softmax(l_k + log w_k)), q = (1 - smoothing) 1[k = K] + smoothing / K_MAX

The weight w is `under_weight` where a miss counts too few, `over_weight` where it counts too many.
In all three it multiplies the odds of that mistake. The softmax form is the cost-augmented cross
entropy (K. Gimpel, N. A. Smith, Softmax-margin CRFs, NAACL 2010): without smoothing it is

    log(1 + (under P(k < K) + over P(k > K)) / P(K))

and the entropy of a smoothed label is taken off, so that every form has its least value at zero.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, kl_div

from risexp.loss.prediction_pair import PredictionPair
from risexp.loss.settings import TermSettings


def count_error(guess: PredictionPair) -> Tensor:
    """Of the head's logits against the true counts, (B,); zero for sure and right ones."""
    logits, target = guess.prediction.count_logits, guess.target
    match guess.prediction.count_law.kind:
        case "ordinal":
            wanted = steps_passed(target.count, logits.shape[-1])
            return _binary_error(logits, wanted, guess.settings)
        case "slots":
            return _binary_error(logits, guess.filled, guess.settings)
        case "softmax":
            # The entropy that is taken off cancels: in single precision errors would be negative.
            label = smoothed_label(target.count, logits.shape[-1], guess.settings.smoothing)
            tilted = logits.double() + log_costs(target.count, logits.shape[-1], guess.settings)
            return kl_div(tilted.log_softmax(-1), label, reduction="none").sum(-1)


def steps_passed(count: Tensor, steps: int) -> Tensor:
    """1[K > t] for t = 1 .. steps, (B, steps) bool."""
    return count.unsqueeze(-1) > torch.arange(1, steps + 1, device=count.device)


def smoothed_label(count: Tensor, classes: int, smoothing: float) -> Tensor:
    """The probabilities a softmax head is taught, (B, classes) float64."""
    right = _of_classes(count, classes) == 0
    return (1.0 - smoothing) * right.double() + smoothing / classes


def log_costs(count: Tensor, classes: int, settings: TermSettings) -> Tensor:
    """What is added to each class's logit before it is compared, (B, classes); zero for K."""
    off = _of_classes(count, classes)
    under = math.log(settings.under_weight) * (off < 0)
    return under + math.log(settings.over_weight) * (off > 0)


def _of_classes(count: Tensor, classes: int) -> Tensor:
    """Class minus true count, (B, classes)."""
    return torch.arange(1, classes + 1, device=count.device) - count.unsqueeze(-1)


def _binary_error(logits: Tensor, wanted: Tensor, settings: TermSettings) -> Tensor:
    """Weighted cross entropy averaged over the columns; a panel of one source has no steps."""
    weight = torch.where(wanted, settings.under_weight, settings.over_weight).to(logits.dtype)
    error = binary_cross_entropy_with_logits(
        logits, wanted.to(logits.dtype), weight, reduction="none"
    )
    return error.sum(-1) / max(logits.shape[-1], 1)
