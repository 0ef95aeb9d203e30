"""Search spaces as files: look-up by name, refusals, and differences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from risexp.core.home import home
from risexp.errors import ConfigInvalid, SpaceInvalid
from risexp.space.files import diff_spaces, load_space, space_paths
from risexp.space.spec import SearchSpace

MINIMAL = "trials: 4\nvary:\n  sampled.ridge: {kind: log, low: 1.0e-4, high: 1.0e-2}\n"


pytestmark = pytest.mark.usefixtures("own_home")


def place(folder: Path, name: str, text: str = MINIMAL) -> Path:
    path = folder / "search_spaces" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_home_is_the_current_folder_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = home()
    monkeypatch.delenv("RISEXP_HOME")
    unnamed = home()
    monkeypatch.setenv("RISEXP_HOME", "")

    assert tmp_path == named
    assert Path() == unnamed == home()


def test_a_space_is_found_by_name_in_the_home_before_the_shipped_ones_or_by_path(
    tmp_path: Path,
) -> None:
    assert {"smoke", "codes", "covariance"} <= set(space_paths())
    assert "smoke" == load_space("smoke").base
    address = "https://me:planted-secret@wiki"
    path = place(tmp_path, "mine", f"# mine: one knob, see {address}.\n{MINIMAL}")
    elsewhere = place(tmp_path, "smoke").rename(tmp_path / "elsewhere.yml")
    place(tmp_path, "smoke")

    mine, smoke, other = load_space("mine"), load_space("smoke"), load_space(str(elsewhere))

    assert path == space_paths()["mine"]
    assert ("mine", "one knob, see https://***@wiki.") == (mine.name, mine.about)
    assert (None, "") == (smoke.base, smoke.about)
    assert "elsewhere" == other.name
    with pytest.raises(ConfigInvalid, match=r"none\.yaml: No such file or directory"):
        load_space(str(tmp_path / "none.yaml"))


def test_an_unknown_name_is_told_the_known_ones() -> None:
    cases: list[tuple[str, str]] = [
        ("smok", "there is no search space 'smok'; did you mean smoke?"),
        ("qqq", "there is no search space 'qqq'; there are: codes, covariance, k_head"),
        ("", "there is no search space ''; there are: codes"),
        ("..", "there is no search space '..'; there are: codes"),
    ]
    for name, part in cases:
        with pytest.raises(SpaceInvalid) as caught:
            load_space(name)

        assert str(caught.value).startswith(part), (name, part)


VARY = "vary: {sampled.ridge: {kind: log, low: 0.1, high: 1.0}}\n"


def test_a_file_that_is_no_space_is_named_with_its_fault(tmp_path: Path) -> None:
    cases = [
        (VARY, "trials is missing"),
        ("", "trials is missing"),
        ("trials: four\n" + VARY, "trials = 'four'"),
        ("trials: 4\nvary: {}\n", "nothing varies"),
        ("trials: 4\nname: other\n" + VARY, "name comes from the file's name"),
        ("trials: 4\nabout: other\n" + VARY, "about comes from the file's name"),
        ("trials: 4\nvary: {sampled.ridge: {kind: lgo, low: 0.1, high: 1.0}}", "'lgo'"),
        ("trials: 4\nvary: {sampled.ridge: {kind: log, low: 1.0, high: 1.0}}", "low = 1 must lie"),
        ("trials: 4\nvary: {sampled.ridge: {kind: log, low: 0, high: 1}}", "must be positive"),
        ("trials: 4\nvary: {sampled.method: {kind: choice, options: [joint, joint]}}", "twice"),
        ("trials: 4\nfixed: {data.seed: 2001-01-01}\n" + VARY, "fixed"),
        ("trials: 4\ntrials: 5\n" + VARY, "duplicate key"),
        ("- 1\n", "holds no mapping"),
        ("trials: [\n", "line"),
    ]
    for text, part in cases:
        path = place(tmp_path, "broken", text)

        with pytest.raises((SpaceInvalid, ConfigInvalid)) as caught:
            load_space("broken")

        message = str(caught.value)
        assert message.startswith(str(path)), text
        assert part in message, text
        assert "\n" not in message, text


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


def space_of(**changes: object) -> SearchSpace:
    return SearchSpace.model_validate({**WIDE, **changes})


def varied(path: str, **changes: object) -> SearchSpace:
    return space_of(vary={**WIDE["vary"], path: {**WIDE["vary"][path], **changes}})


def test_names_orders_and_written_defaults_are_no_difference() -> None:
    reversed_ = space_of(
        vary=dict(reversed(WIDE["vary"].items())),
        forbid=[dict(reversed(WIDE["forbid"][0].items()))],
    )
    copy = space_of(name="narrow", about="the second sweep")

    for same in (copy, reversed_, varied("physics.phase_bits", step=1)):
        assert [] == diff_spaces(space_of(), same)


def test_one_change_is_one_row() -> None:
    asking = "when {'physics.codebook': 'dft'}, kind choice, options [None, 4]"
    forbidden = "forbid [('physics.codebook', 'dft'), ('physics.phase_bits', 1)]"
    ridge = "kind log, low 1e-05, high 0.1", "kind log, low 0.0001, high 0.01"
    cases: list[tuple[SearchSpace, tuple[str, str, str]]] = [
        (varied("sampled.ridge", low=1e-4, high=1e-2), ("vary sampled.ridge", *ridge)),
        (
            varied("physics.pool_h", when={}),
            ("vary physics.pool_h", asking, "kind choice, options [None, 4]"),
        ),
        (space_of(base=None), ("base", "smoke", "default")),
        (space_of(trials=8), ("trials", "24", "8")),
        (space_of(fixed={"data.seed": 4}), ("fixed data.seed", "3", "4")),
        (space_of(fixed={}), ("fixed data.seed", "3", "-")),
        (space_of(forbid=[]), (forbidden, "yes", "-")),
        (space_of(start={"sampled.ridge": 1e-2}), ("start sampled.ridge", "-", "0.01")),
        (
            space_of(sampler={"kind": "gp", "startup": 4}),
            ("sampler", "kind tpe", "kind gp, startup 4"),
        ),
        (space_of(pruner={"kind": "none"}), ("pruner", "kind median", "kind none")),
    ]
    for other, (what, before, after) in cases:
        ((row, *values),) = diff_spaces(space_of(), other)

        assert what == row
        assert [set(before.split(", ")), set(after.split(", "))] == [
            set(value.split(", ")) for value in values
        ]


def test_stages_and_what_they_keep_are_compared() -> None:
    stages = {"ridge": {"sampled.ridge": WIDE["vary"]["sampled.ridge"]}}
    other = {"bits": {"physics.phase_bits": WIDE["vary"]["physics.phase_bits"]}}
    staged = space_of(vary={}, stages=stages, keep={"k_acc": 0.05})

    renamed = diff_spaces(staged, space_of(vary={}, stages=stages, keep={"k_acc": 0.02}))
    moved = diff_spaces(staged, space_of(vary={}, stages=stages | other, keep={"k_acc": 0.05}))

    assert [("keep k_acc", "0.05", "0.02")] == renamed
    assert [("stage bits: physics.phase_bits", "-", "kind int, low 1, high 6")] == moved
