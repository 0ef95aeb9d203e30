"""The commands that write and verify frozen sets."""

import json
from pathlib import Path

from risexp.config.layers import load_config
from risexp.data.shards import FrozenSet
from tests.support.commands import GENERATE, Capture, document, run


def test_data_generate_says_what_it_writes_and_draws_once(capsys: Capture, tmp_path: Path) -> None:
    code, out, err = run(capsys, GENERATE)
    twice = document(capsys, GENERATE)
    again = run(capsys, GENERATE)

    digest = FrozenSet.open(tmp_path / "set").manifest.digest
    sha = load_config(preset="smoke").config.sha("physics", "data")
    assert 0 == code
    assert out.startswith("set: 6 scenes in ")
    assert out.endswith(f", digest {digest[:12]}\n")
    written = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*.npy"))
    sentence = f"6 test scenes, {written / 1000:.1f} kB, config {sha[:12]}\n"
    assert sentence == err
    assert twice.pop("seconds") >= 0.0
    assert twice == {
        "folder": "set",
        "split": "test",
        "scenes": 6,
        "bytes": written,
        "config_sha": sha,
        "digest": digest,
        "drawn": False,
    }
    assert (0, f"set already holds these 6 scenes, digest {digest[:12]}\n", sentence) == again


def test_data_verify_of_a_sound_set_and_of_a_damaged_one(capsys: Capture, tmp_path: Path) -> None:
    run(capsys, GENERATE)
    report = document(capsys, "data verify set")
    code, out, err = run(capsys, "data verify set")
    assert report.pop("seconds") >= 0.0
    assert {"folder", "sound", "faults", "scenes", "split", "digest"} == set(report)
    assert (True, [], 6) == (report["sound"], report["faults"], report["scenes"])
    assert (0, "") == (code, err)
    assert out.startswith("set: 6 scenes as listed, read in ")

    path = tmp_path / "set" / "shard-00000" / "channel.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    (tmp_path / "set" / "shard-00000" / "y.npy").unlink()
    code, out, err = run(capsys, "data verify set --json")
    missing, flipped = json.loads(out)["faults"]
    assert (4, "shard-00000/channel.npy") == (code, flipped["path"])
    assert flipped["problem"].startswith("SHA-256 is ")
    sentence = f"{missing['path']}: {missing['problem']} (and 1 more faults)"
    assert f"risexp: set is damaged: {sentence}\n" == err
    assert (4, "", err) == run(capsys, "data verify set")
