"""Museum 34: calibration was skipped for ever, or fitted on other weights than those it served."""

from dataclasses import replace

import pytest
import torch

from risexp.app.run.run import calibrate
from risexp.app.serving.resolve_model import config_of, load_trained
from risexp.runs.journal import read_journal
from risexp.training.checkpoint_store import best
from tests.support.short_runs import short_run

CPU = torch.device("cpu")


@pytest.mark.usefixtures("own_home")
def test_what_serves_is_calibrated_on_its_own_weights_and_on_record() -> None:
    more = ("training.scenes_per_epoch", "validation.calibration_scenes")
    folder = short_run({**dict.fromkeys(more, 256), "training.batch": 32}).folder
    kept = best(folder.attempts()).checkpoint
    config = config_of(kept)
    other = replace(kept, state=replace(kept.state, averaged=kept.state.weights))

    served = load_trained(folder.run_id, CPU).predictor.network
    again, _ = calibrate(kept, config, CPU)
    wrong, _ = calibrate(other, config, CPU)

    notes = {note.event: note.details for note in read_journal(folder.journal).notes}
    assert kept.temperature is not None
    assert kept.temperature == served.law.temperature == notes["calibrated"]["temperature"]
    assert {"ece_before", "ece_after", "nll_before", "nll_after"} <= notes["calibrated"].keys()
    assert kept.temperature == again.temperature
    assert kept.temperature != wrong.temperature
