"""A batch of tensors is cut, chosen from, replaced in and joined field by field."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from risexp.core.batch import TensorBatch


@dataclass(frozen=True)
class Row(TensorBatch):
    number: Tensor
    wide: Tensor


@dataclass(frozen=True)
class Nested(TensorBatch):
    row: Row
    flag: Tensor


def row(*numbers: float) -> Row:
    number = torch.tensor(numbers)
    return Row(number, number.unsqueeze(-1) * torch.tensor([1.0, 10.0]))


def values(batch: Row) -> list[list[float]]:
    return torch.cat([batch.number.unsqueeze(-1), batch.wide], dim=-1).tolist()


def test_scenes_are_chosen_and_replaced_in_every_field() -> None:
    one, other = row(1.0, 2.0, 3.0), row(7.0, 8.0, 9.0)

    chosen = one.where(torch.tensor([True, False, True]), other)
    replaced = one.replaced(torch.tensor([2, 0]), other[:2])

    assert values(row(1.0, 8.0, 3.0)) == values(chosen)
    assert values(row(8.0, 2.0, 7.0)) == values(replaced)


def test_nested_batches_are_cut_moved_and_joined() -> None:
    whole = Nested(row(1.0, 2.0, 3.0), torch.tensor([True, False, True]))

    parts = [whole[:1], whole[torch.tensor([False, True, True])].to("cpu")]
    joined = Nested.join(parts)

    assert ([1, 2], 3) == ([len(part) for part in parts], len(joined))
    assert values(whole.row) == values(joined.row)
    assert [True, False, True] == joined.flag.tolist()


def test_no_batch_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Row.join([])
