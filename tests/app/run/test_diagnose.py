"""Probes that look at trained runs: which of them go together, and on which scenes they stand."""

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
    """Puts a run among those there are, by its name."""
    runs: dict[str, TrainedNetwork] = {}

    def lookup(name: str, _device: torch.device) -> TrainedNetwork:
        return runs[name]

    def added(name: str, *overrides: str, damaged: tuple[str, ...] = ()) -> TrainedNetwork:
        # A checkpoint holds what follows from other fields written out.
        config = network_config(*overrides).canonical()
        bundle = replace(bundle_of(checkpoints(1)[0]), run_id=name, config=config)
        runs[name] = TrainedNetwork(bundle, predictor_of(config), damaged)
        return runs[name]

    monkeypatch.setattr("risexp.app.run.diagnose.trained", lookup)
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


def test_codes_are_those_that_each_length_is_trained_with(train: Trains) -> None:
    train("short")

    report = diagnose_l_ablation_of(["short"], 5, 0)

    assert [128, 256, 288] == [row[1] for row in table(report, "K accuracy").rows]


def test_a_pool_that_was_chosen_stays_at_every_length(train: Trains) -> None:
    train("l32", "physics.snapshots=32", "physics.pool_h=5", "physics.pool_v=5")

    report = diagnose_l_ablation_of(["l32"], 5, 0)

    assert [128, 200, 200] == [row[1] for row in table(report, "K accuracy").rows]


def test_a_network_learns_beside_them_for_the_occasion(train: Trains) -> None:
    train("short")

    report = diagnose_l_ablation_of(["short"], 10, 64)

    assert {"network after 64 scenes", "trained network"} < set(
        table(report, "K accuracy").headings
    )


def test_what_was_damaged_is_said(train: Trains) -> None:
    train("short", damaged=("The best checkpoint is damaged.",))

    assert "The best checkpoint is damaged." == diagnose_l_ablation_of(["short"], 5, 0).advice[-1]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("physics.snapshots=20", "run other was trained with physics.snapshots = 20"),
        ("training.epochs=9", "runs short and other both have physics.snapshots = 16: give one"),
        (
            "physics.snapshots=32 physics.power=equal",
            "run short was trained with physics.power = free_space, and run other with equal",
        ),
        ("physics.snapshots=32 data.sources_max=2", "data.sources_max = 3, and run other with 2"),
        ("physics.snapshots=32 physics.pool_h=5", "physics.pool_h = 4, and run other with 5"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(train: Trains, overrides: str, said: str) -> None:
    train("short")
    train("other", *overrides.split())

    with pytest.raises(ConfigInvalid, match=said):
        diagnose_l_ablation_of(["short", "other"], 5, 0)
