"""Ray Tune with OptunaSearch as its documentation has it; run by a Python that has both.

Failures are retried without a limit, from the last checkpoint that was reported; as many trials at
once as there are workers. `--restore` goes on with an experiment whose driver has died.

    python -m peers.ray_search SETTINGS [--restore]
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import ray
from optuna.samplers import RandomSampler
from ray import tune
from ray.tune import Checkpoint, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.search.optuna import OptunaSearch

from peers.toy import HIGH, LOW, NAME, Settings, State, train


def space(trial: optuna.Trial) -> None:
    """Suggest the parameter."""
    trial.suggest_float("lr", LOW, HIGH, log=True)


def trainable(config: dict[str, Any], settings: Settings) -> None:
    """Train a trial from its last reported checkpoint."""
    state = State()
    found = tune.get_checkpoint()
    if found is not None:
        with found.as_directory() as folder:
            state = State.load(Path(folder))

    def keep(state: State) -> None:
        with tempfile.TemporaryDirectory() as folder:
            state.save(Path(folder))
            checkpoint = Checkpoint.from_directory(folder)
            tune.report({"loss": state.loss, "epoch": state.epoch}, checkpoint=checkpoint)

    train(settings, tune.get_context().get_trial_id(), state, config["lr"], keep)


def main() -> None:
    """Search, or go on with a search."""
    settings = Settings.read()
    ray.init(
        address="local",
        num_cpus=settings.workers,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=settings.url,
    )
    where = Path(settings.folder) / "experiments"
    trained = tune.with_parameters(trainable, settings=settings)
    if "--restore" in sys.argv:
        tuner = Tuner.restore(str(where / NAME), trained)
    else:
        tuner = _new_tuner(settings, trained, where)
    tuner.fit()


def _new_tuner(settings: Settings, trained: Callable[..., object], where: Path) -> Tuner:
    search = OptunaSearch(space=space, metric="loss", mode="min", sampler=RandomSampler())
    return Tuner(
        trained,
        tune_config=TuneConfig(
            search_alg=search,
            num_samples=settings.trials,
            max_concurrent_trials=settings.workers,
            reuse_actors=True,
        ),
        run_config=RunConfig(
            name=NAME,
            storage_path=str(where),
            failure_config=FailureConfig(max_failures=-1),
            verbose=0,
        ),
    )


if __name__ == "__main__":
    main()
