"""A search that begins with the best trials of another study."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from risexp.app.search.search import SearchRequest, SearchResult, search
from risexp.errors import InvalidInput
from risexp.hpo.store.address import embedded
from risexp.hpo.studies.study import study_names
from risexp.hpo.trials.trial_result import TrialResult
from risexp.space.spec import SearchSpace
from risexp.space.study_spec import StudySpec
from tests.support.searches import BLINK, RATE, past, tiny
from tests.support.spaces import planted
from tests.support.studies import had
from tests.support.worker_pool import WANTED, Employ
from tests.support.worker_processes import opened

LR = "training.optimizer.lr"
FROM = replace(WANTED, sources=("wide",), points=2)
RATES = {3e-3: 1.5, 4e-3: 2.0, 2e-2: 1.0, 2e-3: 4.0, 5e-3: 3.0}
"""What `wide` tried and scored, its base first; trial 2 lies outside the space `tiny`."""


@pytest.fixture(autouse=True)
def wide(at_home: Path) -> None:
    """A study of five complete trials."""
    del at_home
    searched_before("wide", RATES)


def searched_before(name: str, scores: Mapping[float, float]) -> None:
    """A study of a trial of each learning rate, in this order."""
    trials = [
        ({LR: rate}, [score], TrialResult("complete", "finished", score))
        for rate, score in scores.items()
    ]
    with opened(embedded()) as store:
        past(store, name, StudySpec.of(over(1e-4, 1e-1)), trials)


def over(low: float, high: float, **more: object) -> SearchSpace:
    """`tiny` over other learning rates."""
    vary = {LR: {"kind": "log", "low": low, "high": high}}
    return planted(vary, base="smoke", fixed=dict(BLINK), pruner={"kind": "none"}, **more)


def searched(wanted: SearchRequest = FROM) -> tuple[SearchResult, list[str]]:
    said: list[str] = []
    return search(wanted, lambda *_: None, said.append), said


def rates(found: SearchResult) -> list[object]:
    return [each.values[LR] for each in found.table.trials]


def test_the_best_that_fit_come_right_after_trial_0(hands: Employ) -> None:
    crews = hands()

    found, said = searched()

    assert [0, 1, 2] == crews[0].trained
    assert [tiny().trial_zero().config.training.optimizer.lr, 4e-3, 5e-3] == rates(found)
    assert "points from study wide: trials 1, 4, the best first" in said
    assert f"trial 2 of wide is left out: {LR} = 0.02 lies outside [0.0001, 0.01]" in said
    assert "trial 0 and the points fill all 3 trials: more are drawn only with a" in said[-1]


def test_points_that_have_no_slot_are_said(hands: Employ) -> None:
    hands()

    found, said = searched(replace(FROM, trials=2))

    assert [4e-3] == rates(found)[1:]
    assert "1 of the points are tried only with --trials 3" in said


def test_what_the_other_study_had_set_is_tried_with_its_points(hands: Employ) -> None:
    hands()
    trials = [({LR: 2e-3}, [1.0], TrialResult("complete", "finished", 1.0))]
    with opened(embedded()) as store:
        past(store, "set", StudySpec.of(tiny(), overrides=["loss.cov=0.4"]), trials)
    both = {**RATE, "loss.cov": {"kind": "uniform", "low": 0.0, "high": 1.0}}
    space = planted(both, base="smoke", fixed=dict(BLINK), pruner={"kind": "none"})

    found, _ = searched(replace(FROM, sources=("set",), space=space))

    assert {LR: 2e-3, "loss.cov": 0.4} == found.table.trials[1].values


def test_it_goes_on_with_the_same_points_when_the_other_study_is_gone(hands: Employ) -> None:
    hands()
    searched(replace(FROM, trials=2))
    with opened(embedded()) as store:
        optuna.delete_study(study_name="wide", storage=store.storage)

    found, said = searched()

    assert [4e-3, 5e-3] == rates(found)[1:]
    assert [1] * 3 == [each.attempts for each in found.table.trials]
    assert not [sentence for sentence in said if "wide" in sentence]


def test_it_goes_on_with_the_same_points_when_the_other_study_has_better_ones(
    hands: Employ,
) -> None:
    hands()
    searched(replace(FROM, trials=2))
    with opened(embedded()) as store:
        optuna.load_study(study_name="wide", storage=store.storage).add_trial(
            had(StudySpec.of(tiny()), {LR: 6e-3}, value=0.5)
        )

    found, _ = searched(replace(FROM, trials=4))

    assert [4e-3, 5e-3] == rates(found)[1:3]
    assert 6e-3 not in rates(found)


@pytest.mark.parametrize("change", [{"sources": ()}, {"points": 3}, {"sources": ("wide", "wide")}])
def test_it_does_not_go_on_with_points_that_it_did_not_begin_with(
    hands: Employ, change: dict[str, object]
) -> None:
    hands()
    searched()

    with pytest.raises(InvalidInput, match="study toy was begun with --"):
        searched(replace(FROM, **change))  # type: ignore[arg-type]


def test_several_studies_give_their_points_one_after_the_other(hands: Employ) -> None:
    hands()
    searched_before("narrow", {3e-3: 2.0, 6e-3: 1.0})

    found, said = searched(replace(FROM, sources=("wide", "narrow"), points=1, trials=3))

    assert [4e-3, 6e-3] == rates(found)[1:]
    assert "points from study narrow: trials 1, the best first" in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("wyde", "there is no study 'wyde' in .*; did you mean wide?"),
        ("wide", "--from wide: none of its complete trials can be a point.*: trial 2: .* outside"),
    ],
)
def test_what_has_no_points_begins_no_study(
    hands: Employ, at_home: Path, source: str, said: str
) -> None:
    crews = hands()
    space = over(9e-4, 1e-3, start={LR: 1e-3})

    with pytest.raises(InvalidInput, match=said):
        searched(replace(FROM, sources=(source,), space=space))

    assert [] == crews
    with opened(embedded()) as store:
        assert ["wide"] == study_names(store)
    assert ["optuna.db"] == [each.name for each in (at_home / "mlruns").glob("*.db")]
