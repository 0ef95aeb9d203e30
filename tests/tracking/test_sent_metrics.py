from dataclasses import replace

from risexp.config.learning import LossWeights
from risexp.runs.journal import Row
from risexp.runs.metrics import KEYS
from risexp.tracking.sent_metrics import LIMIT, selected_keys, sent_values
from tests.support.recorded_runs import plan_of

TERMS = tuple(LossWeights.model_fields)
DERIVED = {"best/epoch", "val/k_acc_ratio", "val/success_ratio", "guard/nonfinite"}
"""Keys that no journal has."""


def test_the_keys_of_every_run_are_described_and_fit_a_page() -> None:
    keys = selected_keys([plan_of(1, weights=dict.fromkeys(TERMS, 1.0))])

    assert LIMIT == len(keys)
    assert {f"loss/{name}" for name in TERMS} < keys
    assert keys <= KEYS.keys() | DERIVED


def test_a_run_shows_the_terms_of_all_its_epochs_both_ways_and_its_guards() -> None:
    geometry = plan_of(1, "geometry", weights={"cov": 1.0, "count": 0.0})

    keys = selected_keys([geometry, replace(geometry, epoch=2, weights={"count": 1.0})])

    assert {"loss/cov", "loss/count", "weighted/cov", "weighted/count"} < keys
    assert {"guard/steps", "guard/loss", "sys/cpu", "sys/memory_mb"} < keys
    assert len(keys) <= LIMIT


def test_what_is_not_selected_stays_behind_and_the_rest_is_as_it_was() -> None:
    row = Row("run-1", 3, 1_000, {"beta": 0.1 + 0.2, "val/count_nll": 0.5, "lr/heads": 1.0})

    assert {"beta": 0.1 + 0.2} == sent_values(row, selected_keys([plan_of(1)]))


def test_ratios_to_what_the_data_allow_follow_from_the_row() -> None:
    values = {
        "val/k_acc": 0.6,
        "val/k_reference": 0.8,
        "val/success_rate": 0.1,
        "val/success_reference": 0.0,
        "best/k_loc": 3.0,
    }
    row = Row("run-1", 7, 1_000, values, {"val/range_rmse": "nan"})

    sent = sent_values(row, selected_keys([plan_of(1)]))

    derived = {key: value for key, value in sent.items() if key in DERIVED}
    assert {"val/k_acc_ratio": 0.6 / 0.8, "best/epoch": 7.0, "guard/nonfinite": 1.0} == derived
