"""The commands: what stands on stdout, what on stderr, and the code they leave with."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from risexp import __version__
from risexp.cli.main import main
from risexp.config.layers import load_config, preset_names
from risexp.config.run import RunConfig, fields
from risexp.config.space_files import space_paths
from risexp.data.shards import FrozenSet
from risexp.errors import ConfigInvalid

Capture = pytest.CaptureFixture[str]

GENERATE = "data generate --out set --split test --scenes 6 --preset smoke"
BROKEN = "trials: 4\nvary:\n  sampled.rigde: {kind: log, low: 1.0e-4, high: 1.0e-2}\n"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs in an empty folder and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RISEXP_HOME", raising=False)
    for name in os.environ:
        if name.startswith("RISEXP__"):
            monkeypatch.delenv(name)


def run(capsys: Capture, command: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as left:
        main(command.split())
    said = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, said.out, said.err


def document(capsys: Capture, command: str) -> Any:  # noqa: ANN401 - any JSON document
    """The one JSON document of a command that succeeds."""
    code, out, _ = run(capsys, f"{command} --json")
    assert code == 0
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_without_arguments_the_help_is_shown(capsys: Capture) -> None:
    code, out, err = run(capsys, "")

    assert code == 2
    assert "Usage: risexp [OPTIONS] COMMAND" in out + err
    assert all(group in out + err for group in ("config", "data", "hpo", "show", "space"))


@pytest.mark.parametrize("group", ["config", "data", "show", "space"])
def test_a_group_without_a_command_shows_its_help(capsys: Capture, group: str) -> None:
    code, out, err = run(capsys, group)

    assert code == 2
    assert f"Usage: risexp {group} [OPTIONS] COMMAND" in out + err


@pytest.mark.parametrize("asked", ["--help", "-h", "data generate --help", "space check -h"])
def test_help_that_was_asked_for_is_a_result(capsys: Capture, asked: str) -> None:
    code, out, err = run(capsys, asked)

    assert code == 0
    assert out.startswith("Usage: risexp")
    assert err == ""


def test_the_exit_codes_are_documented_where_they_are_looked_for(capsys: Capture) -> None:
    _, out, _ = run(capsys, "--help")

    said = " ".join(out.split())
    assert "0 done; 1 the environment failed; 2 what was given is invalid" in said


def test_the_version_is_printed(capsys: Capture) -> None:
    assert run(capsys, "--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "command", ["--debug config show --set a.b=1", "config show -s a.b=1 --debug"]
)
def test_debug_raises_wherever_it_stands(command: str) -> None:
    with pytest.raises(ConfigInvalid, match="there is no field"):
        main(command.split())


def test_debug_changes_nothing_where_nothing_is_wrong(capsys: Capture) -> None:
    assert run(capsys, "--debug --version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("datta verify x", "'data'"),
        ("data generat", "'generate'"),
        ("config shw", "'show'"),
        ("space lst", "'list'"),
        ("config show --orign", "--origin"),
        ("data generate --scens 3", "--scenes"),
    ],
)
def test_a_mistyped_word_is_told_the_right_one(capsys: Capture, command: str, meant: str) -> None:
    code, _, err = run(capsys, command)

    assert code == 2
    assert meant in err


def test_an_interrupt_leaves_with_130(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)

    code, out, err = run(capsys, GENERATE)

    assert (code, out) == (130, "")
    assert err.splitlines()[-1].startswith("risexp: interrupted")
    assert list(tmp_path.iterdir()) == []


def test_a_termination_leaves_with_75_and_the_same_command_continues(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save, handler = np.save, signal.getsignal(signal.SIGTERM)
    calls = iter(range(1, 1000))

    def terminated(file: BinaryIO, array: NDArray[Any], *, allow_pickle: bool) -> None:
        if next(calls) == 5:
            file.write(b"half an arr")
            os.kill(os.getpid(), signal.SIGTERM)
        save(file, array, allow_pickle=allow_pickle)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", terminated)
        code, out, err = run(capsys, GENERATE)
    signal.signal(signal.SIGTERM, handler)
    left = list(tmp_path.iterdir())

    assert (code, out) == (75, "")
    assert err.splitlines()[-1].startswith("risexp: ")
    assert left == []
    assert run(capsys, GENERATE)[0] == 0


@pytest.mark.parametrize("device", ["cpu:x", "cpu:", "cpu:-1"])
def test_a_device_with_no_number_is_invalid(capsys: Capture, device: str) -> None:
    code, _, err = run(capsys, f"{GENERATE} --device {device}")

    assert code == 2
    assert f"--device '{device}'" in err


def test_debug_alone_shows_the_help(capsys: Capture) -> None:
    code, out, err = run(capsys, "--debug")

    assert code == 2
    assert "Usage: risexp" in out + err


def test_an_unforeseen_error_is_one_sentence_that_says_how_to_see_more(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: str) -> str:
        message = "over\nseveral lines"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("risexp.cli.config.describe", broken)

    code, _, err = run(capsys, "config show")

    assert code == 1
    assert err == "risexp: ZeroDivisionError: over several lines; --debug shows where\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    program = "from risexp.cli.main import main; main(['config', 'show', '--origin'])"
    reading, writing = os.pipe()
    os.close(reading)

    left = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (left.returncode, left.stderr) == (0, b"")


def test_config_show_prints_every_field_with_its_meaning(capsys: Capture) -> None:
    code, out, err = run(capsys, "config show --preset smoke --set data.seed=7")

    lines = {line.split()[0]: line for line in out.splitlines()}
    assert (code, err) == (0, "")
    assert set(fields()) <= set(lines)
    assert "  7  " in lines["data.seed"]
    assert lines["data.seed"].endswith(
        "Names the family of streams from which every split is drawn."
    )


def test_config_show_says_who_set_each_value(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text("data: {sources_max: 2}", encoding="utf-8")
    monkeypatch.setenv("RISEXP__DATA__SEPARATION_DEG", "4")
    command = "config show --preset smoke --config run.yaml --set data.seed=7 --origin"

    _, out, _ = run(capsys, command)
    said = document(capsys, command)

    lines = {line.split()[0]: line for line in out.splitlines()}
    expected = {
        "physics.elements_h": "preset smoke",
        "data.sources_max": "run.yaml",
        "data.separation_deg": "environment RISEXP__DATA__SEPARATION_DEG",
        "data.seed": "--set",
        "data.snr_db": "default",
    }
    assert expected == {path: said["origins"][path] for path in expected}
    assert all(f"  {origin}  " in lines[path] for path, origin in expected.items())


def test_config_show_as_json_is_the_configuration_and_its_hash(capsys: Capture) -> None:
    said = document(capsys, "config show --preset smoke")

    config = load_config(preset="smoke").config
    assert set(said) == {"config", "config_sha", "origins"}
    assert config == RunConfig.model_validate_json(json.dumps(said["config"]))
    assert config.sha() == said["config_sha"]
    assert set(fields()) == set(said["origins"])


def test_config_schema_is_a_json_schema(capsys: Capture) -> None:
    code, out, err = run(capsys, "config schema")

    assert (code, err) == (0, "")
    assert RunConfig.model_json_schema() == json.loads(out)


def test_config_diff_names_the_fields_that_differ(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("physics: {wavefront: parabolic}", encoding="utf-8")

    assert document(capsys, "config diff parabolic run.yaml") == {}
    assert document(capsys, "config diff run.yaml equal-power") == {
        "physics.wavefront": ["parabolic", "spherical"],
        "physics.power": ["free_space", "equal"],
    }
    code, out, _ = run(capsys, "config diff run.yaml equal-power")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["field", "run.yaml", "equal-power"],
        ["physics.wavefront", "parabolic", "spherical"],
        ["physics.power", "free_space", "equal"],
    ]
    same = "parabolic and run.yaml are the same configuration\n"
    assert run(capsys, "config diff parabolic run.yaml") == (0, same, "")


def test_config_diff_knows_the_default(capsys: Capture) -> None:
    said = document(capsys, "config diff default equal-power")

    assert said == {"physics.power": ["free_space", "equal"]}


def test_space_check_proves_every_shipped_space(capsys: Capture) -> None:
    code, out, err = run(capsys, "space check")
    said = document(capsys, "space check")

    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["ok"] * len(said)
    assert set(space_paths()) == set(said)
    for report in said.values():
        assert report["sound"] is True
        assert report["problems"] == []
        assert 0.0 <= report["forbidden_share"] < 0.9


def test_space_check_of_a_broken_space_says_so_in_json_too(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN, encoding="utf-8")

    code, out, err = run(capsys, "space check smoke broken.yaml --json")

    said = json.loads(out)
    problem = "vary: there is no field 'sampled.rigde'; did you mean sampled.ridge?"
    assert code == 2
    assert err == f"risexp: space broken: {problem}\n"
    assert said["broken"]["problems"] == [problem]
    assert (said["broken"]["sound"], said["smoke"]["sound"]) == (False, True)


def test_space_list_names_every_space_with_what_it_is_about(capsys: Capture) -> None:
    code, out, err = run(capsys, "space list")
    said = document(capsys, "space list")

    assert (code, err) == (0, "")
    assert set(space_paths()) == set(said) == {line.split()[0] for line in out.splitlines()[1:]}
    assert said["smoke"]["base"] == "smoke"
    assert said["smoke"]["trials"] == 4
    assert said["smoke"]["about"] in out


def test_space_list_sees_the_home(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home" / "search_spaces").mkdir(parents=True)
    mine = tmp_path / "home" / "search_spaces" / "mine.yaml"
    mine.write_text(BROKEN.replace("rigde", "ridge"), encoding="utf-8")
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "home"))

    assert document(capsys, "space list")["mine"]["path"] == str(mine)
    assert document(capsys, "space check mine")["mine"]["sound"] is True


def test_space_show_prints_what_varies_and_when(capsys: Capture) -> None:
    code, out, err = run(capsys, "space show codes")
    said = document(capsys, "space show codes")

    assert (code, err) == (0, "")
    pool = next(line for line in out.splitlines() if line.startswith("physics.pool_h"))
    assert "physics.codebook = ['dft', 'balanced']" in pool
    assert (
        "forbid  physics.codebook = ['dft', 'balanced'] and physics.phase_bits = 1"
        in out.splitlines()
    )
    assert set(said["vary"]) == {
        *("physics.codebook", "physics.phase_bits", "physics.pool_h", "physics.pool_v"),
    }


def test_space_show_of_a_broken_space_is_a_sentence(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN, encoding="utf-8")

    code, _, err = run(capsys, "space show broken.yaml")

    assert code == 2
    assert "sampled.rigde" in err
    assert "did you mean sampled.ridge?" in err


def test_space_diff_of_a_copy_is_empty(capsys: Capture, tmp_path: Path) -> None:
    shutil.copy(space_paths()["smoke"], tmp_path / "narrow.yaml")

    assert document(capsys, "space diff smoke narrow.yaml") == []
    said = "smoke and narrow.yaml search the same\n"
    assert run(capsys, "space diff smoke narrow.yaml") == (0, said, "")


def test_space_diff_names_what_differs(capsys: Capture) -> None:
    said = document(capsys, "space diff smoke covariance")
    _, out, _ = run(capsys, "space diff smoke covariance")

    assert {"what": "base", "smoke": "smoke", "covariance": "default"} in said
    assert {row["what"] for row in said} == {
        *("base", "trials", "vary sampled.ridge", "vary sampled.method"),
    }
    assert len(out.splitlines()) == len(said) + 1


def test_hpo_says_in_one_sentence_that_it_does_not_exist_yet(capsys: Capture) -> None:
    code, out, err = run(capsys, "hpo --space smoke")

    assert (code, out) == (2, "")
    assert err.startswith("risexp: the search over 'smoke' is not built yet")
    assert err.count("\n") == 1


def test_data_generate_says_what_it_will_write_and_then_what_it_wrote(
    capsys: Capture, tmp_path: Path
) -> None:
    code, out, err = run(capsys, GENERATE)

    digest = FrozenSet.open(tmp_path / "set").manifest.digest
    sha = load_config(preset="smoke").config.sha("physics", "data")
    assert code == 0
    assert out.startswith("set: 6 scenes in ")
    assert out.endswith(f", digest {digest[:12]}\n")
    written = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.npy"))
    assert err == f"6 test scenes, {written / 1000:.1f} kB, config {sha[:12]}\n"


def test_data_generate_twice_draws_once(capsys: Capture) -> None:
    once, twice = document(capsys, GENERATE), document(capsys, GENERATE)
    code, out, _ = run(capsys, GENERATE)

    assert (once.pop("drawn"), twice.pop("drawn")) == (True, False)
    assert (once.pop("seconds"), twice.pop("seconds")) >= (0.0, 0.0)
    assert once == twice
    assert set(once) == {"folder", "split", "scenes", "bytes", "config_sha", "digest"}
    assert (code, out) == (0, f"set already holds these 6 scenes, digest {once['digest'][:12]}\n")


def test_data_generate_takes_its_configuration_from_every_layer(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text("data: {sources_max: 2}", encoding="utf-8")
    monkeypatch.setenv("RISEXP__DATA__SEED", "11")

    run(capsys, f"{GENERATE} -c run.yaml -s data.snr_db=[0,1]")

    config = FrozenSet.open(tmp_path / "set").manifest.config
    assert config.physics.elements_h == 6
    assert config.data.sources_max == 2
    assert config.data.seed == 11
    assert config.data.snr_db == (0.0, 1.0)


def test_data_verify_of_a_sound_set(capsys: Capture) -> None:
    run(capsys, GENERATE)

    said = document(capsys, "data verify set")
    code, out, err = run(capsys, "data verify set")

    assert said.pop("seconds") >= 0.0
    assert set(said) == {"folder", "sound", "faults", "scenes", "split", "digest"}
    assert (said["sound"], said["faults"], said["scenes"]) == (True, [], 6)
    assert (code, err) == (0, "")
    assert out.startswith("set: 6 scenes as listed, read in ")


def test_data_verify_of_a_flipped_byte_exits_4_and_names_the_file(
    capsys: Capture, tmp_path: Path
) -> None:
    run(capsys, GENERATE)
    path = tmp_path / "set" / "shard-00000" / "channel.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x80
    path.write_bytes(bytes(data))

    code, out, err = run(capsys, "data verify set --json")
    plain = run(capsys, "data verify set")

    assert code == 4
    (fault,) = json.loads(out)["faults"]
    assert fault["path"] == "shard-00000/channel.npy"
    assert fault["problem"].startswith("SHA-256 is ")
    assert err == f"risexp: set is damaged: shard-00000/channel.npy: {fault['problem']}\n"
    assert plain == (4, "", err)


def test_commands_that_read_a_damaged_set_exit_2(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, GENERATE)
    (tmp_path / "set" / "shard-00000" / "y.npy").unlink()

    code, out, err = run(capsys, "show scene set")

    assert (code, out) == (2, "")
    assert err == "risexp: shard-00000/y.npy: the file is missing\n"
    assert not (tmp_path / "scene-0.png").exists()


def test_several_faults_are_counted(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, GENERATE)
    for field in ("y", "codes", "count"):
        (tmp_path / "set" / "shard-00000" / f"{field}.npy").unlink()

    code, _, err = run(capsys, "data verify set")

    assert code == 4
    assert err.endswith("the file is missing (and 2 more faults)\n")


def scene_with_most_sources(folder: Path) -> int:
    return int(FrozenSet.open(folder).scenes(0, 6).truth.count.argmax())


def test_show_scene_draws_a_picture(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, GENERATE)
    index = scene_with_most_sources(tmp_path / "set")

    code, out, err = run(capsys, f"show scene set --index {index}")

    assert (code, err) == (0, "")
    assert out.startswith(f"test scene {index} at ")
    assert f"drawn in scene-{index}.png" in out
    with Image.open(tmp_path / f"scene-{index}.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        shades = np.asarray(picture.convert("L"))
    assert int(shades.max()) - int(shades.min()) > 200
    assert len(np.unique(shades)) > 50


def test_show_scene_lists_the_sources_strongest_first(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, GENERATE)
    index = scene_with_most_sources(tmp_path / "set")

    said = document(capsys, f"show scene set --index {index} --out deep.png")
    _, out, _ = run(capsys, f"show scene set --index {index}")

    true = FrozenSet.open(tmp_path / "set").scenes(index, 1)
    levels = [source["snr_db"] for source in said["sources"]]
    assert set(said) == {"index", "split", "snr_db", "sources", "picture"}
    assert said["picture"] == "deep.png"
    assert (tmp_path / "deep.png").exists()
    assert len(levels) == int(true.truth.count[0]) > 1
    assert sorted(levels, reverse=True) == levels
    assert [line.split()[-1] for line in out.splitlines()[2:]] == [f"{db:.1f}" for db in levels]
    # Together, up to their interference, the sources are as loud as the scene.
    total = 10.0 * math.log10(sum(10.0 ** (level / 10.0) for level in levels))
    assert pytest.approx(said["snr_db"], abs=4.0) == total


@pytest.mark.parametrize("symbols", ["frame", "snapshot"])
def test_show_scene_of_a_single_loud_source_peaks_where_it_stands(
    capsys: Capture, tmp_path: Path, symbols: str
) -> None:
    fixed = "-s data.sources_max=1 -s data.snr_db=[40,40] -s data.phi_deg=[19.9,20.1]"
    run(capsys, f"{GENERATE} {fixed} -s physics.symbols={symbols}")

    said = document(capsys, "show scene set")

    (source,) = said["sources"]
    assert pytest.approx(20.0, abs=0.1) == source["phi_deg"]
    assert pytest.approx(40.0, abs=0.1) == source["snr_db"]
    true = FrozenSet.open(tmp_path / "set").scenes(0, 1).truth
    assert torch.rad2deg(true.theta_rad[0, 0]).item() == pytest.approx(
        source["theta_deg"], abs=1e-3
    )


def test_show_scene_of_a_field_of_one_direction_says_nothing_on_stderr(capsys: Capture) -> None:
    run(capsys, f"{GENERATE} -s data.phi_deg=[10,10] -s data.theta_deg=[0,0]")

    code, _, err = run(capsys, "show scene set")

    assert (code, err) == (0, "")


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_can_be_generated_and_verified(capsys: Capture, preset: str) -> None:
    made = run(capsys, f"data generate --out set --split validation --scenes 1 -p {preset}")
    checked = run(capsys, "data verify set")

    assert [code for code, _, _ in (made, checked)] == [0, 0]


def test_a_table_that_is_piped_has_no_ornaments(capsys: Capture) -> None:
    _, out, _ = run(capsys, "space list")

    assert out.isascii()
    assert "\x1b" not in out
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_a_process_that_is_asked_to_end_says_so_and_can_be_continued(tmp_path: Path) -> None:
    program = """
import os, signal
from risexp.cli import main, space
space.space_paths = lambda: os.kill(os.getpid(), signal.SIGTERM)
main.main(["space", "list"])
"""

    ended = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert ended.returncode == 75
    assert ended.stderr == ("risexp: interrupted; nothing half-written was left\n")
