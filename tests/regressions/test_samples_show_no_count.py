"""Museum 15: MDL answered one source, always, and for months the network was blamed.

Two causes hid each other: a product of 144 eigenvalues underflows, and under held symbols no
covariance in use shows the count. So the criterion is tried on ideal data first.
"""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.covariance.sampled import Criterion, order
from risexp.diagnostics.mdl import median_ranks, probe_mdl
from risexp.diagnostics.order_counts import OrderRule, on_ideal_data
from risexp.diagnostics.report import Rate, Report, Table

SCENES = 60
LEVELS = (0.0, 20.0)


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


@cache
def held(*overrides: str) -> RunConfig:
    return load_config(overrides=("physics.symbols=frame", *overrides)).config


@cache
def probed(rule: OrderRule = order) -> Report:
    return probe_mdl(held(), SCENES, LEVELS, rule)


def table(report: Report, part: str) -> Table:
    (found,) = (each for each in report.evidence if isinstance(each, Table) and part in each.label)
    return found


def test_the_product_answers_one_source_on_ideal_data_and_the_logarithm_counts_them() -> None:
    by_product = on_ideal_data(held(), SCENES, product_of_eigenvalues)[0]
    by_logarithm = on_ideal_data(held(), SCENES, order)[0]

    assert {1} == set(by_product.counts.flatten().tolist())
    assert by_logarithm.rate.value > 0.95


def test_the_product_is_right_where_nothing_underflows() -> None:
    """So it is the underflow that is caught, and no other form of the criterion."""
    few = held("physics.elements_h=4", "physics.elements_v=4", "physics.power=equal")

    assert on_ideal_data(few, SCENES, product_of_eigenvalues)[0].rate.value > 0.95


def test_the_probe_fails_on_the_product_before_it_blames_the_data() -> None:
    report = probed(product_of_eigenvalues)

    assert "fail" == report.verdict
    assert ["the criterion itself is broken" in said for said in report.advice] == [True]


def test_on_held_symbols_a_sound_criterion_is_no_better_than_one_count_and_it_is_said() -> None:
    report = probed()

    rates = [cell for cell in table(report, "K accuracy").rows[-1] if isinstance(cell, Rate)]
    said = " ".join(report.advice)
    assert "info" == report.verdict
    assert max(rate.value for rate in rates) < 0.35
    for name in ("received", "per_snapshot"):
        assert f"The {name} covariance does not let MDL or AIC count" in said
        assert f"Even without noise the effective rank of the {name} covariance" in said
    assert "The joint covariance has one eigenvalue for any K" in said


def test_the_probe_reports_effective_ranks_that_do_not_follow_the_count() -> None:
    rows = {row[0]: row[1:] for row in table(probed(), "effective rank").rows}

    assert {"received", "per_snapshot", "joint", "label"} == set(rows)
    assert pytest.approx([1.0] * 5) == list(rows["joint"])
    for name, typical in (("received", 7.8), ("per_snapshot", 11.9)):
        assert pytest.approx([typical] * 5, rel=0.12) == list(rows[name])


def test_more_snapshots_do_not_cure_it() -> None:
    few, many = (median_ranks(held(f"physics.snapshots={count}"), SCENES) for count in (16, 48))

    for name in ("received", "per_snapshot"):
        for ranks in (few, many):
            assert pytest.approx(ranks[name][0], rel=0.2) == ranks[name][4]
