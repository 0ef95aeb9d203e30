"""Museum 15: MDL answered one source, always, and for months the network was blamed.

Two causes hid each other: a product of 144 eigenvalues underflows, and under held symbols no
covariance in use shows the count. So the criterion is tried on ideal data first.
"""

import math

import pytest
import torch
from torch import Tensor

from risexp.covariance.sampled import Criterion
from risexp.diagnostics.mdl import probe_mdl
from risexp.diagnostics.report import Rate
from tests.diagnostics.reports import number, table
from tests.support.localisation import config_of

SCENES = 40
LEVELS = (0.0, 20.0)
CONFIG = config_of("physics.symbols=frame")


def product_of_eigenvalues(
    criterion: Criterion, eigenvalues: Tensor, snapshots: int, most: int
) -> Tensor:
    """The criterion as papers print it, with the product of the smallest eigenvalues."""
    scores = []
    for k in range(1, most + 1):
        tail = eigenvalues[:, k:]
        left = tail.shape[-1]
        likelihood = tail.prod(-1).pow(1.0 / left) / tail.mean(-1)
        misfit = -snapshots * left * likelihood.log()
        freedom = k * (2 * eigenvalues.shape[-1] - k)
        price = 0.5 * freedom * math.log(snapshots) if criterion == "mdl" else 1.0 * freedom
        scores.append(misfit + price)
    return torch.stack(scores, dim=-1).argmin(-1) + 1


def test_the_product_answers_one_source_on_ideal_data_and_fails_the_probe() -> None:
    """So it is the criterion that is found broken, before the data are blamed."""
    report = probe_mdl(CONFIG, SCENES, LEVELS, product_of_eigenvalues)

    answers = [row[1:] for row in table(report, "MDL on ideal data: scenes").rows]
    assert [[0] * 4] * 5 == [list(others) for _, *others in answers]
    assert "fail" == report.verdict
    assert ["the criterion itself is broken" in said for said in report.advice] == [True]


def test_on_held_symbols_a_sound_criterion_is_no_better_than_one_count_and_it_is_said() -> None:
    report = probe_mdl(CONFIG, SCENES, LEVELS)

    rates = [cell for cell in table(report, "K accuracy").rows[-1] if isinstance(cell, Rate)]
    said = " ".join(report.advice)
    assert "info" == report.verdict
    assert number(report, "MDL on ideal data") > 0.95
    assert max(rate.value for rate in rates) < 0.35
    for name in ("received", "per_snapshot"):
        assert f"The {name} covariance does not let MDL or AIC count" in said
        assert f"Even without noise the effective rank of the {name} covariance" in said
    assert "The joint covariance has one eigenvalue for any K" in said
    ranks = {row[0]: row[1:] for row in table(report, "effective rank").rows}
    assert pytest.approx([1.0] * 5) == list(ranks["joint"])
    for name, typical in (("received", 7.8), ("per_snapshot", 11.9)):
        assert pytest.approx([typical] * 5, rel=0.12) == list(ranks[name])
