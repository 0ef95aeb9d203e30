"""Layers of a configuration: which one wins, and how a wrong one is refused."""

from pathlib import Path

import pytest

from risexp.config.layers import (
    Layer,
    Loaded,
    environment_layers,
    flatten,
    load_config,
    resolve,
)
from risexp.config.run import RunConfig
from risexp.errors import ConfigInvalid

PATH = "physics.antennas"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def from_layers(folder: Path, layers: int) -> Loaded:
    """The default and so many layers, each with its own number of antennas."""
    one = written(folder / "one.yaml", "physics: {antennas: 21}")
    two = written(folder / "two.yaml", "physics: {antennas: 22}")
    return load_config(
        preset="smoke" if layers > 0 else None,
        paths=[one, two][: max(layers - 1, 0)],
        environment={"RISEXP__PHYSICS__ANTENNAS": "23"} if layers > 3 else {},
        overrides=["physics.antennas=24", "physics.antennas=25"] if layers > 4 else [],
    )


def test_later_layers_win_and_sign_their_values(tmp_path: Path) -> None:
    cases: list[tuple[int, str]] = [
        (16, "default"),
        (8, "preset smoke"),
        (21, f"{tmp_path}/one.yaml"),
        (22, f"{tmp_path}/two.yaml"),
        (23, "environment RISEXP__PHYSICS__ANTENNAS"),
        (25, "--set"),
    ]
    for layers, (antennas, origin) in enumerate(cases):
        loaded = from_layers(tmp_path, layers)

        assert (antennas, origin) == (loaded.config.physics.antennas, loaded.origins[PATH])

    loaded = from_layers(tmp_path, 5)
    assert "preset smoke" == loaded.origins["physics.elements_h"]
    assert "default" == loaded.origins["physics.snapshots"]
    assert (6, 16) == (loaded.config.physics.elements_h, loaded.config.physics.snapshots)


def test_a_value_overruled_later_need_not_be_possible(tmp_path: Path) -> None:
    starved = written(tmp_path / "starved.yaml", "physics: {antennas: 1}")

    rescued = load_config(paths=[starved], overrides=["physics.antennas=12"])

    assert 12 == rescued.config.physics.antennas
    with pytest.raises(ConfigInvalid, match="1 antennas"):
        load_config(paths=[starved])


def test_a_file_may_nest_write_dotted_paths_or_be_empty(tmp_path: Path) -> None:
    nested = written(tmp_path / "nested.yaml", "data:\n  seed: 3\n  sources_max: 2\n")
    dotted = written(tmp_path / "dotted.yaml", "data.seed: 3\ndata.sources_max: 2\n")
    empty = load_config(paths=[written(tmp_path / "empty.yaml", "# nothing yet\n")])

    assert load_config(paths=[nested]).config == load_config(paths=[dotted]).config
    assert (RunConfig(), {"default"}) == (empty.config, set(empty.origins.values()))
    assert RunConfig() == resolve([]).config
    tree = {"data": {"snr_db": [0, 10]}, "physics.antennas": 12}
    assert {"data.snr_db": [0, 10], "physics.antennas": 12} == flatten(tree, "here")


def test_overrides_are_read_as_yaml() -> None:
    cases: list[tuple[str, str, object]] = [
        ("sampled.ridge=3e-4", "sampled.ridge", 3e-4),
        ("physics.phase_bits=null", "physics.phase_bits", None),
        ("physics.codebook=random", "physics.codebook", "random"),
        ("data.snr_db=[0, 10]", "data.snr_db", [0.0, 10.0]),
        (" data.seed = 5", "data.seed", 5),
    ]
    for text, path, value in cases:
        assert value == load_config(overrides=[text]).config.flat()[path], (text, path, value)


def test_the_environment_is_read_by_prefix_only_and_keeps_underscores() -> None:
    layers = environment_layers(
        {"RISEXP__DATA__SEED": "3", "RISEXP_HOME": "/somewhere", "SEED": "9", "HOME": "/root"}
    )
    loaded = load_config(environment={"RISEXP__PHYSICS__PHASE_BITS": "null"})

    assert [Layer("environment RISEXP__DATA__SEED", {"data.seed": 3})] == layers
    assert loaded.config.physics.phase_bits is None


def test_a_wrong_layer_is_named_with_what_was_probably_meant() -> None:
    cases: list[tuple[dict[str, str | list[str] | dict[str, str]], str]] = [
        ({"overrides": ["data.seed"]}, "--set 'data.seed' is not of the form section.field=value"),
        ({"overrides": ["  =3"]}, "is not of the form section.field=value"),
        ({"overrides": ["data.sed=3"]}, "'data.sed' (from --set); did you mean data.seed?"),
        (
            {"environment": {"RISEXP__DATA__SEDE": "3"}},
            "'data.sede' (from environment RISEXP__DATA__SEDE); did you mean data.seed?",
        ),
        ({"environment": {"RISEXP__": "3"}}, "there is no field ''"),
        ({"preset": "smokey"}, "there is no preset 'smokey'; did you mean smoke?"),
        ({"preset": "qqq"}, "there is no preset 'qqq'; there are base, equal-power"),
        ({"preset": "../smoke"}, "there is no preset '../smoke'"),
        ({"overrides": ["data.seed=x"]}, "data.seed = 'x' (from --set): input should be a valid"),
        (
            {"environment": {"RISEXP__DATA__SEED": "[1"}},
            "environment RISEXP__DATA__SEED: data.seed line 1:",
        ),
    ]
    for layer, part in cases:
        with pytest.raises(ConfigInvalid) as caught:
            load_config(**layer)  # type: ignore[arg-type]

        assert part in str(caught.value), (layer, part)
        assert "\n" not in str(caught.value), (layer, part)


def test_a_wrong_name_section_or_value_in_a_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    cases: list[tuple[str, str]] = [
        ("data: {sede: 3}", "there is no field 'data.sede'; did you mean data.seed?"),
        ("sedes: 3", "there is no field 'sedes'; did you mean validation.scenes?"),
        ("data: {seed: {a: 3}}", "data.seed: input should be a valid integer"),
        ("data: {1: 3}", "there is no field 'data.1'"),
        ("losses: {count: 1.0}", "there is no field 'losses'"),
        ("physics: 3", "physics is a section"),
        ("physics:", "physics is a section"),
        (
            "data: {snr_db: [20, -5]}",
            f"data.snr_db = [20, -5] (from {path}): the lower bound 20 lies above the upper",
        ),
    ]
    for text, part in cases:
        with pytest.raises(ConfigInvalid) as caught:
            load_config(paths=[written(path, text)])

        assert part in str(caught.value), (text, part)
