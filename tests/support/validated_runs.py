"""Validated runs with chosen scores, with or without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from risexp.config.layers import load_config
from risexp.config.run import RunConfig
from risexp.runs.folder import RunFolder
from risexp.runs.outcome import Outcome, complete
from risexp.training.checkpoint import config_tree
from tests.support.checkpoint_stores import five_epochs
from tests.support.networks import awake, network_config
from tests.support.recorded_runs import SCORES
from tests.support.uploads import new_run

SMOKE = load_config(preset="smoke").config
MATRIX: Sequence[Sequence[int]] = ((30, 4, 2), (6, 24, 5), (3, 9, 17))


def validated(
    name: str,
    scores: Mapping[str, float],
    config: RunConfig = SMOKE,
    outcome: Outcome | None = None,
) -> RunFolder:
    """An ended run of two epochs; the second one is the best and has these scores."""
    folder = new_run(name, config)
    folder.begin({"threads": 1, "device": "cpu", "risexp": "0"})
    journal = folder.open_journal()
    journal.note(0, "started", {})
    for epoch, better in ((1, 0.5), (2, 0.0)):
        best_scores = {**SCORES, "scenes": 100.0, **scores}
        best_scores["k_loc"] += better
        values = {"loss/total": 1.0 + better, "weighted/count": 0.5}
        values |= {
            f"{kind}/{key}": value for kind in ("val", "best") for key, value in best_scores.items()
        }
        journal.write(epoch, values)
        table = {"matrix": MATRIX, "none": [0, 0, 0], "beyond": [0, 0, 0]}
        journal.note(epoch, "confusion", {**table, "by_snr": {"0 to 10": table}})
    folder.close(outcome or complete("finished", 2))
    return folder


def with_network(name: str, seed: int) -> RunFolder:
    """A validated run with the checkpoint of an untrained network."""
    config = network_config("localisation.spectrum=pointers")
    folder = validated(name, {"k_loc": 5.0 + seed}, config)
    checkpoint = five_epochs()[0]
    state = replace(checkpoint.state, averaged=awake(config, seed=seed).state_dict())
    own = replace(checkpoint, run_id=name, config=config_tree(config), state=state)
    folder.checkpoints().save(own)
    return folder
