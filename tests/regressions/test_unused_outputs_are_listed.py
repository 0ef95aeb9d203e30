"""Museum 9: half of all parameters never got a gradient, as no term looked at their outputs."""

import pytest

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.diagnostics.litmus import probe_litmus


def small(*overrides: str) -> RunConfig:
    return load_config(preset="smoke", overrides=overrides).config


@pytest.mark.parametrize(
    ("weightless", "listed"),
    [
        ("loss.count=0", "count.mixture, count.spectral.0.weight, "),
        ("loss.found=0", "found.0.weight, found.0.bias, found.2.weight, found.2.bias:"),
    ],
)
def test_the_head_of_a_term_without_weight_is_listed(weightless: str, listed: str) -> None:
    report = probe_litmus(small(weightless))

    assert "fail" == report.verdict
    assert f"No term that has a weight reaches {listed}" in report.advice[0]


def test_free_columns_that_no_term_looks_at_are_listed() -> None:
    blind = ("loss.cov=0", "loss.cov_pred=0", "loss.count=1", "loss.pointers=1")

    report = probe_litmus(small("factors.kind=free", *blind))

    assert "No term that has a weight reaches factors.columns.weight" in report.advice[0]


def test_with_every_output_in_use_nothing_is_listed() -> None:
    for overrides in ((), ("factors.kind=free",), ("count.kind=slots",)):
        assert "pass" == probe_litmus(small(*overrides)).verdict
