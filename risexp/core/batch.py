"""A dataclass of tensors with scenes along their first axis, cut, moved and joined together."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from risexp.errors import DataInvalid


class TensorBatch:
    """Base of frozen dataclasses whose fields are tensors (B, ...), such batches again, or None."""

    def __len__(self) -> int:
        return len(next(value for value in vars(self).values() if value is not None))

    def __getitem__(self, scenes: slice | Tensor) -> Self:
        shared = self.shared_fields()
        return type(self)(
            **{
                name: value if name in shared or value is None else value[scenes]
                for name, value in self.items()
            }
        )

    def split(self, size: int) -> list[Self]:
        """Parts of at most so many scenes; a batch of none is one part."""
        return [self[start : start + size] for start in range(0, max(len(self), 1), size)]

    def items(self) -> list[tuple[str, Any]]:
        """Name and value of every field, in the order they are declared."""
        return list(vars(self).items())

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return self._mapped(lambda value: None if value is None else value.to(device))

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
        shared = parts[0].shared_fields()
        columns = zip(*(part.items() for part in parts), strict=True)
        return parts[0] if len(parts) == 1 else cls(*(_joined(each, shared) for each in columns))

    def shared_fields(self) -> Collection[str]:
        """Names of fields that belong to all scenes: they are neither cut nor laid together."""
        return ()

    def _mapped(self, change: Callable[..., Any], *others: Self) -> Self:
        columns = zip(*(vars(batch).values() for batch in (self, *others)), strict=True)
        return type(self)(*(change(*values) for values in columns))


def _joined(column: tuple[tuple[str, Any], ...], shared: Collection[str]) -> Any:  # noqa: ANN401
    """One field of several batches: tensors or batches, one after another, or what they share."""
    (name, first), values = column[0], [value for _, value in column]
    if first is None or name in shared:
        for other in values:
            same = isinstance(first, Tensor) and isinstance(other, Tensor)
            if other is not first and not (same and torch.equal(first, other)):
                raise DataInvalid(f"the scenes to join do not share their {name}")
        return first
    return first.join(values) if isinstance(first, TensorBatch) else torch.cat(values)
