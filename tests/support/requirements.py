"""What some tests need of a machine: programs that a user may not have."""

import os
from typing import Final

import pytest

REQUIRE_ALL: Final = "RISEXP_REQUIRE_ALL"
"""Environment variable: set to 1, a missing program fails the test instead of skipping it."""


def require(available: bool, missing: str) -> None:
    """Skip the test with one sentence where a program is missing; fail it where all are demanded.

    Args:
        available: Whether the program is there.
        missing: What is missing and how to install it.
    """
    if available:
        return
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"{missing} ({REQUIRE_ALL}=1 demands it)", pytrace=False)
    pytest.skip(missing)
