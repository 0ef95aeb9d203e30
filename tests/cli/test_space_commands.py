"""The commands that check, list, show and compare search spaces."""

import json
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from risexp.app.space import probe as space_probe
from risexp.app.space.probe import Trace
from risexp.config.run import RunConfig
from risexp.hpo.store.store import open_store
from risexp.hpo.studies.start import StudyStart
from risexp.space.files import load_space, space_paths
from risexp.space.study_spec import StudySpec
from tests.support.commands import Capture, document, refused, run
from tests.support.studies import had

SOUND = "trials: 4\nvary:\n  sampled.ridge: {kind: log, low: 1.0e-4, high: 1.0e-2}\n"
BROKEN = SOUND.replace("ridge", "rigde")


def test_space_check_of_a_broken_space_says_so_in_json_too(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN, encoding="utf-8")

    code, out, err = run(capsys, "space check smoke broken.yaml --json")

    output = json.loads(out)
    problem = "vary: there is no field 'sampled.rigde'; did you mean sampled.ridge?"
    assert (2, f"risexp: space broken: {problem}\n") == (code, err)
    assert (False, [problem]) == (output["broken"]["sound"], output["broken"]["problems"])
    smoke = output["smoke"]
    assert (True, [], []) == (smoke["sound"], smoke["problems"], smoke["notes"])
    assert 0.0 <= smoke["forbidden_share"] < 0.9


def test_space_list_names_every_space_with_what_it_is_about(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "home" / "search_spaces").mkdir(parents=True)
    mine = tmp_path / "home" / "search_spaces" / "mine.yaml"
    mine.write_text(SOUND, encoding="utf-8")
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path / "home"))

    code, out, err = run(capsys, "space list")
    output = document(capsys, "space list")

    assert (0, "") == (code, err)
    assert set(space_paths()) == set(output) == {line.split()[0] for line in out.splitlines()[1:]}
    assert str(mine) == output["mine"]["path"]
    assert "smoke" == output["smoke"]["base"]
    assert (8, 5) == (output["smoke"]["trials"], output["smoke"]["dimensions"])
    assert (6, 6) == (output["structure"]["dimensions"], len(output["structure"]["stages"]))
    assert output["smoke"]["about"] in out


def test_space_show_prints_what_varies_and_when(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"{SOUND}start: {{sampled.ridge: 2.0e-3}}\n", "utf-8")

    code, out, err = run(capsys, "space show codes")
    output = document(capsys, "space show codes")
    _, of_stages, _ = run(capsys, "space show structure")
    _, started, _ = run(capsys, "space show mine.yaml")

    assert (0, "") == (code, err)
    pool = next(line for line in out.splitlines() if line.startswith("physics.pool_h"))
    assert "physics.codebook = ['dft', 'balanced']" in pool
    forbidden = "physics.codebook = ['dft', 'balanced'] and physics.phase_bits = 1"
    assert f"forbid  {forbidden}" in out.splitlines()
    fields = ("physics.codebook", "physics.phase_bits", "physics.pool_h", "physics.pool_v")
    assert {*fields} == set(output["vary"])
    assert "base small, 4 trials a stage" in of_stages.splitlines()
    assert "loss.subspace" in of_stages
    assert "pruner  kind none" in of_stages.splitlines()
    assert "start   sampled.ridge = 0.002" in started.splitlines()
    assert any(line.startswith("sampler seed 0, kind tpe") for line in started.splitlines())


