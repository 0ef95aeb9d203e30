"""Layers against plain formulas."""

import torch
from torch import Tensor

from risexp.model.blocks import Attention, Residual, perceptron
from tests.support.scenes import gaussian, worst


def tokens(batch: int = 3, count: int = 5, width: int = 8) -> Tensor:
    return gaussian(batch, count, width, seed=2).real.float()


@torch.no_grad()
def plain_attention(block: Attention, given: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V of every head, then the perceptron, each added to what it saw."""
    width = given.shape[-1]
    query, key, value = block.mixed(block.before(given)).split(width, dim=-1)
    heads = [
        (q @ k.mT / (width / block.heads) ** 0.5).softmax(-1) @ v
        for q, k, v in zip(
            *(part.chunk(block.heads, dim=-1) for part in (query, key, value)), strict=True
        )
    ]
    seen: Tensor = given + block.joined(torch.cat(heads, dim=-1))
    changed: Tensor = seen + block.thought(block.after(seen))
    return changed


def test_a_perceptron_starts_with_nothing_to_say_and_can_learn_to() -> None:
    layers = perceptron(8, 16, 3)

    said = layers(tokens())

    assert (3, 5, 3) == tuple(said.shape)
    assert 0.0 == float(said.detach().abs().max())
    torch.autograd.backward(said.sum())
    last = layers[-1]
    assert isinstance(last, torch.nn.Linear)
    assert last.weight.grad is not None
    assert bool(last.weight.grad.any())


def test_attention_is_the_softmax_of_every_head() -> None:
    for heads in [1, 2, 4]:
        block = Attention(8, heads, dropout=0.0)
        given = tokens()

        seen = block(given)

        assert worst(plain_attention(block, given), seen.detach()) < 1e-5, heads


def test_a_residual_block_keeps_the_shape_of_an_image_and_adds_to_it() -> None:
    block = Residual(8, dropout=0.0)
    image = gaussian(2, 8, 7, 5, seed=4).real.float()
    last = block.block[-1]
    assert isinstance(last, torch.nn.Conv2d)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(0.25) if last.bias is not None else None

    assert torch.allclose(image + 0.25, block(image).detach())
