from collections.abc import Callable

from risexp.runs.usage import Usage


def clock(*times: float) -> Callable[[], float]:
    left = iter(times)
    return lambda: next(left)


def test_cores_are_counted_since_the_last_look() -> None:
    usage = Usage(clock(0.0, 1e-3, 1e6))
    sum(number * number for number in range(200_000))

    busy, idle = usage()["cpu"], usage()["cpu"]

    assert busy > 1.0 > idle >= 0.0


def test_memory_is_that_of_a_process_which_has_loaded_torch() -> None:
    assert 50.0 < Usage()()["memory_mb"] < 1e6
