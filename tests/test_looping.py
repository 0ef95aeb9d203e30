"""The helper that runs one test over many cases: it runs them all, and hides no failure."""

import pytest

from tests.support.looping import for_each


def test_every_combination_is_run_once_beside_the_fixtures() -> None:
    seen: list[tuple[str, int, int]] = []

    @for_each("letter", "ab")
    @for_each(("one", "two"), [(1, 2), (3, 4)])
    def noted(device: str, letter: str, one: int, two: int) -> None:
        seen.append((device + letter, one, two))

    noted(device="cpu ")

    assert [("cpu a", 1, 2), ("cpu a", 3, 4), ("cpu b", 1, 2), ("cpu b", 3, 4)] == seen


def test_every_case_that_fails_is_named() -> None:
    @for_each("number", range(5))
    def odd(number: int) -> None:
        with pytest.raises(ZeroDivisionError):
            _ = 1 // (number % 2)

    with pytest.raises(AssertionError, match=r"(?s)^2 of 5 cases fail:.*number=1: .*number=3: "):
        odd()


def test_no_case_at_all_is_a_failure() -> None:
    with pytest.raises(ValueError, match="no case"):
        for_each("number", [])
