"""What Optuna stores of a dimension: words a person reads, and back to the very value."""

from collections.abc import Sequence

import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from pydantic import JsonValue, TypeAdapter

from risexp.hpo.search.distributions import distribution, labels, read, stored
from risexp.space.dimensions import Dimension
from tests.support.spaces import LEARNING, learning

DIMENSION: TypeAdapter[Dimension] = TypeAdapter(Dimension)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["dft", "random"], ["dft", "random"]),
        ([64, 128], [64, 128]),
        ([0, 0.5], [0, 0.5]),
        ([True, False], [True, False]),
        ([None, 4, 12], ["null", "4", "12"]),
        ([None, "joint"], ["null", "joint"]),
        ([True, 2], ["true", "2"]),
        ([[-5, 20], [0, 10]], ["[-5, 20]", "[0, 10]"]),
        ([None, "null"], ["null", '"null"']),
        ([4, "4"], ["4", '"4"']),
    ],
)
def test_options_are_shown_as_people_write_them(
    options: list[JsonValue], shown: Sequence[object]
) -> None:
    dimension = DIMENSION.validate_python({"kind": "choice", "options": options})

    assert labels(options) == shown
    assert [repr(read(dimension, label)) for label in shown] == [repr(each) for each in options]


@pytest.mark.parametrize("path", LEARNING)
def test_a_dimension_is_the_same_in_every_process(path: str) -> None:
    found = distribution(learning().vary[path])

    assert found == json_to_distribution(distribution_to_json(found))


def test_every_kind_is_drawn_from_as_it_is_written() -> None:
    found = {path: distribution(dimension) for path, dimension in learning().vary.items()}

    assert found["training.optimizer.lr"] == FloatDistribution(1e-4, 1e-2, log=True)
    assert found["loss.count"] == FloatDistribution(0.0, 2.0)
    assert found["network.depth"] == IntDistribution(1, 7, step=2)
    assert found["training.ema_decay"] == CategoricalDistribution(["null", "0.9", "0.999"])


def test_values_are_stored_and_read_back() -> None:
    vary = learning().vary
    values: dict[str, JsonValue] = {
        "training.optimizer.lr": 1.5e-3,
        "network.depth": 3,
        "count.kind": "softmax",
        "training.ema_decay": None,
    }

    kept = stored(vary, values)

    assert kept["training.ema_decay"] == "null"
    assert values == {path: read(vary[path], each) for path, each in kept.items()}
