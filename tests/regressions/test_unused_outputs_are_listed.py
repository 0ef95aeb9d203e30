"""Museum 9: half of all parameters never got a gradient, as no term looked at their outputs."""

import pytest

from risexp.diagnostics.litmus import probe_litmus
from tests.support.references import smoke

BLIND = ("loss.cov=0", "loss.cov_pred=0", "loss.count=1", "loss.pointers=1")


@pytest.mark.parametrize(
    ("weightless", "listed"),
    [
        (("loss.count=0",), "count.mixture, count.spectral.0.weight, "),
        (("factors.kind=free", *BLIND), "factors.columns.weight"),
    ],
)
def test_what_no_term_with_a_weight_looks_at_is_listed(
    weightless: tuple[str, ...], listed: str
) -> None:
    report = probe_litmus(smoke("frame", "network.width=16", *weightless))

    assert "fail" == report.verdict
    assert f"No term that has a weight reaches {listed}" in report.advice[0]
