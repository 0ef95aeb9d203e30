"""A dataclass of tensors with scenes along their first axis, cut, moved and joined together."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor


class TensorBatch:
    """Base of frozen dataclasses whose fields are tensors (B, ...), or such batches again."""

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def __getitem__(self, scenes: slice | Tensor) -> Self:
        return self._mapped(lambda value: value[scenes])

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return self._mapped(lambda value: value.to(device))

    def where(self, better: Tensor, other: Self) -> Self:
        """These scenes where `better` (B,) holds, the other's elsewhere."""
        return self._mapped(
            lambda mine, theirs: torch.where(better.view(-1, *[1] * (mine.ndim - 1)), mine, theirs),
            other,
        )

    def replaced(self, scenes: Tensor, others: Self) -> Self:
        """This batch with the named scenes taken from another, in their order."""
        return self._mapped(lambda mine, theirs: mine.index_copy(0, scenes, theirs), others)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The scenes of several batches, one after another.

        Raises:
            ValueError: There is no batch at all.
        """
        if not parts:
            message = "there is no batch to join: give at least one"
            raise ValueError(message)
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(map(_joined, columns)))

    def _mapped(self, change: Callable[..., Any], *others: Self) -> Self:
        columns = zip(*(vars(batch).values() for batch in (self, *others)), strict=True)
        return type(self)(*(change(*values) for values in columns))


def _joined(values: tuple[Any, ...]) -> Any:  # noqa: ANN401 - tensors or batches
    first = values[0]
    return first.join(values) if isinstance(first, TensorBatch) else torch.cat(values)
