"""One test over many cases that take the same branch: it names the cases that fail, all of them."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps

import pytest

Test = Callable[..., None]


def for_each(names: str | tuple[str, ...], values: Iterable[object]) -> Callable[[Test], Test]:
    """Run a test for each value inside one case; may be stacked like `parametrize`.

    Args:
        names: The argument, or the arguments, that a value is passed as.
        values: One for each run; tuples where several arguments are named.
    """
    taken = (names,) if isinstance(names, str) else names
    rows = [dict(zip(taken, _row(names, value), strict=True)) for value in values]
    if not rows:
        message = f"there is no case of {names}"
        raise ValueError(message)

    def decorate(test: Test) -> Test:
        @wraps(test)
        def looped(**fixtures: object) -> None:
            failed: dict[str, BaseException] = {}
            for row in rows:
                try:
                    test(**fixtures, **row)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - named below
                    failed[", ".join(f"{name}={value!r}" for name, value in row.items())] = error
            if failed:
                told = "\n".join(f"{case}: {str(error)[:300]}" for case, error in failed.items())
                message = f"{len(failed)} of {len(rows)} cases fail:\n{told}"
                raise AssertionError(message) from next(iter(failed.values()))

        signature = inspect.signature(test)
        kept = [value for name, value in signature.parameters.items() if name not in taken]
        looped.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        looped.cases = len(rows) * getattr(test, "cases", 1)  # type: ignore[attr-defined]
        return looped

    return decorate


def _row(names: str | tuple[str, ...], value: object) -> tuple[object, ...]:
    if isinstance(names, str):
        return (value,)
    assert isinstance(value, tuple)
    return value
