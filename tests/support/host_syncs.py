"""What makes a host wait for its device: a look at a value, or an operation that needs one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

LOOKS = ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__")
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero", "equal"}


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes operations for which a host waits: values asked for, and masks turned into places."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch gives it no type
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        name = func.overloadpacket.__name__
        masked = name.startswith("index") and any(
            isinstance(each, Tensor) and each.dtype == torch.bool
            for given in args
            if isinstance(given, list | tuple)
            for each in given
        )
        if name in WAITING or masked:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def looks(
    monkeypatch: pytest.MonkeyPatch, device: torch.device | None = None
) -> Iterator[list[str]]:
    """Notes every method by which Python looks at a value; on a GPU a wait is an error, too."""
    seen: list[str] = []

    def noting(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            seen.append(name)
            return plain(self, *args, **kwargs)

        return method

    with monkeypatch.context() as patched:
        for name in LOOKS:
            patched.setattr(Tensor, name, noting(name, getattr(Tensor, name)))
        if device is None or device.type != "cuda":
            yield seen
            return
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield seen
        finally:
            torch.cuda.set_sync_debug_mode("default")
