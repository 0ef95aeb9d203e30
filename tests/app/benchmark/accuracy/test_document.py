"""What is kept of an accuracy table: whole files with the contract's names, or nothing at all."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from risexp.app.benchmark.accuracy.document import accuracy_result
from risexp.app.benchmark.accuracy.plots import draw_scores
from risexp.app.benchmark.results import BenchmarkResult, new_folder
from risexp.errors import DataInvalid
from risexp.evaluation.scores import Scores
from tests.support.accuracy import METHODS, SCENES, SMOKE, measured
from tests.support.looping import for_each


@pytest.fixture(scope="module")
def result() -> BenchmarkResult:
    return accuracy_result(measured())


def test_the_document_has_the_names_others_rely_on(result: BenchmarkResult) -> None:
    found = result.document

    assert SMOKE.law_sha() == found["config_sha"]
    assert (SCENES, [-5.0, 10.0]) == (found["scenes_per_snr"], found["snr_db"])
    for name in ("k_reference", "k_bound", "success_reference", "k_chance"):
        assert ["-5", "10"] == list(found["references"][name])
    assert list(METHODS) == list(found["methods"])
    for method in found["methods"].values():
        for score in (*Scores.__dataclass_fields__, "ms_per_scene"):
            assert ["-5", "10"] == list(method[score])
            assert score in method["mean"]
        assert [2, 2] == [len(ends) for ends in method["interval"]["k_acc"].values()]
        assert {"ms_single", "dense_ratio", "mean_interval"} <= set(method)


def test_every_scene_is_once_in_the_confusions_and_in_the_groups(result: BenchmarkResult) -> None:
    for method in result.document["methods"].values():
        rows = [sum(row) for row in method["confusion"]]
        by_snr = [sum(map(sum, matrix)) for matrix in method["confusion_by_snr"].values()]
        assert 2 * SCENES == sum(rows) + sum(method["confusion_none"])
        assert sum(rows) == sum(by_snr)
        for groups in ("by_count", "by_weakest_snr_db"):
            assert 2 * SCENES == sum(group["scenes"] for group in method[groups].values())


def test_what_is_undefined_is_null(result: BenchmarkResult) -> None:
    found = result.document

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {"-5": None, "10": None} == found["methods"]["silent"]["aoa_rmse"]
    assert found["methods"]["silent"]["mean"]["aoa_rmse"] is None
    assert found["methods"]["accurate"]["median_over_crb_db"]["10"]["phi"] is None


def test_the_files_are_complete_and_can_be_read(result: BenchmarkResult, tmp_path: Path) -> None:
    result.write(tmp_path)

    figures = ("confusions", "errors", "scores")
    expected = {"accuracy.csv", "accuracy.json"} | {
        f"{n}.{k}" for n in figures for k in ("png", "svg")
    }

    assert expected == {path.name for path in tmp_path.iterdir()}
    assert result.document == json.loads((tmp_path / "accuracy.json").read_text("utf-8"))
    for name in figures:
        picture = imread(tmp_path / f"{name}.png")
        assert pytest.approx(1432, abs=2) == picture.shape[1]
        assert picture[..., :3].min() < 0.2
        assert (tmp_path / f"{name}.svg").read_text("utf-8").rstrip().endswith("</svg>")
    with (tmp_path / "accuracy.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], float(row["snr_db"])) for row in rows] == [
        (name, snr_db) for name in METHODS for snr_db in (-5.0, 10.0)
    ]
    for kept, known in zip(rows, result.records, strict=True):
        assert {name: "" if each is None else str(each) for name, each in known.items()} == kept
        assert {f"{name}_low" for name in Scores.__dataclass_fields__} <= kept.keys()


@for_each("snr_db", [(3.0,), (0.0, 6.0)])
def test_references_are_seen_at_one_snr_too(snr_db: tuple[float, ...]) -> None:
    table = measured({"accurate": METHODS["accurate"]}, snr_db, scenes=2)

    left, right = draw_scores(table).axes

    lines = [
        line for line in (*left.get_lines(), *right.get_lines()) if line.get_linestyle() != "-"
    ]
    assert [2] * 5 == [np.asarray(line.get_xdata()).size for line in lines]


def test_text_names_methods_and_what_they_stand_beside(result: BenchmarkResult) -> None:
    count, success, over_crb, *_ = result.blocks

    assert ("method", "-5", "10", "mean") == count.headings
    assert [*METHODS, "k_reference", "k_bound", "chance"] == [row[0] for row in count.rows]
    assert ("accurate", "1.00 ±.00", "1.00 ±.00", "1.000 ±.000") == count.rows[0]
    assert ("chance", ".33", ".33", ".333") == count.rows[-1]
    assert ("chance", ".00", ".00", ".000") == success.rows[-1]
    assert ("silent phi", "-", "-") in over_crb.rows
    for block in result.blocks:
        columns = zip(block.headings, *block.rows, strict=True)
        widths = [max(map(len, column)) for column in columns]
        assert sum(widths) + 2 * (len(widths) - 1) <= 100


def test_many_snrs_go_into_several_blocks_and_the_mean_into_the_last() -> None:
    snr_db = [float(value) for value in range(9)]

    table = measured({"accurate": METHODS["accurate"]}, snr_db, scenes=2)
    first, second, *_ = accuracy_result(table).blocks

    assert ("method", *"0123456") == first.headings
    assert ("method", "7", "8", "mean") == second.headings
    assert {8, 4} == {len(row) for block in (first, second) for row in block.rows}


def test_a_new_or_an_empty_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("deep/new", "empty"):
        with new_folder(tmp_path / name) as folder:
            (folder / "file").write_text("whole")
            assert not (tmp_path / name / "file").exists()
    assert ["deep/new/file", "empty/file"] == files(tmp_path)


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def write_half(reason: type[BaseException]) -> None:
        with new_folder(tmp_path / "deep" / "new") as folder:
            (folder / "file").write_text("half")
            raise reason

    for reason in (KeyboardInterrupt, OSError):
        with pytest.raises(reason):
            write_half(reason)
        assert [] == list(tmp_path.iterdir())


def test_a_full_folder_a_file_and_the_current_folder_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "file").write_text("words")
    monkeypatch.chdir(tmp_path / "here")
    for name, sentence in (("..", "not empty"), ("../file", "is a file"), (".", "inside it")):
        with pytest.raises(DataInvalid, match=sentence), new_folder(Path(name)):
            pytest.fail("something was begun")
    assert ["file"] == files(tmp_path)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
