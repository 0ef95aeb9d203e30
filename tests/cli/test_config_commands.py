"""The commands that show, describe and compare configurations."""

import json
from pathlib import Path

import pytest

from risexp.config.layers import load_config
from risexp.config.run import RunConfig, fields
from tests.support.commands import Capture, document, run


def test_config_show_prints_every_field_with_its_meaning(capsys: Capture) -> None:
    command = "config show --preset smoke --set data.seed=7"

    code, out, err = run(capsys, command)
    output = document(capsys, command)

    lines = {line.split()[0]: line for line in out.splitlines()}
    assert (0, "") == (code, err)
    assert set(fields()) <= set(lines)
    assert "  7  " in lines["data.seed"]
    assert lines["data.seed"].endswith("Seed of all splits.")
    config = load_config(preset="smoke", overrides=["data.seed=7"]).config
    assert {"config", "config_sha", "origins"} == set(output)
    assert config == RunConfig.model_validate_json(json.dumps(output["config"]))
    assert config.sha() == output["config_sha"]
    assert set(fields()) == set(output["origins"])


def test_config_show_says_who_set_each_value(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text("data: {sources_max: 2}", encoding="utf-8")
    monkeypatch.setenv("RISEXP__DATA__SEPARATION_DEG", "4")
    command = "config show --preset smoke --config run.yaml --set data.seed=7 --origin"

    _, out, _ = run(capsys, command)
    output = document(capsys, command)

    lines = {line.split()[0]: line for line in out.splitlines()}
    expected = {
        "physics.elements_h": "preset smoke",
        "data.sources_max": "run.yaml",
        "data.separation_deg": "environment RISEXP__DATA__SEPARATION_DEG",
        "data.seed": "--set",
        "data.snr_db": "default",
    }
    assert expected == {path: output["origins"][path] for path in expected}
    assert all(f"  {origin}  " in lines[path] for path, origin in expected.items())


def test_config_schema_is_a_json_schema(capsys: Capture) -> None:
    code, out, err = run(capsys, "config schema")

    assert (0, "") == (code, err)
    assert RunConfig.model_json_schema() == json.loads(out)


def test_config_diff_names_the_fields_that_differ(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("physics: {wavefront: parabolic}", encoding="utf-8")

    assert {} == document(capsys, "config diff parabolic run.yaml")
    assert {
        "physics.wavefront": ["parabolic", "spherical"],
        "physics.power": ["free_space", "equal"],
    } == document(capsys, "config diff run.yaml equal-power")
    code, out, _ = run(capsys, "config diff run.yaml equal-power")
    assert 0 == code
    assert [
        ["field", "run.yaml", "equal-power"],
        ["physics.wavefront", "parabolic", "spherical"],
        ["physics.power", "free_space", "equal"],
    ] == [line.split() for line in out.splitlines()]
    same = "parabolic and run.yaml are the same configuration\n"
    assert run(capsys, "config diff parabolic run.yaml") == (0, same, "")
