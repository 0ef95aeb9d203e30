"""Labels as predictions: every loss term is zero, in any order of the slots."""

from dataclasses import replace
from itertools import product

from risexp.config.learning import CountKind, LabelPower
from risexp.config.run import RunConfig
from risexp.diagnostics.label_checks import (
    ALWAYS,
    LABELS_ARE_BEST,
    perfect_answer,
    slots_reversed,
    term_checks,
)
from risexp.diagnostics.probe_data import drawn
from risexp.loss.terms import TERMS
from risexp.training.objective import Objective
from tests.diagnostics.faults import IndexWise
from tests.support.references import LAWS, smoke

SCENES = 32


def checked(config: RunConfig) -> tuple[list[str], set[str]]:
    """The checks that fail, and the terms that were checked."""
    checks = term_checks(config, Objective.of(config), drawn(config, SCENES))
    labels = {check.label.split()[1] for check in checks if check.label.startswith("term ")}
    return [check.label for check in checks if not check.passed], labels


def test_no_term_says_anything_of_labels() -> None:
    powers: list[LabelPower] = ["linear", "compressed"]
    kinds: list[CountKind] = ["ordinal", "softmax", "slots"]
    for power, kind, symbols in product(powers, kinds, LAWS):
        config = smoke(
            symbols,
            f"count.kind={kind}",
            f"loss.label_power='{power}'",
            *(f"loss.{name}=0.5" for name in LABELS_ARE_BEST),
        )

        assert ([], set(LABELS_ARE_BEST)) == checked(config), (power, kind, symbols)


def test_the_terms_of_the_oracle_and_those_with_a_weight_are_asked_under_any_balance() -> None:
    weightless = smoke(
        "frame", "loss.existence=0", "loss.found=0", "loss.orthogonality=0.1", "loss.margin=0.1"
    )

    assert {*ALWAYS, "margin"} == checked(weightless)[1]
    assert set(LABELS_ARE_BEST) <= set(TERMS)
    assert [] == checked(smoke("frame", "loss.balance=uncertainty"))[0]


def test_slots_that_are_compared_by_their_index_are_told_by_another_order_alone() -> None:
    """Museum 36."""
    config = smoke()

    checks = term_checks(config, IndexWise.of(config), drawn(config, SCENES))

    (wrong,) = (check for check in checks if not check.passed)
    assert "terms that say something once the slots are in another order" == wrong.label
    assert "by pointers, existence, found:" in wrong.advice


def test_slots_are_turned_with_all_that_belongs_to_them() -> None:
    config = smoke("frame", "count.kind=slots")
    objective = Objective.of(config)
    scenes = drawn(config, 4)
    observation = replace(objective.observe, search_steps=None)(scenes.frames)

    answer = perfect_answer(config, objective, observation, scenes)
    reversed_ = slots_reversed(answer)

    assert (reversed_.count == answer.count).all()
    assert (reversed_.pointers.phi_rad[:, 0] == answer.pointers.phi_rad[:, -1]).all()
    assert (reversed_.angle_factor[..., 0] == answer.angle_factor[..., -1]).all()
    assert (reversed_.count_logits[:, 0] == answer.count_logits[:, -1]).all()
