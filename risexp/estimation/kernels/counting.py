"""The count of one scene after its pursuit, as in `estimation.count_rule`."""

import math

import numpy as np

from risexp.estimation.kernels.compilation import kernel
from risexp.estimation.kernels.scene import Field
from risexp.estimation.kernels.solving import Doubles


@kernel
def log_direction_density(field: Field, u: float, v: float) -> float:
    """Log density over (u, v) of a direction uniform in both angles."""
    across = math.sqrt(1.0 - v * v)
    ahead = math.sqrt(max(1.0 - u * u - v * v, 1e-14))
    return -math.log(field.area) - math.log(max(ahead * across, 1e-3))


@kernel
def count_by_evidence(evidence: Doubles, hidden: Doubles, probabilities: Doubles) -> int:
    """The count of the largest P(K) + P(K and all seen); P(K) into `probabilities` (K,).

    `evidence` (K + 1,) is of 0 .. K_MAX sources, `hidden` (K,) the log odds of one more.
    """
    most = probabilities.size
    joint = np.full((most + 1, most), -np.inf)
    highest = -np.inf
    for seen in range(most + 1):
        for count in range(max(seen, 1), most + 1):
            ways = math.lgamma(count + 1) - math.lgamma(seen + 1) - math.lgamma(count - seen + 1)
            odds = (count - seen) * hidden[min(seen, most - 1)]
            joint[seen, count - 1] = evidence[seen] + odds + ways
            highest = max(highest, joint[seen, count - 1])
    total = 0.0
    for count in range(most):
        probabilities[count] = 0.0
        for seen in range(count + 2):
            joint[seen, count] = math.exp(joint[seen, count] - highest)
            probabilities[count] += joint[seen, count]
        total += probabilities[count]
    best, answer = -1.0, 1
    for count in range(most):
        probabilities[count] /= total
        score = probabilities[count] + joint[count + 1, count] / total
        if score > best:
            best, answer = score, count + 1
    return answer


@kernel
def count_by_price(profiles: Doubles, price: float, probabilities: Doubles) -> int:
    """The count of the largest profile less `price` a source; `profiles` (K + 1,) of 0 .. K_MAX."""
    best, answer, total = -np.inf, 1, 0.0
    for count in range(1, profiles.size):
        score = profiles[count] - price * count
        probabilities[count - 1] = score
        if score > best:
            best, answer = score, count
    for count in range(probabilities.size):
        probabilities[count] = math.exp(probabilities[count] - best)
        total += probabilities[count]
    for count in range(probabilities.size):
        probabilities[count] /= total
    return answer
