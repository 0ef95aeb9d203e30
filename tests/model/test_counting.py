"""How logits become probabilities and one count, under every kind of head."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from risexp.config.learning import CountDecision, CountKind
from risexp.model.counting import CountLaw, poisson_binomial
from tests.support.networks import KINDS
from tests.support.scenes import gaussian, uniform, worst

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
def test_probabilities_sum_to_one_whatever_the_logits(
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


@given(data=st.data(), kind=st.sampled_from(KINDS), sources_max=st.integers(1, 6))
def test_a_count_is_one_of_those_that_can_be(
    data: st.DataObject, kind: CountKind, sources_max: int
) -> None:
    width = law(kind, sources_max).width
    logits = torch.tensor([data.draw(st.lists(ANY_LOGIT, min_size=width, max_size=width))])

    count = law(kind, sources_max).count(logits.view(1, width))

    assert torch.int64 == count.dtype
    assert 1 <= int(count) <= sources_max


@pytest.mark.parametrize("kind", KINDS)
def test_where_one_source_is_the_most_it_is_counted_for_certain(kind: CountKind) -> None:
    only = law(kind, 1)
    logits = torch.full((3, only.width), -7.0)

    assert [1, 1, 1] == only.count(logits).tolist()
    assert [[1.0], [1.0], [1.0]] == only.probabilities(logits).tolist()


def test_an_ordinal_head_tells_probabilities_of_more_than_t_sources() -> None:
    above = torch.tensor([[0.9, 0.6, 0.3, 0.1]], dtype=torch.float64)

    probabilities = law("ordinal").probabilities(above.logit())

    expected = torch.tensor([[0.1, 0.3, 0.3, 0.2, 0.1]], dtype=torch.float64)
    assert worst(expected, probabilities) < 1e-12


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, 3), (0.65, 2), (0.05, 5), (0.95, 1)])
def test_an_ordinal_head_counts_the_steps_above_its_threshold(
    threshold: float, expected: int
) -> None:
    above = torch.tensor([[0.9, 0.6, 0.3, 0.1]], dtype=torch.float64)

    count = CountLaw("ordinal", MOST, threshold).count(above.logit())

    assert [expected] == count.tolist()


@pytest.mark.parametrize("kind", ["softmax", "slots"])
def test_other_heads_answer_the_most_probable_count(kind: CountKind) -> None:
    logits = drawn(kind)

    count = law(kind).count(logits)

    assert torch.equal(law(kind).probabilities(logits).argmax(-1) + 1, count)
    assert len(set(count.tolist())) > 2


def test_a_softmax_head_answers_its_largest_logit() -> None:
    logits = drawn("softmax")

    assert torch.equal(logits.argmax(-1) + 1, law("softmax").count(logits))
    assert worst(logits.double().softmax(-1), law("softmax").probabilities(logits)) < 1e-9


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_the_number_of_slots_that_hold_a_source_is_that_of_all_their_outcomes(slots: int) -> None:
    chances = uniform(0.0, 1.0, 8, slots, seed=1)

    found = poisson_binomial(chances)

    expected = torch.stack([brute_force(scene) for scene in chances])
    assert worst(expected, found) < 1e-12


def test_slots_are_counted_given_that_there_is_one() -> None:
    chances = uniform(0.05, 0.95, 8, MOST, seed=1)

    probabilities = law("slots").probabilities(chances.logit())

    outcomes = torch.stack([brute_force(scene) for scene in chances])[:, 1:]
    assert worst(outcomes / outcomes.sum(-1, keepdim=True), probabilities) < 1e-9


@pytest.mark.parametrize("logit", [-20.0, -60.0, -300.0])
def test_slots_that_are_sure_of_silence_hold_one_source_at_the_most(logit: float) -> None:
    """Given that there is one: the smaller their chances, the surer."""
    probabilities = law("slots").probabilities(torch.full((1, MOST), logit))

    assert float(probabilities[0, 0]) > 1.0 - 1e-7


@pytest.mark.parametrize("logit", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_have_finite_gradients(kind: CountKind, logit: float) -> None:
    logits = torch.full((1, law(kind).width), logit, requires_grad=True)

    torch.autograd.backward(law(kind).probabilities(logits).log().sum())

    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
def test_a_temperature_of_one_changes_nothing(kind: CountKind) -> None:
    logits = drawn(kind)

    tempered = replace(law(kind), temperature=1.0)

    assert torch.equal(law(kind).probabilities(logits), tempered.probabilities(logits))
    assert torch.equal(law(kind).count(logits), tempered.count(logits))


@pytest.mark.parametrize("kind", KINDS)
def test_a_temperature_divides_the_logits(kind: CountKind) -> None:
    logits, plain = drawn(kind).double(), replace(law(kind), threshold=0.8)

    tempered = replace(plain, temperature=2.5)

    expected = plain.probabilities(logits / 2.5)
    assert worst(expected, tempered.probabilities(logits)) < 1e-9


@pytest.mark.parametrize("decision", ["probable", "useful"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_temperature_has_no_say_in_the_count(kind: CountKind, decision: CountDecision) -> None:
    """What was validated at temperature one is what is answered after the calibration."""
    logits, found = drawn(kind), uniform(-3.0, 3.0, len(drawn(kind)), law(kind).sources_max)
    plain = replace(law(kind), threshold=0.8, decision=decision)

    tempered = replace(plain, temperature=2.5)

    assert torch.equal(plain.decided(logits, found), tempered.decided(logits, found))


@pytest.mark.parametrize("kind", KINDS)
def test_heat_makes_a_count_less_certain(kind: CountKind) -> None:
    logits = drawn(kind)

    cold, hot = (replace(law(kind), temperature=each) for each in (0.5, 8.0))

    said = [each.probabilities(logits) for each in (cold, hot)]
    entropy = [torch.special.entr(each).sum(-1).mean() for each in said]
    assert float(entropy[0]) < 0.6 * math.log(MOST)
    assert float(entropy[1]) > 0.6 * math.log(MOST)
    assert float(entropy[1]) > float(entropy[0])


@pytest.mark.parametrize("kind", ["ordinal", "softmax"])
def test_the_answer_at_a_half_does_not_depend_on_the_temperature(kind: CountKind) -> None:
    logits = drawn(kind)

    laws = [replace(law(kind), temperature=each) for each in (0.3, 1.0, 9.0)]
    counts = {tuple(each.count(logits).tolist()) for each in laws}

    assert 1 == len(counts)


@pytest.mark.parametrize("kind", KINDS)
def test_the_useful_count_is_that_of_most_expected_hits_and_successes(kind: CountKind) -> None:
    """max over k of P(k) + P(k and all k are found)."""
    logits, found = drawn(kind), 3.0 * gaussian(64, MOST, seed=7).real.float()

    count = replace(law(kind), decision="useful").decided(logits, found)

    probable = law(kind).probabilities(logits)
    worth = probable + probable * found.double().sigmoid()
    best = worth.gather(-1, (count - 1).unsqueeze(-1)).squeeze(-1)
    assert worst(worth.amax(-1), best) < 1e-12
    assert not torch.equal(law(kind).count(logits), count)


@pytest.mark.parametrize("kind", ["softmax", "slots"])
@pytest.mark.parametrize("found", [-40.0, 0.0, 40.0])
def test_where_all_counts_are_found_alike_the_useful_one_is_the_probable_one(
    kind: CountKind, found: float
) -> None:
    logits = drawn(kind)

    count = replace(law(kind), decision="useful").decided(logits, torch.full((64, MOST), found))

    assert law(kind).count(logits).tolist() == count.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_probable_count_does_not_mind_what_would_be_found(kind: CountKind) -> None:
    logits, found = drawn(kind), 9.0 * gaussian(64, MOST, seed=7).real.float()

    assert torch.equal(law(kind).count(logits), law(kind).decided(logits, found))


def test_a_count_that_is_unlikely_is_not_made_useful_by_what_would_be_found() -> None:
    """Being found at most doubles what a count is worth."""
    logits = torch.tensor([[2.0, 0.9, 0.0, 0.0, 0.0]])
    found = torch.tensor([[-40.0, 40.0, 40.0, 40.0, 40.0]])

    assert [1] == replace(law("softmax"), decision="useful").decided(logits, found).tolist()


@pytest.mark.parametrize(("kind", "width"), [("ordinal", 4), ("softmax", 5), ("slots", 5)])
def test_heads_have_a_logit_a_step_a_class_or_a_slot(kind: CountKind, width: int) -> None:
    assert width == law(kind).width
