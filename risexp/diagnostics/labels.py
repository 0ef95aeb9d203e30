"""The truth in the forms that answers have, to be fed where answers are expected."""

from torch.nn.functional import one_hot

from risexp.config.sections import PhysicsConfig
from risexp.covariance.factored import FactoredCovariance
from risexp.data.frames import Truth
from risexp.data.scenes import panel_of, source_steering
from risexp.inference.estimate import Estimate


def label_covariance(physics: PhysicsConfig, truth: Truth) -> FactoredCovariance:
    """A diag(power) A^H of the true sources, at its raw power."""
    steering = source_steering(panel_of(physics), truth)
    return FactoredCovariance.from_sources(steering, truth.powers)


def label_estimate(truth: Truth) -> Estimate:
    """The true counts and positions, as sure as can be."""
    certain = one_hot(truth.count - 1, truth.phi_rad.shape[1]).double()
    return Estimate(truth.count, certain, truth.phi_rad, truth.theta_rad, truth.range_m)
