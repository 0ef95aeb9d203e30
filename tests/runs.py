"""Configurations as the tests need them: another valid value for every field, and refusals."""

from collections.abc import Mapping

import pytest

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
}
"""Another valid value for every field."""


def refusal(changes: Mapping[str, object]) -> str:
    """What is said when the default configuration is asked to become this."""
    with pytest.raises(ConfigInvalid) as caught:
        RunConfig().replace(changes)
    message = str(caught.value)
    assert "\n" not in message
    return message
