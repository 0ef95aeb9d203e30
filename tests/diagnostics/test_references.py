"""The references probe: what scores can reach."""

from functools import cache

import pytest
import torch

from risexp.diagnostics import references as probe
from risexp.diagnostics.probe_data import scenes_at
from risexp.diagnostics.references import COLUMNS, Columns, probe_references
from risexp.diagnostics.report import Rate, Report
from risexp.physics.signals import Symbols
from tests.diagnostics.reports import number, table
from tests.support.references import LAWS, refer, smoke

SCENES = 40


@cache
def probed(symbols: Symbols, *levels: float) -> Report:
    return probe_references(smoke(symbols), SCENES, levels)


def rates(report: Report, row: int) -> list[Rate]:
    return [cell for cell in table(report, "references").rows[row] if isinstance(cell, Rate)]


def with_columns(monkeypatch: pytest.MonkeyPatch, *shares: float) -> list[str]:
    """What is advised where every scene of two levels has these references."""
    found: Columns = {
        name: torch.full((2, 50), share).double()
        for name, share in zip(COLUMNS, shares, strict=True)
    }
    monkeypatch.setattr(probe, "reference_columns", lambda *_: found)
    return list(probe_references(smoke(), 50, (0.0, 10.0)).advice)


def test_every_level_shows_the_references_of_its_scenes() -> None:
    for symbols in LAWS:
        report = probed(symbols, 0.0, 15.0)

        means = refer(smoke(symbols), scenes_at(smoke(symbols), 15.0, SCENES)).means()
        assert ("references", "info") == (report.name, report.verdict), symbols
        assert ("SNR (dB)", *COLUMNS) == table(report, "references").headings, symbols
        assert 1 / 3 == number(report, "by chance"), symbols
        expected = [
            means.k_reference,
            means.k_bound,
            means.success_reference,
            means.success_true_count,
        ]
        assert pytest.approx(expected) == [rate.value for rate in rates(report, 1)], symbols


def test_the_mean_counts_a_scene_once_however_many_levels_it_is_seen_at() -> None:
    once, thrice = probed("frame", 10.0), probed("frame", 10.0, 10.0, 10.0)

    assert rates(once, 0) == rates(once, -1) == rates(thrice, -1)
    assert all(rate.low < rate.value < rate.high for rate in rates(once, -1)[2:])


def test_advice_follows_from_the_numbers() -> None:
    loud, faint = probed("frame", 60.0, 100.0), probed("frame", -20.0)

    assert "From 60 dB on counting is clear: k_reference is 0.9 or more." in loud.advice
    assert "At none of these levels is counting clear" in " ".join(faint.advice)
    assert f"the noise, {rates(faint, -1)[1].value:.3f} of these" in faint.advice[0]


def test_what_limits_success_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    by_locating = with_columns(monkeypatch, 0.8, 0.95, 0.4, 0.5)
    by_counting = with_columns(monkeypatch, 0.4, 0.95, 0.3, 0.7)

    assert "limited by locating more than by counting" in by_locating[2]
    assert "limited by counting more than by locating" in by_counting[2]
    assert "0.700" in by_counting[2]
