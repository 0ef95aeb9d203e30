"""Probes of trained runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from risexp.app.benchmark.evaluate import compared
from risexp.app.benchmark.methods import NETWORK
from risexp.app.serving.resolve_model import TrainedNetwork, config_of, load_trained, network_of
from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.l_ablation import LENGTHS, TrainedCounter, listed, probe_l_ablation
from risexp.diagnostics.probe_trainer import ProbeTrainer
from risexp.diagnostics.report import Report
from risexp.errors import ConfigInvalid
from risexp.runs.folder import find_run
from risexp.training.checkpoint_store import best


def diagnose_k_head_of(run: str, amount: Amount, beta: float | None = None) -> Report:
    """The k-head probe of a run's best weights, under its configuration and by default its beta.

    Raises:
        RisexpError: There is no such run, or it kept no sound checkpoint.
    """
    found = best(find_run(run).attempts())
    checkpoint = found.checkpoint
    trainer = ProbeTrainer(
        network=lambda config: network_of(checkpoint, config, torch.device("cpu"))
    )
    share = checkpoint.beta if beta is None else beta
    report = probe_k_head(config_of(checkpoint), amount, share, trainer)
    return replace(report, advice=(*report.advice, *found.damaged))


def diagnose_l_ablation_of(runs: Sequence[str], scenes: int, train_scenes: int) -> Report:
    """The l-ablation probe of trained runs, at most one for a number of snapshots.

    Args:
        runs: Names; the networks are compared with NOMP under the law of the runs.
        scenes: How many are counted at each length.
        train_scenes: How many a fresh network sees.

    Raises:
        RisexpError: There is no such run, it kept no sound checkpoint, or two do not go together.
    """
    found = {name: load_trained(name, torch.device("cpu")) for name in runs}
    config = _one_law({name: each.config for name, each in found.items()})
    report = probe_l_ablation(config, scenes, train_scenes, _by_length(found))
    damaged = [sentence for each in found.values() for sentence in each.damaged]
    return replace(report, advice=(*report.advice, *damaged))


def _one_law(configs: Mapping[str, RunConfig]) -> RunConfig:
    """The first configuration of several that differ in their snapshots and in what learns."""
    first, *others = configs
    free = {name: _free_pool(config) for name, config in configs.items()}
    laws = {
        name: config.replace({"physics.snapshots": LENGTHS[0]}).canonical().flat()
        for name, config in free.items()
    }
    for other in others:
        for path, value in laws[first].items():
            if path.startswith(("physics.", "data.")) and laws[other][path] != value:
                raise ConfigInvalid(
                    f"run {first} was trained with {path} = {value}, and run {other} with "
                    f"{laws[other][path]}: give runs of one law"
                )
    return free[first]


def _free_pool(config: RunConfig) -> RunConfig:
    """The same configuration, with a pool of codes that follows the snapshots if it did so far."""
    free = config.replace({"physics.pool_h": None, "physics.pool_v": None})
    return free if free.physics.canonical() == config.physics.canonical() else config


def _by_length(found: Mapping[str, TrainedNetwork]) -> dict[int, TrainedCounter]:
    """Trained networks by the snapshots of their runs."""
    runs: dict[int, str] = {}
    for name, each in found.items():
        length = each.config.physics.snapshots
        if length not in LENGTHS:
            raise ConfigInvalid(
                f"run {name} was trained with physics.snapshots = {length}: give runs of "
                f"{listed(LENGTHS)}, which are compared"
            )
        if length in runs:
            raise ConfigInvalid(
                f"runs {runs[length]} and {name} both have physics.snapshots = {length}: give one"
            )
        runs[length] = name
    return {length: _learned(found[name]) for length, name in runs.items()}


def _learned(found: TrainedNetwork) -> TrainedCounter:
    method = compared(found, found.config, (), "none")[NETWORK]
    return TrainedCounter(found.bundle.run_id, lambda scenes: method(scenes).count)
