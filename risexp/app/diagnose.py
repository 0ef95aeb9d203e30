"""Probes by the names a person gives them: from a configuration to a report."""

from collections.abc import Sequence

from risexp.config.run import RunConfig
from risexp.diagnostics.draws import configured_levels
from risexp.diagnostics.mdl import probe_mdl
from risexp.diagnostics.oracle import Tried, probe_oracle
from risexp.diagnostics.references import probe_references
from risexp.diagnostics.report import Report


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
