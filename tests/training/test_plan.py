"""One epoch's plan: plain values that survive being written down."""

import json
from typing import Any

import pytest

from risexp.errors import DataInvalid
from risexp.training.curriculum import curriculum
from risexp.training.plan import Plan
from tests.support.trainers import small_config

SOME = Plan(
    epoch=7,
    phase="count",
    beta=0.1 + 0.2,
    weights={"cov": 0.1, "count": 1.5, "margin": 0.0},
    rates={"backbone": 0.0, "heads": 1.0},
    judged=True,
)


def test_plans_survive_json_bit_for_bit() -> None:
    config = small_config(curriculum__phase="three-phase", training__epochs=9, beta__jitter=0.1)
    plans = (SOME, *curriculum(config))

    assert plans == tuple(Plan.from_json(json.loads(json.dumps(each.as_json()))) for each in plans)


def test_a_part_at_rate_zero_is_frozen_and_a_term_of_weight_zero_is_not_active() -> None:
    assert ("backbone",) == SOME.frozen
    assert {"cov": 0.1, "count": 1.5} == SOME.active


def test_what_is_no_plan_is_refused_by_its_field() -> None:
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"phase": "warm"}, "phase"),
        ({"epoch": "7"}, "epoch"),
        ({"beta": float("nan")}, "beta"),
        ({"weights": {"cov": None}}, "weights"),
        ({"rates": {"neck": 1.0}}, "rates"),
        ({"temperature": 1.0}, "temperature"),
    )
    for change, said in changes:
        with pytest.raises(DataInvalid, match=said):
            Plan.from_json(SOME.as_json() | change)
