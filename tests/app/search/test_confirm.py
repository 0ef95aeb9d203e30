"""The best trials of a study under several seeds: begun once, gone on with, and told."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from pydantic import JsonValue

from risexp.app.search.confirm import ConfirmRequest, ConfirmResult, confirm
from risexp.errors import ConfigInvalid, InvalidInput, RisexpError
from risexp.hpo.store.address import embedded
from risexp.hpo.studies.facts import facts_from_spec, spec_from_facts
from risexp.hpo.studies.study import StudyPlan, open_study, study_names
from risexp.hpo.trials.trial_result import TrialResult
from risexp.space.study_spec import StudySpec
from tests.support.searches import past, tiny
from tests.support.studies import had
from tests.support.worker_pool import Employ, Hands, study, train
from tests.support.worker_processes import opened

LR, SEED = "training.optimizer.lr", "training.seed"
WANTED = ConfirmRequest(study="toy", name="sure", top=2, seeds=2, device="cpu", tracking="off")
CHEAP = {3e-3: 4.0, 1e-3: 2.0, 2e-3: 1.0, 4e-3: 3.0}
"""What the study `toy` tried, the base first, and what it scored."""


@pytest.fixture(autouse=True)
def toy(at_home: Path) -> None:
    """A study of two epochs a trial, where the preset says three."""
    del at_home
    fixed = {**tiny().fixed, "training.epochs": 2}
    searched_before("toy", StudySpec.of(tiny(fixed=fixed)), CHEAP)


def searched_before(name: str, given: StudySpec, scores: Mapping[float, float]) -> None:
    trials = [
        ({LR: rate}, [score], TrialResult("complete", "finished", score))
        for rate, score in scores.items()
    ]
    with opened(embedded()) as store:
        past(store, name, given, trials)


def by_rate(_: int, values: Mapping[str, JsonValue]) -> float:
    """In the order of the learning rates, and a little worse with every seed."""
    return 1000.0 * float(str(values[LR])) + 0.1 * int(str(values[SEED]))


def judge(crew: Hands) -> None:
    """Do the next trials, scored so."""
    crew.score = by_rate
    train(crew)


def confirmed(wanted: ConfirmRequest = WANTED) -> tuple[ConfirmResult, list[str]]:
    said: list[str] = []
    return confirm(wanted, lambda *_: None, said.append), said


def tried(found: ConfirmResult) -> list[tuple[object, object]]:
    return [(each.values[LR], each.values[SEED]) for each in found.searched.table.trials]


def test_the_base_and_the_best_are_trained_under_seeds_that_the_search_has_not_used(
    hands: Employ,
) -> None:
    hands(judge)

    found, said = confirmed()

    assert [(rate, seed) for seed in (1, 2) for rate in (3e-3, 2e-3, 1e-3)] == tried(found)
    assert ["complete"] * 6 == [each.state for each in found.searched.table.trials]
    assert [] == said
    with study("sure") as (_, ref):
        charter = spec_from_facts("sure", ref.facts)
    assert (3, 1, "none") == (found.epochs, charter.base.training.seed, charter.space.pruner.kind)
    assert 1 == charter.base.data.seed


def test_what_stays_ahead_is_told_beside_what_was_ahead(hands: Employ) -> None:
    hands(judge)

    found, _ = confirmed()

    told = found.confirmation
    assert [1, 2, 0] == [each.trial for each in told.candidates]
    assert [2, 1, 3] == [each.rank_before for each in told.candidates]
    assert [2.0, 1.0, 4.0] == [each.before for each in told.candidates]
    assert [1.15, 2.15, 3.15] == pytest.approx([each.mean for each in told.candidates])
    best = told.best
    assert best is not None
    assert best.difference is not None
    assert -2.0 == pytest.approx(best.difference.mean)
    assert (None, 2) == (told.agreement, told.pairs)
    assert "sure-002" == found.run_of(best) == found.as_json()["best_run"]
    assert found.as_json() == json.loads(json.dumps(found.as_json(), allow_nan=False))


def test_it_goes_on_where_it_was_whatever_became_of_the_study(hands: Employ) -> None:
    crews = hands(judge, leave)
    first, _ = confirmed()
    assert 1 == first.searched.table.done
    with opened(embedded()) as store:
        optuna.delete_study(study_name="toy", storage=store.storage)

    found, said = confirmed()

    assert [[0], [1, 2, 3, 4, 5]] == [crew.trained for crew in crews]
    assert [1] * 6 == [each.attempts for each in found.searched.table.trials]
    assert [(rate, seed) for seed in (1, 2) for rate in (3e-3, 2e-3, 1e-3)] == tried(found)
    assert {0: 4.0, 1: 2.0, 2: 1.0} == {
        each.trial: each.before for each in found.confirmation.candidates
    }
    assert [] == said


def leave(crew: Hands) -> None:
    crew.pids = ()


def test_better_trials_that_come_later_change_nothing(hands: Employ) -> None:
    hands(judge, leave)
    confirmed()
    with study() as (store, _):
        optuna.load_study(study_name="toy", storage=store.storage).add_trial(
            had(StudySpec.of(tiny()), {LR: 5e-3}, value=0.1)
        )

    found, _ = confirmed()

    assert 5e-3 not in [rate for rate, _ in tried(found)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"top": 3}, r"begun with --top 2 \(given: 3\): give --name another name"),
        ({"seeds": 3}, "--seeds 2"),
        ({"epochs": 5}, r"--epochs - \(given: 5\)"),
        ({"study": "toi"}, r"--study toy \(given: toi\)"),
    ],
)
def test_it_does_not_go_on_as_another_one(
    hands: Employ, change: dict[str, object], said: str
) -> None:
    hands(judge)
    confirmed()

    with pytest.raises(InvalidInput, match=said):
        confirmed(replace(WANTED, **change))  # type: ignore[arg-type]


def test_fewer_trials_than_were_asked_for_are_said(hands: Employ) -> None:
    hands(judge)

    found, said = confirmed(replace(WANTED, top=9))

    assert 4 == len(found.confirmation.candidates)
    assert ["study toy has 3 trials to confirm, not 9"] == said


def test_scenes_that_are_the_searchs_own_are_said(hands: Employ) -> None:
    hands(judge)
    space = tiny(forbid=[{"data.seed": 1, LR: 1e-3}])
    searched_before("held", StudySpec.of(space), CHEAP)

    found, said = confirmed(replace(WANTED, study="held"))

    assert 6 == found.searched.table.done
    (sentence,) = said
    assert sentence.startswith("data.seed is as in the search: space planted varies it, or asks")


def test_trials_that_still_wait_are_said(hands: Employ) -> None:
    hands(judge)
    with study() as (store, ref):
        charter = spec_from_facts("toy", ref.facts)
        open_study(store, StudyPlan("toy", 5, facts_from_spec(charter)))

    _, said = confirmed()

    assert ["study toy is not over: 1 of its trials are not considered"] == said


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"study": "toi"}, InvalidInput, "there is no study 'toi' in .*; did you mean toy"),
        ({"study": "new"}, InvalidInput, "study new has no complete trial beside its base"),
        ({"study": "long", "epochs": 2}, ConfigInvalid, "three"),
        ({"name": "a b"}, InvalidInput, "'a b' is no name of a study"),
        ({"device": "tpu"}, ConfigInvalid, "no device"),
    ],
)
def test_what_cannot_be_confirmed_begins_nothing(
    hands: Employ, change: dict[str, object], kind: type[RisexpError], said: str
) -> None:
    crews = hands()
    phases = {**tiny().fixed, "curriculum.phase": "three-phase"}
    searched_before("long", StudySpec.of(tiny(fixed=phases)), CHEAP)
    searched_before("new", StudySpec.of(tiny()), {3e-3: 1.0})

    with pytest.raises(kind, match=said):
        confirmed(replace(WANTED, **change))  # type: ignore[arg-type]

    assert [] == crews
    with opened(embedded()) as store:
        assert ["toy", "long", "new"] == study_names(store)


def test_the_name_of_a_search_is_not_taken(hands: Employ) -> None:
    hands()

    with pytest.raises(InvalidInput, match="study toy was begun with --study -"):
        confirmed(replace(WANTED, name="toy"))
