"""What is kept and shown of a robustness table: whole files, figures, and text that fits."""

import json

import pytest

from risexp.app.benchmark.results import BenchmarkResult
from risexp.app.benchmark.robustness.document import robustness_result
from risexp.app.benchmark.robustness.plots import draw_levels
from tests.support.accuracy import SMOKE, accurate, wrong
from tests.support.robustness import BUILT, METHODS, SCENES, measured


@pytest.fixture(scope="module")
def result() -> BenchmarkResult:
    return robustness_result(measured("wavefront", "pairs", "label"))


def test_the_document_holds_every_answer_and_no_nan(result: BenchmarkResult) -> None:
    found = result.document

    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (SMOKE.law_sha(), SCENES, [10.0]) == (
        found["config_sha"],
        found["scenes_per_snr"],
        found["snr_db"],
    )
    assert ["wavefront", "pairs", "label"] == list(found["scenarios"])
    for name, scenario in found["scenarios"].items():
        assert [level.name for level in BUILT[name].levels] == scenario["levels"]
        answers = scenario["snr"]["10"]
        assert list(METHODS) == list(answers[scenario["undisturbed"]])
        assert answers[scenario["undisturbed"]]["silent"]["lost"] is None
        assert answers[scenario["undisturbed"]]["silent"]["aoa_rmse"] is None
    assert (3 + 7 + 7) * len(METHODS) == len(result.records)
    assert ["levels_10dB"] == list(result.figures)
    moody_ = found["scenarios"]["label"]["snr"]["10"]["+3"]["moody"]
    assert (1.0, [1.0, 1.0]) == (
        moody_["lost"]["success_rate"],
        moody_["lost_interval"]["success_rate"],
    )


def test_the_figure_has_a_panel_for_each_scenario_and_one_figure_an_snr() -> None:
    table = measured("phase", "label", snr_db=(0.0, 10.0), scenes=4)

    figures = [draw_levels(table, snr_db) for snr_db in (0.0, 10.0)]

    for figure in figures:
        assert ["phase", "label"] == [axes.get_title() for axes in figure.axes]
        assert ["0", "5", "10", "20", "40"] == [
            label.get_text() for label in figure.axes[0].get_xticklabels()
        ]


def test_text_fits_into_a_hundred_columns(result: BenchmarkResult) -> None:
    methods = {"nomp:bic": accurate, "music:true-k": wrong}

    for block in [
        *result.blocks,
        *robustness_result(measured("power", "amplitude", methods=methods)).blocks,
    ]:
        cells = [block.headings, *block.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        assert sum(widths) + 2 * (len(widths) - 1) <= 100
        assert max(map(len, block.title.splitlines())) <= 100


def test_text_tells_scores_and_losses(result: BenchmarkResult) -> None:
    wavefront, by_range, _, label = result.blocks

    assert ("level", "method", "k_acc", "success", "strict", "aoa", "range", "k_loc", "lost") == (
        wavefront.headings
    )
    assert "below 1 m" in by_range.headings
    rows = {row[:2]: row[2:] for row in label.rows}
    assert "-" == rows["0", "moody"][-1]
    assert "1.000 [1.00,1.00]" == rows["-5", "moody"][-1]
    assert ("1.00 [1.00,1.00]", "1.000", "1.000", "0.00", "0.00", "-1.00", ".000 [.00,.00]") == (
        rows["-5", "accurate"]
    )
