"""The mdl probe: whether eigenvalues show the number of sources."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from risexp.covariance.sampled import Criterion, order
from risexp.diagnostics.mdl import median_ranks, probe_mdl
from risexp.diagnostics.order_counts import OrderCounts, OrderRule
from risexp.diagnostics.probe_data import drawn
from risexp.diagnostics.report import Rate, Report, majority_share
from risexp.physics.signals import Symbols
from tests.diagnostics.reports import number, table
from tests.support.references import LAWS, smoke

SCENES = 100
LEVELS = (0.0, 20.0)


@cache
def probed(symbols: Symbols, rule: OrderRule = order) -> Report:
    return probe_mdl(smoke(symbols), SCENES, LEVELS, rule)


def all_knowing(_criterion: Criterion, _values: Tensor, _snapshots: int, _most: int) -> Tensor:
    return drawn(smoke(), SCENES).truth.count


def test_mdl_counts_ideal_data_and_no_covariance_of_the_configured_law() -> None:
    for symbols in LAWS:
        report = probed(symbols)

        majority = number(report, "always answering")
        rows = table(report, "K accuracy").rows
        assert ("mdl", "info") == (report.name, report.verdict), symbols
        assert number(report, "MDL on ideal data") > 0.95, symbols
        assert number(report, "MDL on these sources seen directly") > 0.95, symbols
        assert majority >= 1 / 3 == number(report, "by chance"), symbols
        assert ["0", "20", "mean"] == [row[0] for row in rows], symbols
        means = [cell for cell in rows[-1] if isinstance(cell, Rate)]
        assert [True] * 4 == [mean.low <= majority for mean in means], symbols
        assert 2 == sum(
            "does not let MDL or AIC count" in sentence for sentence in report.advice
        ), symbols
        assert "Give a count head y, H and the codes" in " ".join(report.advice), symbols
    for label, scenes in (("MDL on ideal data", SCENES), ("AIC per_snapshot", 2 * SCENES)):
        rows = table(probed("frame"), f"{label}: scenes").rows
        assert scenes == sum(cell for row in rows for cell in row[1:] if isinstance(cell, int))


def test_no_order_is_asked_of_the_one_eigenvalue_of_the_joint_covariance() -> None:
    held, fresh = probed("frame"), probed("snapshot")

    said = "The joint covariance has one eigenvalue for any K: no criterion can count from it."
    assert (True, False) == (said in held.advice, said in fresh.advice)
    assert ("joint", 1.0, 1.0, 1.0) == table(held, "effective rank").rows[2]
    assert ["received", "per_snapshot", "label"] == [
        row[0] for row in table(fresh, "effective rank").rows
    ]
    for report in (held, fresh):
        assert not any("joint" in heading for heading in table(report, "K accuracy").headings)


def test_without_noise_only_the_label_follows_the_count() -> None:
    config = smoke("frame", "physics.power=equal", "data.separation_deg=10")

    ranks = median_ranks(config, 300)

    assert pytest.approx([1.0, 2.0, 3.0], rel=0.1) == ranks["label"]
    assert pytest.approx([1.0, 1.0, 1.0]) == ranks["joint"]
    for name in ("received", "per_snapshot"):
        assert pytest.approx(ranks[name][0], rel=0.1) == ranks[name][2]


def test_a_count_without_scenes_has_no_rank_and_no_advice_from_it() -> None:
    config = smoke()
    one_scene = int(drawn(config, 1).truth.count[0])

    ranks = median_ranks(config, 1)["label"]
    report = probe_mdl(config, 1, (10.0,))

    assert [one_scene] == [count for count, rank in enumerate(ranks, 1) if not math.isnan(rank)]
    assert not any("effective rank of the received" in sentence for sentence in report.advice)


def test_what_would_show_the_count_is_said_to_show_it_where_there_is_one_to_show() -> None:
    report = probed("frame", all_knowing)

    assert "info" == report.verdict
    assert 2 == sum("shows something of K" in sentence for sentence in report.advice)
    assert "Give a count head" not in " ".join(report.advice)
    alone = probe_mdl(smoke("frame", "data.sources_max=1"), 20, LEVELS)
    assert ("info", 1.0) == (alone.verdict, number(alone, "always answering"))
    assert "nothing to count" in alone.advice[1]
    assert "Give a count head" not in " ".join(alone.advice)


def test_a_scene_seen_at_many_levels_counts_once() -> None:
    truth = torch.tensor([1, 2, 2, 3])
    answers = OrderCounts("mdl", "received", torch.tensor([[1, 2, 1, 1]] * 50), truth)

    assert Rate.of(torch.tensor([1.0, 1.0, 0.0, 0.0])) == answers.rate
    assert 0.5 == majority_share(answers.truth)
    assert "MDL received" == answers.label
