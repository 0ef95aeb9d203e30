"""The prediction: its covariance, and its count under every law."""

import itertools
from dataclasses import replace
from itertools import product

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.learning import CountDecision, CountKind
from risexp.model.prediction import CountLaw, predicted
from tests.support.networks import KINDS
from tests.support.scenes import gaussian, matrix, uniform, worst


def test_the_predicted_covariance_is_the_sum_of_both_factors() -> None:
    angle, ranged = (gaussian(2, 6, 3, seed=each).to(torch.complex64) for each in (1, 2))

    prediction = predicted(angle, ranged, 0.3)

    expected = angle @ angle.mH + 0.3 * (ranged @ ranged.mH)
    assert worst(expected.to(torch.complex128), matrix(prediction)) < 1e-6
    assert [0.0, 0.0] == prediction.diagonal.tolist()


MOST = 5
ANY_LOGIT = st.floats(-(2.0**100), 2.0**100, width=32)


def law(kind: CountKind, sources_max: int = MOST) -> CountLaw:
    return CountLaw(kind, sources_max)


def drawn(kind: CountKind, scenes: int = 64, scale: float = 3.0) -> Tensor:
    """Logits of many scenes; those of an ordinal head fall."""
    logits = scale * gaussian(scenes, law(kind).width, seed=3).real.float()
    return logits.sort(-1, descending=True).values if kind == "ordinal" else logits


def brute_force(chances: Tensor) -> Tensor:
    """P(number of successes) of one scene, by all 2^S outcomes."""
    found = torch.zeros(len(chances) + 1, dtype=torch.float64)
    for outcome in itertools.product((0, 1), repeat=len(chances)):
        hits = torch.tensor(outcome, dtype=torch.float64)
        found[sum(outcome)] += (hits * chances + (1 - hits) * (1 - chances)).prod()
    return found


@given(data=st.data(), kind=st.sampled_from(KINDS), sources_max=st.integers(1, 6))
def test_any_logits_give_probabilities_that_sum_to_one_and_a_possible_count(
    data: st.DataObject, kind: CountKind, sources_max: int
) -> None:
    width = law(kind, sources_max).width
    row = st.lists(ANY_LOGIT, min_size=width, max_size=width)
    rows = data.draw(st.lists(row, min_size=1, max_size=3))
    logits = torch.tensor(rows).view(len(rows), width)

    probabilities = law(kind, sources_max).probabilities(logits)

    assert torch.float64 == probabilities.dtype
    assert (len(logits), sources_max) == tuple(probabilities.shape)
    assert bool((probabilities > 0.0).all())
    assert worst(torch.ones(len(logits)), probabilities.sum(-1)) < 1e-12
    count = law(kind, sources_max).count(logits)
    assert torch.int64 == count.dtype
    assert bool(((count >= 1) & (count <= sources_max)).all())


def test_an_ordinal_head_tells_probabilities_of_more_than_t_sources() -> None:
    above = torch.tensor([[0.9, 0.6, 0.3, 0.1]], dtype=torch.float64)

    probabilities = law("ordinal").probabilities(above.logit())

    expected = torch.tensor([[0.1, 0.3, 0.3, 0.2, 0.1]], dtype=torch.float64)
    assert worst(expected, probabilities) < 1e-12


def test_an_ordinal_head_counts_the_steps_above_its_threshold() -> None:
    cases: list[tuple[float, int]] = [(0.5, 3), (0.65, 2), (0.05, 5), (0.95, 1)]
    for threshold, expected in cases:
        above = torch.tensor([[0.9, 0.6, 0.3, 0.1]], dtype=torch.float64)

        count = CountLaw("ordinal", MOST, threshold).count(above.logit())

        assert [expected] == count.tolist(), (threshold, expected)


def test_other_heads_answer_the_most_probable_count() -> None:
    cases: list[CountKind] = ["softmax", "slots"]
    logits = drawn("softmax")
    assert worst(logits.double().softmax(-1), law("softmax").probabilities(logits)) < 1e-9
    for kind in cases:
        logits = drawn(kind)

        count = law(kind).count(logits)

        assert torch.equal(law(kind).probabilities(logits).argmax(-1) + 1, count), kind
        assert len(set(count.tolist())) > 2, kind


def test_slots_are_counted_given_that_there_is_one() -> None:
    chances = uniform(0.05, 0.95, 8, MOST, seed=1)

    probabilities = law("slots").probabilities(chances.logit())

    outcomes = torch.stack([brute_force(scene) for scene in chances])[:, 1:]
    assert worst(outcomes / outcomes.sum(-1, keepdim=True), probabilities) < 1e-9


def test_slots_that_are_sure_of_silence_hold_one_source_at_the_most() -> None:
    """Given that there is one: the smaller their chances, the surer."""
    cases: list[float] = [-20.0, -60.0, -300.0]
    for logit in cases:
        probabilities = law("slots").probabilities(torch.full((1, MOST), logit))

        assert float(probabilities[0, 0]) > 1.0 - 1e-7, logit


def test_extreme_logits_have_finite_gradients() -> None:
    for logit, kind in product([-1e4, 0.0, 1e4], KINDS):
        logits = torch.full((1, law(kind).width), logit, requires_grad=True)

        torch.autograd.backward(law(kind).probabilities(logits).log().sum())

        assert logits.grad is not None, (logit, kind)
        assert bool(logits.grad.isfinite().all()), (logit, kind)


def test_a_temperature_divides_the_logits() -> None:
    for kind in KINDS:
        logits, plain = drawn(kind).double(), replace(law(kind), threshold=0.8)

        tempered = replace(plain, temperature=2.5)

        expected = plain.probabilities(logits / 2.5)
        assert worst(expected, tempered.probabilities(logits)) < 1e-9, kind


def test_a_temperature_has_no_say_in_the_count() -> None:
    """What was validated at temperature one is what is answered after the calibration."""
    decisions: list[CountDecision] = ["probable", "useful"]
    for decision, kind in product(decisions, KINDS):
        logits, found = drawn(kind), uniform(-3.0, 3.0, len(drawn(kind)), law(kind).sources_max)
        plain = replace(law(kind), threshold=0.8, decision=decision)

        tempered = replace(plain, temperature=2.5)

        assert torch.equal(plain.decide(logits, found), tempered.decide(logits, found)), decision


def test_the_useful_count_is_that_of_most_expected_hits_and_successes() -> None:
    """max over k of P(k) + P(k and all k are found)."""
    for kind in KINDS:
        logits, found = drawn(kind), 3.0 * gaussian(64, MOST, seed=7).real.float()

        count = replace(law(kind), decision="useful").decide(logits, found)

        probable = law(kind).probabilities(logits)
        worth = probable + probable * found.double().sigmoid()
        best = worth.gather(-1, (count - 1).unsqueeze(-1)).squeeze(-1)
        assert worst(worth.amax(-1), best) < 1e-12, kind
        assert not torch.equal(law(kind).count(logits), count), kind


def test_the_probable_count_does_not_mind_what_would_be_found() -> None:
    for kind in KINDS:
        logits, found = drawn(kind), 9.0 * gaussian(64, MOST, seed=7).real.float()

        assert torch.equal(law(kind).count(logits), law(kind).decide(logits, found)), kind


def test_heads_have_a_logit_a_step_a_class_or_a_slot() -> None:
    cases: list[tuple[CountKind, int]] = [("ordinal", 4), ("softmax", 5), ("slots", 5)]
    for kind, width in cases:
        assert width == law(kind).width, (kind, width)
