"""Once: K was stuck at one class, its cross entropy at ln 5, and the run went on for days."""

import math
from collections.abc import Mapping

import pytest

from risexp.callbacks.epoch_table import cells
from risexp.callbacks.learning_guards import ChanceGuard
from tests.support.recorded_runs import DEAD, SCORES, Told, ended_of, guarded, plans_of, telling

FIVE = math.log(5.0)
STUCK: Mapping[str, float] = {**DEAD, "k_acc": 0.201, "count_entropy": 0.0, "count_nll": FIVE}
GUESSING: Mapping[str, float] = {**DEAD, "k_acc": 0.226, "count_entropy": 1.58, "count_nll": FIVE}
SURE_AND_WRONG: Mapping[str, float] = {**DEAD, "count_entropy": 0.1, "count_nll": 0.9}


@pytest.mark.parametrize("scores", [STUCK, GUESSING, SURE_AND_WRONG])
def test_a_count_at_chance_is_shown_and_ends_the_run_after_so_many_epochs(
    scores: Mapping[str, float],
) -> None:
    plans = plans_of(*("joint",) * 9)

    dead, late = (
        guarded(Told(plans, telling(*told)), ChanceGuard(epochs=5))
        for told in ([scores] * 9, [scores] * 4 + [SCORES] * 5)
    )

    assert ("chance", 4) == (dead.reason, dead.exit_code)
    assert dead.sentence.startswith("epoch 5: for 5 judged epochs the count was at chance")
    assert "finished" == late.reason
    assert cells(ended_of(plans[0], scores))["remark"].startswith("at chance")
