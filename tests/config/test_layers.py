"""Layers of a configuration: which one wins, and how a wrong one is refused."""

from pathlib import Path

import pytest

from risexp.config.layers import (
    Layer,
    Loaded,
    environment_layers,
    flatten,
    load_config,
    override_layer,
    preset_layer,
    preset_names,
    resolve,
)
from risexp.config.run import RunConfig, fields
from risexp.errors import ConfigInvalid

PATH = "physics.antennas"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def from_layers(folder: Path, last: str) -> Loaded:
    """The default and every layer up to the named one, each with its own number of antennas."""
    one = written(folder / "one.yaml", "physics: {antennas: 21}")
    two = written(folder / "two.yaml", "physics: {antennas: 22}")
    match last:
        case "default":
            return load_config()
        case "preset":
            return load_config(preset="smoke")
        case "file":
            return load_config(preset="smoke", paths=[one])
        case "second file":
            return load_config(preset="smoke", paths=[one, two])
        case "environment":
            return load_config(preset="smoke", paths=[one, two], environment=ENVIRONMENT)
    return load_config(
        preset="smoke",
        paths=[one, two],
        environment=ENVIRONMENT,
        overrides=["physics.antennas=24", "physics.antennas=25"],
    )


ENVIRONMENT = {"RISEXP__PHYSICS__ANTENNAS": "23"}


def test_later_layers_win_and_sign_their_values(tmp_path: Path) -> None:
    cases: list[tuple[str, int, str]] = [
        ("default", 16, "default"),
        ("preset", 8, "preset smoke"),
        ("file", 21, "{folder}/one.yaml"),
        ("second file", 22, "{folder}/two.yaml"),
        ("environment", 23, "environment RISEXP__PHYSICS__ANTENNAS"),
        ("set", 25, "--set"),
    ]
    for last, antennas, origin in cases:
        loaded = from_layers(tmp_path, last)

        assert antennas == loaded.config.physics.antennas, (last, antennas, origin)
        assert origin.format(folder=tmp_path) == loaded.origins[PATH], (last, antennas, origin)


def test_a_layer_speaks_only_for_the_fields_it_names(tmp_path: Path) -> None:
    loaded = from_layers(tmp_path, "set")

    assert "preset smoke" == loaded.origins["physics.elements_h"]
    assert "default" == loaded.origins["physics.snapshots"]
    assert 6 == loaded.config.physics.elements_h
    assert 16 == loaded.config.physics.snapshots


def test_every_field_has_an_origin() -> None:
    assert list(fields()) == list(load_config(preset="large-panel").origins)


def test_a_value_overruled_later_need_not_be_possible(tmp_path: Path) -> None:
    starved = written(tmp_path / "starved.yaml", "physics: {antennas: 1}")

    rescued = load_config(paths=[starved], overrides=["physics.antennas=12"])

    assert 12 == rescued.config.physics.antennas
    with pytest.raises(ConfigInvalid, match="1 antennas"):
        load_config(paths=[starved])


def test_a_file_may_nest_or_write_dotted_paths(tmp_path: Path) -> None:
    nested = written(tmp_path / "nested.yaml", "data:\n  seed: 3\n  sources_max: 2\n")
    dotted = written(tmp_path / "dotted.yaml", "data.seed: 3\ndata.sources_max: 2\n")

    assert load_config(paths=[nested]).config == load_config(paths=[dotted]).config


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    empty = written(tmp_path / "empty.yaml", "# nothing yet\n")

    loaded = load_config(paths=[empty])

    assert RunConfig() == loaded.config
    assert {"default"} == set(loaded.origins.values())


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


def test_an_override_without_path_or_value_is_told_its_form() -> None:
    for text in ["data.seed", "=3", "  =3", ""]:
        with pytest.raises(ConfigInvalid, match=r"is not of the form section\.field=value"):
            override_layer(text)


def test_the_environment_is_read_by_prefix_only() -> None:
    layers = environment_layers(
        {"RISEXP__DATA__SEED": "3", "RISEXP_HOME": "/somewhere", "SEED": "9", "HOME": "/root"}
    )

    assert layers == [Layer("environment RISEXP__DATA__SEED", {"data.seed": 3})]


def test_underscores_inside_a_name_survive_the_environment() -> None:
    loaded = load_config(environment={"RISEXP__PHYSICS__PHASE_BITS": "null"})

    assert loaded.config.physics.phase_bits is None


def test_a_wrong_layer_is_named_with_what_was_probably_meant() -> None:
    cases: list[tuple[dict[str, str | list[str] | dict[str, str]], str]] = [
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


def test_an_unknown_name_in_a_file_is_an_error(tmp_path: Path) -> None:
    cases: list[tuple[str, str]] = [
        ("data: {sede: 3}", "there is no field 'data.sede'; did you mean data.seed?"),
        ("sedes: 3", "there is no field 'sedes'; did you mean validation.scenes?"),
        ("data: {seed: {a: 3}}", "data.seed: input should be a valid integer"),
        ("data: {1: 3}", "there is no field 'data.1'"),
        ("losses: {count: 1.0}", "there is no field 'losses'"),
    ]
    for text, part in cases:
        path = written(tmp_path / "run.yaml", text)

        with pytest.raises(ConfigInvalid) as caught:
            load_config(paths=[path])

        assert part in str(caught.value), (text, part)


def test_a_section_given_no_mapping_is_told_that_it_is_a_section(tmp_path: Path) -> None:
    for text in ["physics: 3", "physics:", "physics: [1]"]:
        path = written(tmp_path / "run.yaml", text)

        with pytest.raises(ConfigInvalid, match="physics is a section"):
            load_config(paths=[path])


def test_an_origin_is_named_when_its_value_is_wrong(tmp_path: Path) -> None:
    path = written(tmp_path / "run.yaml", "data: {snr_db: [20, -5]}")

    with pytest.raises(ConfigInvalid) as caught:
        load_config(paths=[path])

    assert str(caught.value) == (
        f"data.snr_db = [20, -5] (from {path}): the lower bound 20 lies above the upper bound -5"
    )


def test_flatten_keeps_lists_whole() -> None:
    tree = {"data": {"snr_db": [0, 10]}, "physics.antennas": 12}

    assert {"data.snr_db": [0, 10], "physics.antennas": 12} == flatten(tree, "here")


def test_resolving_nothing_gives_the_default() -> None:
    assert RunConfig() == resolve([]).config


def test_every_preset_loads_and_sets_what_it_says() -> None:
    for name in preset_names():
        layer = preset_layer(name)

        loaded = load_config(preset=name)

        assert f"preset {name}" == layer.origin, name
        assert layer.values, name
        assert set(layer.values) == {
            path for path, origin in loaded.origins.items() if name in origin
        }, name
