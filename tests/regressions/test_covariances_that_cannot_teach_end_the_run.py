"""Museum 10 and 17: a covariance error of 1e25 or of 0, or without a gradient, and the run went on.

Planted in the parts of a whole run, so that each check is shown to be asked in one.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from risexp.covariance.effective import effective
from risexp.covariance.factored import FactoredCovariance
from risexp.loss.terms import TERMS
from risexp.runs.journal import Row, read_journal
from tests.support.short_runs import short_run

pytestmark = pytest.mark.usefixtures("own_home")


def scored_by(
    monkeypatch: pytest.MonkeyPatch, changed: Callable[[FactoredCovariance], FactoredCovariance]
) -> None:
    """Plant a change of the covariance that a network scores itself by."""
    monkeypatch.setattr(
        "risexp.model.network.effective",
        lambda *given, **named: changed(effective(*given, **named)),
    )


def normalised_twice(covariance: FactoredCovariance) -> FactoredCovariance:
    scale = float(covariance.elements)
    return replace(
        covariance, factor=covariance.factor * scale**0.5, diagonal=covariance.diagonal * scale
    )


def ended() -> tuple[tuple[str, int], str, tuple[Row, ...]]:
    """Reason and exit code of a short run, its sentence, and the rows of its journal."""
    run = short_run()
    end = run.outcome
    return (end.reason, end.exit_code), end.sentence, read_journal(run.folder.journal).rows


def test_a_blend_that_was_detached_ends_the_run_in_its_first_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored_by(monkeypatch, FactoredCovariance.detach)

    end, sentence, rows = ended()

    assert (("blend", 4), ()) == (end, rows)
    assert sentence.startswith("epoch 1: the effective covariance has no gradient")


def test_a_normalisation_that_was_doubled_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    scored_by(monkeypatch, normalised_twice)

    end, sentence, (row,) = ended()

    assert ("covariance", 4) == end
    assert "an NMSE under training lies between 0 and 100; look at how" in sentence
    assert 100.0 < row.values["loss/cov"]
    assert 1.0 == row.values["guard/covariance"]


def test_an_error_that_is_zero_whatever_is_answered_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swallowed = {**TERMS, "cov": lambda pair: 0.0 * TERMS["cov"](pair)}
    monkeypatch.setattr("risexp.loss.weighting.TERMS", swallowed)

    end, sentence, _ = ended()

    assert ("covariance", 4) == end
    assert sentence.startswith("epoch 1: cov is 0,")
