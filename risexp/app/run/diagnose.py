"""Probes of trained runs, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from risexp.app.benchmark.evaluate import compared
from risexp.app.benchmark.methods import NETWORK
from risexp.app.serving.resolve_model import TrainedNetwork, config_of, load_trained, network_of
from risexp.config.run import RunConfig
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.l_ablation import LENGTHS, TrainedCounter, listed, probe_l_ablation
from risexp.diagnostics.probe_trainer import CPU, ProbeTrainer
from risexp.diagnostics.report import Report
from risexp.errors import ConfigInvalid
from risexp.runs.folder import find_run
from risexp.training.checkpoint_store import best


def diagnose_k_head_of(
    run: str, amount: Amount, beta: float | None, device: torch.device = CPU
) -> Report:
    """Probe the count head from the best weights of a run, by default with its beta."""
    kept = best(find_run(run).attempts())
    checkpoint = kept.checkpoint
    trainer = ProbeTrainer(
        network=lambda config: network_of(checkpoint, config, device), device=device
    )
    beta = checkpoint.beta if beta is None else beta
    report = probe_k_head(config_of(checkpoint), amount, beta, trainer)
    return replace(report, advice=(*report.advice, *kept.damaged))


def diagnose_l_ablation_of(
    runs: Sequence[str], scenes: int, train_scenes: int, device: torch.device = CPU
) -> Report:
    """Compare numbers of snapshots with trained runs, one for each number, beside NOMP."""
    networks = {name: load_trained(name, device) for name in runs}
    config = _common_config({name: network.config for name, network in networks.items()})
    trained, trainer = _by_length(networks), ProbeTrainer(device=device)
    report = probe_l_ablation(config, scenes, train_scenes, trained, trainer=trainer)
    damaged = [sentence for network in networks.values() for sentence in network.damaged]
    return replace(report, advice=(*report.advice, *damaged))


def _common_config(configs: Mapping[str, RunConfig]) -> RunConfig:
    """The first of several configurations with the same physics and data except snapshots."""
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
    """Let the pool of codes follow the snapshots if it did so far."""
    free = config.replace({"physics.pool_h": None, "physics.pool_v": None})
    return free if free.physics.canonical() == config.physics.canonical() else config


def _by_length(networks: Mapping[str, TrainedNetwork]) -> dict[int, TrainedCounter]:
    """Trained networks by number of snapshots."""
    runs: dict[int, str] = {}
    for name, network in networks.items():
        length = network.config.physics.snapshots
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
    return {length: _learned(networks[name]) for length, name in runs.items()}


def _learned(network: TrainedNetwork) -> TrainedCounter:
    method = compared(network, network.config, (), "none")[NETWORK]
    return TrainedCounter(network.bundle.run_id, lambda scenes: method(scenes).count)
