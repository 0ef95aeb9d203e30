"""What differs between two spaces; a copy under another name differs in nothing (museum 30)."""

from collections.abc import Mapping
from typing import Any

import pytest

from risexp.space.diff import diff_spaces
from risexp.space.spec import SearchSpace

WIDE: Mapping[str, Any] = {
    "name": "wide",
    "about": "the first sweep",
    "base": "smoke",
    "trials": 24,
    "fixed": {"data.seed": 3},
    "vary": {
        "sampled.ridge": {"kind": "log", "low": 1e-5, "high": 1e-1},
        "physics.phase_bits": {"kind": "int", "low": 1, "high": 6},
        "physics.pool_h": {
            "kind": "choice",
            "options": [None, 4],
            "when": {"physics.codebook": "dft"},
        },
    },
    "forbid": [{"physics.phase_bits": 1, "physics.codebook": "dft"}],
}


def space(**changes: object) -> SearchSpace:
    return SearchSpace.model_validate({**WIDE, **changes})


def varied(path: str, **changes: object) -> SearchSpace:
    return space(vary={**WIDE["vary"], path: {**WIDE["vary"][path], **changes}})


def test_a_copy_under_another_name_differs_in_nothing() -> None:
    copy = space(name="narrow", about="the second sweep")

    assert diff_spaces(space(), copy) == []


def test_the_order_in_which_things_are_written_is_no_difference() -> None:
    reversed_ = space(
        vary=dict(reversed(WIDE["vary"].items())),
        forbid=[dict(reversed(WIDE["forbid"][0].items()))],
    )

    assert diff_spaces(space(), reversed_) == []


def test_a_default_written_out_is_no_difference() -> None:
    assert diff_spaces(space(), varied("physics.phase_bits", step=1)) == []


def test_a_narrower_range_is_a_difference() -> None:
    narrow = varied("sampled.ridge", low=1e-4, high=1e-2)

    rows = diff_spaces(space(), narrow)

    assert rows == [
        (
            "vary sampled.ridge",
            "kind log, low 1e-05, high 0.1",
            "kind log, low 0.0001, high 0.01",
        )
    ]


@pytest.mark.parametrize(
    ("other", "row"),
    [
        (space(base=None), ("base", "smoke", "default")),
        (space(trials=8), ("trials", "24", "8")),
        (space(fixed={"data.seed": 4}), ("fixed data.seed", "3", "4")),
        (space(fixed={}), ("fixed data.seed", "3", "-")),
        (
            space(forbid=[]),
            ("forbid [('physics.codebook', 'dft'), ('physics.phase_bits', 1)]", "yes", "-"),
        ),
        (
            varied("physics.phase_bits", kind="uniform", low=1.0, high=6.0),
            (
                "vary physics.phase_bits",
                "low 1, high 6, kind int",
                "low 1.0, high 6.0, kind uniform",
            ),
        ),
        (
            varied("physics.pool_h", when={}),
            (
                "vary physics.pool_h",
                "when {'physics.codebook': 'dft'}, kind choice, options [None, 4]",
                "kind choice, options [None, 4]",
            ),
        ),
        (space(start={"sampled.ridge": 1e-2}), ("start sampled.ridge", "-", "0.01")),
        (
            space(sampler={"kind": "gp", "startup": 4}),
            ("sampler", "kind tpe", "kind gp, startup 4"),
        ),
        (
            space(pruner={"kind": "median", "warmup": 6}),
            ("pruner", "kind median", "kind median, warmup 6"),
        ),
    ],
)
def test_one_change_is_one_row(other: SearchSpace, row: tuple[str, str, str]) -> None:
    rows = diff_spaces(space(), other)

    assert [row[0]] == [what for what, _, _ in rows]
    assert set(row[1].split(", ")) == set(rows[0][1].split(", "))
    assert set(row[2].split(", ")) == set(rows[0][2].split(", "))


def test_a_dimension_more_is_a_difference_seen_from_both_sides() -> None:
    fewer = space(vary={"sampled.ridge": WIDE["vary"]["sampled.ridge"]})

    forth, back = diff_spaces(space(), fewer), diff_spaces(fewer, space())

    assert {what for what, _, _ in forth} == {"vary physics.phase_bits", "vary physics.pool_h"}
    assert all(after == "-" for _, _, after in forth)
    assert {(what, after, before) for what, before, after in forth} == set(back)


def test_stages_and_what_they_keep_are_compared() -> None:
    stages = {"ridge": {"sampled.ridge": WIDE["vary"]["sampled.ridge"]}}
    other = {"bits": {"physics.phase_bits": WIDE["vary"]["physics.phase_bits"]}}
    staged = space(vary={}, stages=stages, keep={"k_acc": 0.05})

    renamed = diff_spaces(staged, space(vary={}, stages=stages, keep={"k_acc": 0.02}))
    moved = diff_spaces(staged, space(vary={}, stages=stages | other, keep={"k_acc": 0.05}))

    assert [("keep k_acc", "0.05", "0.02")] == renamed
    assert [("stage bits: physics.phase_bits", "-", "kind int, low 1, high 6")] == moved
