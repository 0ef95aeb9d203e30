"""The count head: both paths and the spectral features."""

from itertools import product

import torch
from torch import Tensor

from risexp.covariance.factored import FactoredCovariance
from risexp.model.count_head import falling_logits, spectral_features, spectral_width
from tests.support.localisation import scenes_of
from tests.support.networks import FRONTS, KINDS, answer, awake, network_config, observed, untrained
from tests.support.scenes import gaussian, matrix, worst


def covariance(columns: int = 4, loads: tuple[float, ...] = (1e-3, 1e-1)) -> FactoredCovariance:
    factor = gaussian(len(loads), 6, columns, seed=1).to(torch.complex64)
    return FactoredCovariance(factor, torch.tensor(loads)).trace_normalize()


def plain_features(dense: Tensor, most: int) -> Tensor:
    """The same numbers from the eigenvalues of whole matrices."""
    values = torch.linalg.eigvalsh(dense).flip(-1)[:, : most + 1] / dense.shape[-1]
    logs = values.log()
    tails = [logs[:, k:].mean(-1) - values[:, k:].mean(-1).log() for k in range(most)]
    shares = values.cumsum(-1)[:, :most] / values.sum(-1, keepdim=True)
    return torch.cat(
        [logs / 4, (logs[:, :-1] - logs[:, 1:]) / 4, shares, torch.stack(tails, -1) / 4], dim=-1
    )


def test_ordinal_logits_fall_by_positive_steps() -> None:
    raw = gaussian(64, 4, seed=2).real.float() * 4.0

    logits = falling_logits(raw)

    assert torch.equal(raw[:, 0], logits[:, 0])
    steps = logits[:, :-1] - logits[:, 1:]
    assert worst(torch.nn.functional.softplus(raw[:, 1:]), steps) < 1e-5
    assert bool((steps > 0.0).all())


def test_spectral_features_are_those_of_the_dense_eigenvalues() -> None:
    """Those beyond the columns are the diagonal."""
    for columns, most in ((4, 1), (4, 3), (4, 5), (1, 4)):
        seen = covariance(columns)

        features = spectral_features(seen, most)

        assert torch.float32 == features.dtype, most
        assert (2, spectral_width(most)) == tuple(features.shape), most
        assert worst(plain_features(matrix(seen), most), features.double()) < 1e-5, most


def test_spectral_features_of_any_covariance_are_numbers_with_gradients() -> None:
    for factor in [0.0, 1e-20, 1e15]:
        columns = (factor * torch.ones(2, 6, 4, dtype=torch.complex64)).requires_grad_()
        seen = FactoredCovariance.from_factor(columns).trace_normalize()

        features = spectral_features(seen, 3)
        torch.autograd.backward(features.sum())

        assert bool(features.isfinite().all()), factor
        assert columns.grad is not None, factor
        assert bool(torch.view_as_real(columns.grad).isfinite().all()), factor


def test_both_paths_start_with_half_a_say() -> None:
    for front in FRONTS:
        network = untrained(network_config("count.kind=softmax", front=front))
        observation = observed(network_config(front=front))
        mixture = network.count.mixture
        with torch.no_grad():
            mixed = network(observation, 0.0).count_logits
            mixture.fill_(40.0)
            spectral = network(observation, 0.0).count_logits
            mixture.fill_(-40.0)
            direct = network(observation, 0.0).count_logits
            read = network.count.direct(network.front(observation).context)

        assert worst(read, direct) < 1e-5, front
        assert worst(0.5 * (spectral + direct), mixed) < 1e-5, front
        assert worst(spectral, direct) > 0.1, front


def test_where_one_source_is_the_most_no_head_hinders_it() -> None:
    for front, kind in product(FRONTS, KINDS):
        config = network_config("data.sources_max=1", f"count.kind={kind}", front=front)

        prediction = answer(config, scenes_of(config, 3).frames)

        assert [1, 1, 1] == prediction.count.tolist(), (front, kind)
        assert torch.equal(torch.ones(3, 1, dtype=torch.float64), prediction.count_probabilities), (
            front
        )


def test_an_ordinal_head_of_one_source_has_nothing_to_learn() -> None:
    network = untrained(network_config("data.sources_max=1"))

    assert [] == list(network.count.parameters())


def test_the_number_of_slots_that_exist_is_the_count() -> None:
    """Existence is shared: what a slot says of itself is what is counted."""
    config = network_config("count.kind=slots")
    network = awake(config)
    with torch.no_grad():
        before = network(observed(config), 0.0)
        last = network.factors.existence[-1]
        assert isinstance(last, torch.nn.Linear)
        last.bias.add_(2.0)
        after = network(observed(config), 0.0)

    moved = after.pointers.existence - before.pointers.existence
    assert worst(torch.full_like(moved, 2.0), moved) < 1e-5
    assert bool((after.count_logits > before.count_logits + 1.0).all())
