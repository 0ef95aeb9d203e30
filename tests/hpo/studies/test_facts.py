"""A study's charter among its facts, and its trials as plain values."""

import json

import pytest
from optuna.trial import TrialState, create_trial

from risexp.errors import DataInvalid
from risexp.hpo.search.parameters import ended_trials
from risexp.hpo.studies.facts import facts_from_spec, spec_from_facts
from risexp.space.shrink import Ended
from risexp.space.study_spec import StudySpec
from tests.support.spaces import charter, learning
from tests.support.studies import had


def test_whoever_joins_a_study_finds_its_charter_among_the_facts() -> None:
    written = StudySpec.of(learning(sampler={"kind": "gp", "startup": 3}), epochs=4)

    facts = json.loads(json.dumps(facts_from_spec(written)))

    assert written == spec_from_facts("s", facts)


def test_a_study_without_a_charter_is_no_search() -> None:
    with pytest.raises(DataInvalid, match="study s holds no record of its space"):
        spec_from_facts("s", {})


def test_trials_that_ended_are_read_as_plain_values() -> None:
    given = charter()
    values = {"training.ema_decay": None, "network.depth": 3, "count.kind": "softmax"}
    trials = [
        had(given, values, value=2.5),
        had(given, {"loss.count": 0.5}, state=TrialState.PRUNED, value=9.0),
        had(given, values, state=TrialState.FAIL),
        create_trial(state=TrialState.RUNNING),
    ]

    found = ended_trials(given.space, trials)

    assert [Ended(values, 2.5), Ended({"loss.count": 0.5}, None)] == found
