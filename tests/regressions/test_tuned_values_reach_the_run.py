"""Once: what a search had found was reset before the final training, which used other weights."""

import json

from risexp.hpo.search.parameters import suggest
from risexp.hpo.search.samplers import build_sampler
from risexp.hpo.studies.study import SPEC, StudyRef
from tests.support.spaces import learning, spec_of
from tests.support.studies import claimed, claimed_again, study_of


def test_the_run_of_a_trial_has_every_value_that_was_suggested() -> None:
    given = spec_of(learning(fixed={"loss.cov": 0.3}))
    study = study_of()
    trial = claimed(study, build_sampler(given, "w"))
    values = suggest(given, trial)

    # Who reproduces it has the study's facts and the trial's parameters, and nothing else.
    read = StudyRef("s", 1, "uid", 1, json.loads(json.dumps({SPEC: given.as_json()}))).spec
    again = suggest(read, claimed_again(study, trial.number, build_sampler(read, "other")))
    final = read.resolve(again)

    assert given.resolve(values).config == final.config
    assert values == {path: final.config.flat()[path] for path in values}
    assert {"trial"} == {final.origins[path] for path in values}
    assert final.config.loss.cov == 0.3
