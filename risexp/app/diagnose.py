"""Probes by the names a person gives them: from a configuration to a report."""

from collections.abc import Sequence

import torch

from risexp.app.trained import config_of, network_of
from risexp.config.run import RunConfig
from risexp.diagnostics.draws import configured_levels
from risexp.diagnostics.gradients import probe_gradients
from risexp.diagnostics.k_head import Amount, probe_k_head
from risexp.diagnostics.l_ablation import probe_l_ablation
from risexp.diagnostics.litmus import probe_litmus
from risexp.diagnostics.mdl import probe_mdl
from risexp.diagnostics.oracle import Tried, probe_oracle
from risexp.diagnostics.overfit import probe_overfit
from risexp.diagnostics.references import probe_references
from risexp.diagnostics.report import Report
from risexp.diagnostics.school import School
from risexp.tracking.folder import find_run
from risexp.training.vault import best


def diagnose_mdl(config: RunConfig, scenes: int, snr_db: Sequence[float] | None = None) -> Report:
    """Whether eigenvalues show the number of sources; by default over the configured SNRs."""
    return probe_mdl(config, scenes, snr_db or configured_levels(config.data))


def diagnose_references(
    config: RunConfig, scenes: int, snr_db: Sequence[float] | None = None
) -> Report:
    """What a score can at best be; by default over the configured SNRs."""
    return probe_references(config, scenes, snr_db or configured_levels(config.data))


def diagnose_oracle(
    config: RunConfig, scenes: int, beta: float, snr_db: Sequence[float] | None = None
) -> Report:
    """Whether labels as answers are perfect; the floor by default over the configured SNRs."""
    return probe_oracle(
        config, scenes, beta, snr_db or configured_levels(config.data), Tried.of(config)
    )


def diagnose_litmus(config: RunConfig) -> Report:
    """Whether five steps on one batch learn anything."""
    return probe_litmus(config)


def diagnose_overfit(config: RunConfig, scenes: int, epochs: int) -> Report:
    """Whether scenes can be learned by heart, for each count."""
    return probe_overfit(config, scenes, epochs)


def diagnose_k_head(config: RunConfig, amount: Amount, beta: float | None = None) -> Report:
    """Whether the count head learns, from the start."""
    return probe_k_head(config, amount, beta)


def diagnose_k_head_of(run: str, amount: Amount, beta: float | None = None) -> Report:
    """The same from the best weights of a run, under its configuration and by default its beta.

    Raises:
        RisexpError: There is no such run, or it kept no sound checkpoint.
    """
    checkpoint = best(find_run(run).attempts())
    school = School(network=lambda config: network_of(checkpoint, config, torch.device("cpu")))
    share = checkpoint.beta if beta is None else beta
    return probe_k_head(config_of(checkpoint), amount, share, school)


def diagnose_gradients(config: RunConfig, scenes: int) -> Report:
    """Whether every term and its gradient is finite on degenerate scenes."""
    return probe_gradients(config, scenes)


def diagnose_l_ablation(config: RunConfig, scenes: int, train_scenes: int) -> Report:
    """What more snapshots buy, and what they cost."""
    return probe_l_ablation(config, scenes, train_scenes)
