"""The commands that write and verify frozen sets."""

import json
from pathlib import Path

import pytest

from risexp.config.layers import load_config, preset_names
from risexp.data.shards import FrozenSet
from tests.support.commands import GENERATE, Capture, document, run


def test_a_device_with_no_number_is_invalid(capsys: Capture) -> None:
    for device in ("cpu:x", "cpu:", "cpu:-1"):
        code, _, err = run(capsys, f"{GENERATE} --device {device}")

        assert 2 == code
        assert f"--device '{device}'" in err


def test_data_generate_says_what_it_will_write_and_then_what_it_wrote(
    capsys: Capture, tmp_path: Path
) -> None:
    code, out, err = run(capsys, GENERATE)

    digest = FrozenSet.open(tmp_path / "set").manifest.digest
    sha = load_config(preset="smoke").config.sha("physics", "data")
    assert 0 == code
    assert out.startswith("set: 6 scenes in ")
    assert out.endswith(f", digest {digest[:12]}\n")
    written = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.npy"))
    assert f"6 test scenes, {written / 1000:.1f} kB, config {sha[:12]}\n" == err


def test_data_generate_twice_draws_once(capsys: Capture) -> None:
    once, twice = document(capsys, GENERATE), document(capsys, GENERATE)
    code, out, _ = run(capsys, GENERATE)

    assert (once.pop("drawn"), twice.pop("drawn")) == (True, False)
    assert (once.pop("seconds"), twice.pop("seconds")) >= (0.0, 0.0)
    assert once == twice
    assert {"folder", "split", "scenes", "bytes", "config_sha", "digest"} == set(once)
    assert (code, out) == (0, f"set already holds these 6 scenes, digest {once['digest'][:12]}\n")


def test_data_generate_takes_its_configuration_from_every_layer(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "run.yaml").write_text("data: {sources_max: 2}", encoding="utf-8")
    monkeypatch.setenv("RISEXP__DATA__SEED", "11")

    run(capsys, f"{GENERATE} -c run.yaml -s data.snr_db=[0,1]")

    config = FrozenSet.open(tmp_path / "set").manifest.config
    assert 6 == config.physics.elements_h
    assert 2 == config.data.sources_max
    assert 11 == config.data.seed
    assert (0.0, 1.0) == config.data.snr_db


def test_data_verify_of_a_sound_set(capsys: Capture) -> None:
    run(capsys, GENERATE)

    said = document(capsys, "data verify set")
    code, out, err = run(capsys, "data verify set")

    assert said.pop("seconds") >= 0.0
    assert {"folder", "sound", "faults", "scenes", "split", "digest"} == set(said)
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

    assert 4 == code
    (fault,) = json.loads(out)["faults"]
    assert "shard-00000/channel.npy" == fault["path"]
    assert fault["problem"].startswith("SHA-256 is ")
    assert f"risexp: set is damaged: shard-00000/channel.npy: {fault['problem']}\n" == err
    assert (4, "", err) == plain


def test_commands_that_read_a_damaged_set_exit_2(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, GENERATE)
    (tmp_path / "set" / "shard-00000" / "y.npy").unlink()

    code, out, err = run(capsys, "show scene set")

    assert (code, out) == (2, "")
    assert "risexp: shard-00000/y.npy: the file is missing\n" == err
    assert not (tmp_path / "scene-0.png").exists()


def test_several_faults_are_counted(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, GENERATE)
    for field in ("y", "codes", "count"):
        (tmp_path / "set" / "shard-00000" / f"{field}.npy").unlink()

    code, _, err = run(capsys, "data verify set")

    assert 4 == code
    assert err.endswith("the file is missing (and 2 more faults)\n")


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_can_be_generated_and_verified(capsys: Capture, preset: str) -> None:
    made = run(capsys, f"data generate --out set --split validation --scenes 1 -p {preset}")
    checked = run(capsys, "data verify set")

    assert [0, 0] == [code for code, _, _ in (made, checked)]
