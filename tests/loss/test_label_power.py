"""Which terms see the powers of the label, and so how it is compressed."""

import pytest
import torch

from risexp.config.learning import LABELLED
from risexp.loss.terms import TERMS
from tests.support.predictions import guess_of, random_prediction, small_scenes, target_of


@pytest.mark.parametrize("name", TERMS)
def test_a_term_sees_the_label_s_powers_if_it_is_said_to(name: str) -> None:
    linear, compressed = target_of(small_scenes()), target_of(small_scenes(), "compressed")
    prediction = random_prediction(linear)

    values = [TERMS[name](guess_of(prediction, each)) for each in (linear, compressed)]

    assert torch.equal(*values) == (name not in LABELLED)