def test_space_diff_names_what_differs(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(SOUND, encoding="utf-8")
    (tmp_path / "copy.yaml").write_text(SOUND, encoding="utf-8")
    (tmp_path / "two.yaml").write_text(f"base: smoke\n{SOUND.replace('4', '5', 1)}", "utf-8")

    output = document(capsys, "space diff one.yaml two.yaml")
    _, out, _ = run(capsys, "space diff one.yaml two.yaml")

    assert {"what": "base", "one.yaml": "default", "two.yaml": "smoke"} in output
    assert {"base", "trials"} == {row["what"] for row in output}
    assert len(out.splitlines()) == len(output) + 1
    same = "one.yaml and copy.yaml search the same\n"
    assert (0, same, "") == run(capsys, "space diff one.yaml copy.yaml")


def test_space_check_says_what_a_search_costs_at_a_stated_rate(capsys: Capture) -> None:
    _, out, _ = run(capsys, "space check smoke --rate 1024")
    output = document(capsys, "space check smoke structure --rate 1024")

    # Eight trials of six epochs of 1024 scenes.
    assert "at most 8 trials of 6 epochs, 49,152 scenes, 48 s at 1024 a second" in out
    cost = output["smoke"]["cost"]
    assert (8, 6, 49_152) == (cost["trials"], cost["epochs"], cost["scenes"])
    assert (1024.0, 48.0) == (cost["scenes_per_s"], cost["seconds"])
    assert 24 == output["structure"]["cost"]["trials"]


def trained(config: RunConfig) -> Trace:
    """As if only the width moved a weight."""
    return Trace((), str(config.network.width), (), None)


def test_space_check_probe_names_what_is_dead(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_probe, "trace", trained)

    code, out, err = run(capsys, "space check smoke --probe")
    _, json_out, _ = run(capsys, "space check smoke --probe --json")

    said = {each["path"]: each["dead"] for each in json.loads(json_out)["smoke"]["probe"]}
    assert 2 == code
    assert "alive   smoke: network.width, 16 against 32: weights" in out.splitlines()
    assert "dead    smoke: loss.count, 0.2 against 2.0" in out.splitlines()
    assert (False, True) == (said["network.width"], said["loss.count"])
    assert "risexp: space smoke: training.optimizer.lr is dead: 0.0003 and 0.01 train alike" in err
    assert "probed  loss.count" in err.splitlines()


def search(home: Path) -> None:
    """A study `first`: twelve complete trials, a pruned and a waiting one."""
    (home / "one.yaml").write_text(SOUND, encoding="utf-8")
    given = StudySpec.of(load_space(str(home / "one.yaml")))
    with closing(open_store(f"sqlite:///{home / 'mlruns' / 'optuna.db'}")) as store:
        StudyStart.new(given).open(store, "first", 1)
        study = optuna.load_study(study_name="first", storage=store.storage)
        ridges = [1e-3, 1.2e-3, 1.5e-3, *[9e-3] * 9]
        study.add_trials(
            had(given, {"sampled.ridge": ridge}, value=float(place))
            for place, ridge in enumerate(ridges)
        )
        study.add_trial(had(given, {"sampled.ridge": 5e-3}, state=TrialState.PRUNED, value=0.1))


def test_space_shrink_writes_the_next_space_and_nothing_that_is_impossible(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    search(tmp_path)
    for command, url, sentence in (
        ("--study first -o next.txt", "", "a space is a file that ends in .yaml"),
        ("--study frist -o next.yaml", "", "there is no study 'frist' in "),
        ("--study first -o next.yaml", "sqlite:///none.db", "no search has been made in "),
        ("--study first -o nowhere/next.yaml", "", "nowhere/next.yaml: No such file or directory"),
    ):
        monkeypatch.setenv("RISEXP_STORE", url)
        code, out, err = run(capsys, f"space shrink {command}")

        assert (1 if "nowhere" in command else 2, "") == (code, out)
        assert sentence in err
        assert not list(tmp_path.glob("n*xt.*"))
    assert not (tmp_path / "none.db").exists()

    code, out, err = run(capsys, "space shrink --study first -o next.yaml")
    assert (0, "") == (code, err)
    found = load_space(str(tmp_path / "next.yaml"))
    assert "risexp space check next.yaml" in out
    assert {"sampled.ridge": 1e-3} == found.start
    assert "narrowed to where 4 of 13 trials were best" in found.about
    assert found.vary["sampled.ridge"].ends()[0] != 1e-4
    assert 0 == run(capsys, "space check next.yaml")[0]
    refused(capsys, "space shrink --study first -o next.yaml", "is there already: name a new file")
