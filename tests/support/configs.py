"""Another valid value for every field of a configuration, and the sentence of a refusal."""

from collections.abc import Mapping

import pytest

from risexp.config.layers import flatten
from risexp.config.run import RunConfig, fields
from risexp.config.yaml import parse_yaml
from risexp.errors import ConfigInvalid

_VALUES = """
physics: {wavelength_m: 0.1, elements_h: 10, elements_v: 14, spacing_wavelengths: 0.25,
  antennas: 20, snapshots: 18, codebook: balanced, codebook_seed: 1, pool_h: 9, pool_v: 7,
  phase_bits: null, wavefront: fresnel, symbols: snapshot, power: equal, rician_db: [-24.0, -10.0],
  station_deg: 45.0, station_range_m: 50.0}
data: {seed: 1, sources_max: 4, phi_deg: [-60.0, 45.0], theta_deg: [-20.0, 30.0],
  range_m: [1.0, 10.0], separation_deg: 5.0, snr_db: [0.0, 20.0]}
sampled: {method: per_snapshot, ridge: 0.01}
covariance: {alpha_base: 0.01}
network: {front: image, width: 32, depth: 3, heads: 2, dropout: 0.1, search_steps: 3}
factors: {kind: free, lambda_range: 0.2}
count: {kind: softmax, path: direct, detach_spectral: false, under_weight: 2.0, over_weight: 2.0,
  smoothing: 0.1, decision: probable, threshold: 0.4}
loss: {balance: uncertainty, structure_share: 0.1, label_power: compressed}
beta: {start: 0.1, final: 0.3, ramp_share: 0.3, jitter: 0.05}
curriculum: {phase: three-phase, geometry_share: 0.2, count_share: 0.2, count_ramp: 2,
  structure_ramp: 2, count_backbone_lr: 0.1, warm_start: train-1}
training: {seed: 1, epochs: 10, scenes_per_epoch: 8192, batch: 128, accumulation: 2, repeat: true,
  precision: bf16, compile: true, ema_decay: null, selection: success, patience: 5,
  optimizer: {lr: 0.002, head_factor: 4.0, weight_decay: 0.0, warmup_share: 0.1, final_share: 0.1,
    clip: 2.0}}
validation: {scenes: 512, calibration_scenes: 1024}
localisation: {spectrum: mvdr, refine: measurement, fallback: bic, backend: torch}
"""
ANOTHER: dict[str, object] = {
    **dict.fromkeys(fields(), 0.3),  # all that is not named is the weight of a loss term
    **flatten(parse_yaml(_VALUES, "ANOTHER"), "ANOTHER"),
}
"""Another valid value for every field."""


def refusal(changes: Mapping[str, object]) -> str:
    """The error sentence for changes of the default configuration."""
    with pytest.raises(ConfigInvalid) as caught:
        RunConfig().replace(changes)
    message = str(caught.value)
    assert "\n" not in message
    return message
