"""Another valid value for every field of a configuration, and the sentence of a refusal."""

from collections.abc import Mapping

import pytest

from risexp.config.learning import LossWeights
from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid

ANOTHER: dict[str, object] = {
    "physics.wavelength_m": 0.1,
    "physics.elements_h": 10,
    "physics.elements_v": 14,
    "physics.spacing_wavelengths": 0.25,
    "physics.antennas": 20,
    "physics.snapshots": 18,
    "physics.codebook": "balanced",
    "physics.codebook_seed": 1,
    "physics.pool_h": 9,
    "physics.pool_v": 7,
    "physics.phase_bits": None,
    "physics.wavefront": "fresnel",
    "physics.symbols": "snapshot",
    "physics.power": "equal",
    "physics.rician_db": [-24.0, -10.0],
    "physics.station_deg": 45.0,
    "physics.station_range_m": 50.0,
    "data.seed": 1,
    "data.sources_max": 4,
    "data.phi_deg": [-60.0, 45.0],
    "data.theta_deg": [-20.0, 30.0],
    "data.range_m": [1.0, 10.0],
    "data.separation_deg": 5.0,
    "data.snr_db": [0.0, 20.0],
    "sampled.method": "per_snapshot",
    "sampled.ridge": 1e-2,
    "covariance.alpha_base": 1e-2,
    "network.front": "image",
    "network.width": 32,
    "network.depth": 3,
    "network.heads": 2,
    "network.dropout": 0.1,
    "network.search_steps": 3,
    "factors.kind": "free",
    "factors.lambda_range": 0.2,
    "count.kind": "softmax",
    "count.path": "direct",
    "count.detach_spectral": False,
    "count.under_weight": 2.0,
    "count.over_weight": 2.0,
    "count.smoothing": 0.1,
    "count.decision": "probable",
    "count.threshold": 0.4,
    **{f"loss.{term}": 0.3 for term in LossWeights.model_fields},
    "loss.balance": "uncertainty",
    "loss.structure_share": 0.1,
    "loss.label_power": "compressed",
    "beta.start": 0.1,
    "beta.final": 0.3,
    "beta.ramp_share": 0.3,
    "beta.jitter": 0.05,
    "curriculum.phase": "three-phase",
    "curriculum.geometry_share": 0.2,
    "curriculum.count_share": 0.2,
    "curriculum.count_ramp": 2,
    "curriculum.structure_ramp": 2,
    "curriculum.count_backbone_lr": 0.1,
    **{f"curriculum.geometry.{term}": 0.3 for term in LossWeights.model_fields},
    **{f"curriculum.count.{term}": 0.3 for term in LossWeights.model_fields},
    "curriculum.warm_start": "train-1",
    "training.seed": 1,
    "training.epochs": 10,
    "training.scenes_per_epoch": 8192,
    "training.batch": 128,
    "training.accumulation": 2,
    "training.repeat": True,
    "training.precision": "bf16",
    "training.compile": True,
    "training.ema_decay": None,
    "training.selection": "success",
    "training.patience": 5,
    "training.optimizer.lr": 0.002,
    "training.optimizer.head_factor": 4.0,
    "training.optimizer.weight_decay": 0.0,
    "training.optimizer.warmup_share": 0.1,
    "training.optimizer.final_share": 0.1,
    "training.optimizer.clip": 2.0,
    "validation.scenes": 512,
    "validation.calibration_scenes": 1024,
    "localisation.spectrum": "mvdr",
    "localisation.refine": "measurement",
    "localisation.fallback": "bic",
}
"""Another valid value for every field."""


def refusal(changes: Mapping[str, object]) -> str:
    """The error sentence for changes of the default configuration."""
    with pytest.raises(ConfigInvalid) as caught:
        RunConfig().replace(changes)
    message = str(caught.value)
    assert "\n" not in message
    return message
