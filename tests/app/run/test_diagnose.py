"""Probes of trained runs: which runs match, and on which scenes they are compared."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from risexp.app.run.diagnose import diagnose_l_ablation_of
from risexp.app.serving.resolve_model import TrainedNetwork, bundle_of
from risexp.config.run import RunConfig
from risexp.diagnostics.probe_data import drawn
from risexp.diagnostics.report import Rate
from risexp.errors import ConfigInvalid
from risexp.inference.predictor import Localiser, Predictor
from risexp.model.observation import Observer
from tests.diagnostics.reports import table
from tests.support.networks import awake, network_config
from tests.support.trainers import checkpoints

Trains = Callable[..., TrainedNetwork]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Trains:
    runs: dict[str, TrainedNetwork] = {}

    def lookup(name: str, _device: torch.device) -> TrainedNetwork:
        return runs[name]

    def added(name: str, *overrides: str, damaged: tuple[str, ...] = ()) -> TrainedNetwork:
        # A checkpoint holds what follows from other fields written out.
        config = network_config(*overrides).canonical()
        bundle = replace(bundle_of(checkpoints(1)[0]), run_id=name, config=config)
        runs[name] = TrainedNetwork(bundle, predictor_of(config), damaged)
        return runs[name]

    monkeypatch.setattr("risexp.app.run.diagnose.load_trained", lookup)
    return added


def predictor_of(config: RunConfig) -> Predictor:
    network = awake(config, seed=2)
    return Predictor(network, Observer.of(config), Localiser.of(config), beta=0.0)


def test_runs_are_counted_at_their_own_snapshots_on_the_scenes_of_their_law(train: Trains) -> None:
    law = "data.snr_db=[12,14]"
    many, few = (train(f"l{each}", law, f"physics.snapshots={each}") for each in (32, 16))

    report = diagnose_l_ablation_of(["l32", "l16"], 40, 0)

    rows = {row[0]: row for row in table(report, "K accuracy").rows}
    assert ("l16", "l32", None) == (rows[16][-1], rows[32][-1], rows[64][-1])
    for run in (few, many):
        scenes = drawn(run.config, 40)
        hits = run.predictor(scenes.frames).count == scenes.truth.count
        assert Rate.of(hits) == rows[run.config.physics.snapshots][4]


def test_the_pool_of_codes_follows_the_snapshots_unless_it_was_chosen(train: Trains) -> None:
    train("short")
    train("l32", "physics.snapshots=32", "physics.pool_h=5", "physics.pool_v=5")

    for run, codes in (("short", [128, 256, 288]), ("l32", [128, 200, 200])):
        report = diagnose_l_ablation_of([run], 5, 0)

        assert codes == [row[1] for row in table(report, "K accuracy").rows]


def test_a_new_network_learns_beside_them_and_damage_is_reported(train: Trains) -> None:
    train("short", damaged=("The best checkpoint is damaged.",))

    report = diagnose_l_ablation_of(["short"], 10, 64)

    columns = set(table(report, "K accuracy").headings)
    assert {"network after 64 scenes", "trained network"} < columns
    assert "The best checkpoint is damaged." == report.advice[-1]


UNMATCHED = {
    "physics.snapshots=20": "run other was trained with physics.snapshots = 20",
    "training.epochs=9": "runs short and other both have physics.snapshots = 16: give one",
    "physics.snapshots=32 physics.power=equal": "run short was trained with physics.power = "
    "free_space, and run other with equal",
    "physics.snapshots=32 data.sources_max=2": "data.sources_max = 3, and run other with 2",
    "physics.snapshots=32 physics.pool_h=5": "physics.pool_h = 4, and run other with 5",
}


def test_runs_that_do_not_match_are_refused(train: Trains) -> None:
    train("short")
    for overrides, sentence in UNMATCHED.items():
        train("other", *overrides.split())

        with pytest.raises(ConfigInvalid, match=sentence):
            diagnose_l_ablation_of(["short", "other"], 5, 0)
