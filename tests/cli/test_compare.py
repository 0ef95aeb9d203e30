"""`risexp compare`, `report` and `show`."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from risexp.app.benchmark.accuracy import measure as accuracy
from risexp.data.shards import FrozenSet
from risexp.hpo.store.address import embedded
from risexp.hpo.trials.trial_result import TrialResult
from risexp.space.study_spec import StudySpec
from tests.support.commands import GENERATE, Capture, document, refused, run
from tests.support.recorded_runs import DEAD
from tests.support.searches import Past, past, tiny
from tests.support.validated_runs import SMOKE, validated, with_network
from tests.support.worker_processes import opened

LR = "training.optimizer.lr"
TRIALS: tuple[Past, ...] = (
    ({LR: 3e-3}, [6.0, 4.0], TrialResult("complete", "finished", 4.0)),
    ({LR: 1e-3}, [5.0, 3.0], TrialResult("complete", "finished", 3.0)),
    ({LR: 2e-3}, [9.0], TrialResult("pruned", "pruned")),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISEXP_HOME", str(tmp_path))
    monkeypatch.delenv("RISEXP_STORE", raising=False)
    monkeypatch.setattr(accuracy, "dense_ms", lambda *_: 1.0)


def search() -> None:
    with opened(embedded()) as store:
        past(store, "toy", StudySpec.of(tiny()), TRIALS)


def test_runs_are_compared_with_each_other_and_with_references(
    capsys: Capture, tmp_path: Path
) -> None:
    validated("good", {"k_loc": 3.0, "scenes": 4000.0}, SMOKE.replace({"loss.count": 0.5}))
    validated("dead", {**DEAD, "scenes": 4000.0})

    code, out, err = run(capsys, "compare dead good -o plots")

    rows = {line.split()[0]: line for line in out.splitlines() if line}
    assert (code, "tables and figures go to plots\n") == (0, err)
    assert ["run", "good", "dead", "chance", "NOMP", "reference"] == list(rows)[:6]
    assert "best" in rows["good"]
    assert "worse" in rows["dead"]
    assert "at chance" in rows["dead"]
    assert "0.213  0.000" in rows["chance"]
    assert ["loss.count", "0.5", "1"] == rows["loss.count"].split()
    assert "scenes: the variation of a validation of 4,000 scenes" in out
    written = {each.name for each in (tmp_path / "plots").iterdir()}
    assert {"compare.json", "curves.png", "curves.svg"} == written


def test_a_comparison_of_answers_is_one_document(capsys: Capture) -> None:
    with_network("one", 0)
    with_network("other", 1)

    said = document(capsys, "compare one other --scenes 100 --snr 10")

    assert {"best", "noise", "level", "seeds", "runs", "differences", "answers"} == set(said)
    assert {"one", "other", "nomp"} == set(said["answers"]["methods"])
    assert 2 == len(said["runs"])


def test_impossible_requests_are_one_sentence_and_leave_nothing(
    capsys: Capture, tmp_path: Path
) -> None:
    search()
    validated("one", {})
    validated("other", {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    for name in ("there.html", "there.png"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    (tmp_path / "link.html").symlink_to("nothing")
    before = sorted(tmp_path.iterdir())

    for command, said in (
        ("compare", "name runs to compare, or a study with --study, and not both"),
        ("compare one --study toy", "and not both"),
        ("compare one other --scenes 100 --snr loud", "'loud' is no number of dB"),
        ("compare one other -o full", "full is not empty"),
        ("compare one other --scenes 99", "should be greater than or equal to 100"),
        ("report --study toy -o link.html", "link.html is there already"),
        ("report --study toy -o toy.pdf", "a report is a file that ends in .html"),
        ("report --study toy -o there.html", "there.html is there already: name a new file"),
        ("report --study toy -o nowhere/toy.html", "there is no folder nowhere"),
        ("report --study toi -o toi.html", "there is no study 'toi'"),
        ("show run ohne", "there is no run 'ohne'"),
        ("show spectrum one -o scene.jpg", "the picture is a file that ends in .png"),
        ("show spectrum one -o there.png", "there.png is there already"),
        ("show spectrum one -o nowhere/scene.png", "there is no folder nowhere"),
        ("show spectrum ohne -o ohne.png", "there is no run 'ohne'"),
    ):
        refused(capsys, command, said)
        assert before == sorted(tmp_path.iterdir())
    assert "mine" == (tmp_path / "there.html").read_text(encoding="utf-8")


def test_a_report_is_one_file(capsys: Capture, tmp_path: Path) -> None:
    search()
    validated("toy-001", {"k_loc": 3.0})

    code, out, err = run(capsys, "report --study toy -o toy.html --scenes 0")

    assert (0, "the report of study toy is toy.html\n") == (code, out)
    assert "the runs of 2 trials are not in this home" in err
    assert (tmp_path / "toy.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    again = document(capsys, "report --study toy -o again.html --scenes 0")
    assert ("toy", 1, "again.html") == (again["study"], again["best"], again["page"])


def test_a_run_is_shown(capsys: Capture) -> None:
    validated("one", {"k_loc": 3.25, "k_acc": 0.7})

    code, out, err = run(capsys, "show run one")

    assert (0, "") == (code, err)
    for expected in (
        "run one: complete, 2 of",
        "best epoch 2: k_loc 3.250 on 100 scenes",
        "K accuracy    0.700    0.213   0.676  0.668",
        "K = 1           30  4   2",
        "checkpoints of attempt-01: epochs none",
        "guards that saw something: none",
        "MLflow: nothing was sent",
    ):
        assert expected in out
    assert 3.25 == document(capsys, "show run one")["best"]["k_loc"]


def test_show_study_is_study_show(capsys: Capture) -> None:
    search()

    assert run(capsys, "study show toy") == run(capsys, "show study toy")
    assert run(capsys, "study show toy --trial 1") == run(capsys, "show study toy --trial 1")


def test_a_spectrum_is_drawn_and_told(capsys: Capture, tmp_path: Path) -> None:
    with_network("one", 0)

    spectrum = document(capsys, "show spectrum one --scene 2 --snr 10 -o scene.png")

    assert {"run": "one", "scene": 2, "snr_db": 10.0, "picture": "scene.png"}.items() <= (
        spectrum.items()
    )
    assert {"network", "music", "nomp"} == set(spectrum["found"])
    with Image.open(tmp_path / "scene.png") as picture:
        assert ("PNG", True) == (picture.format, picture.width > 1000)


def test_show_scene_draws_a_picture_and_lists_the_sources_strongest_first(
    capsys: Capture, tmp_path: Path
) -> None:
    run(capsys, GENERATE)
    scenes = FrozenSet.open(tmp_path / "set").scenes(0, 6)
    index = int(scenes.truth.count.argmax())

    answer = document(capsys, f"show scene set --index {index} --out deep.png")
    code, out, err = run(capsys, f"show scene set --index {index}")

    levels = [source["snr_db"] for source in answer["sources"]]
    assert {"index", "split", "snr_db", "sources", "picture"} == set(answer)
    assert "deep.png" == answer["picture"]
    assert (tmp_path / "deep.png").exists()
    assert len(levels) == int(scenes.truth.count[index]) > 1
    assert sorted(levels, reverse=True) == levels
    truth, there = scenes.truth, scenes.truth.present[index]
    angles = torch.stack([truth.phi_rad[index][there], truth.theta_rad[index][there]], dim=-1)
    shown = sorted([source["phi_deg"], source["theta_deg"]] for source in answer["sources"])
    np.testing.assert_allclose(shown, sorted(angles.rad2deg().tolist()), atol=1e-3)
    # Together, up to their interference, the sources are as loud as the scene.
    total = 10.0 * math.log10(sum(10.0 ** (level / 10.0) for level in levels))
    assert pytest.approx(answer["snr_db"], abs=4.0) == total
    assert (0, "") == (code, err)
    assert out.startswith(f"test scene {index} at ")
    assert f"drawn in scene-{index}.png" in out
    assert [line.split()[-1] for line in out.splitlines()[2:]] == [f"{db:.1f}" for db in levels]
    with Image.open(tmp_path / f"scene-{index}.png") as picture:
        assert ("PNG", True) == (picture.format, picture.width > 1000)
        shades = np.asarray(picture.convert("L"))
    assert int(shades.max()) - int(shades.min()) > 200
    assert len(np.unique(shades)) > 50
