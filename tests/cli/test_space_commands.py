"""The commands that check, list, show and compare search spaces."""

import json
import shutil
from pathlib import Path

import pytest

from risexp.config.space_files import space_paths
from tests.commands import Capture, document, run

BROKEN = "trials: 4\nvary:\n  sampled.rigde: {kind: log, low: 1.0e-4, high: 1.0e-2}\n"


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
