"""Runs in MLflow's pages, as a browser that has seen nothing yet shows them."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.pages.browser import Browser
from tests.pages.records import run_of, trials


@pytest.fixture
def runs(pages: dict[str, str]) -> str:
    return f"{pages['mlflow']}/#/experiments/1"


def test_runs_are_listed_with_the_best_on_top(browser: Browser, runs: str, home: Path) -> None:
    browser.open(runs)

    browser.reads("Sort: best/k_loc")
    for heading in ("best/k_loc", "best/k_acc", "risexp.state"):
        browser.reads(heading)
    known = trials(home)
    links = "//a[starts-with(normalize-space(.), 'pages-')]"
    names = browser.texts(links, lambda said: len(said) == len(known) and all(said))
    assert min(known, key=lambda each: each.k_loc).name == names[0]


def test_metrics_of_a_run_are_in_groups(browser: Browser, runs: str, home: Path) -> None:
    browser.open(f"{runs}/runs/{run_of(home, 1)}/model-metrics")

    for group in ("best", "guard", "loss", "val", "weighted"):
        browser.sees(f"//*[@role='button'][.//text()='{group}']")
    browser.sees("//*[contains(@class, 'js-plotly-plot')]")


def test_the_confusion_has_a_slider_over_epochs(browser: Browser, runs: str, home: Path) -> None:
    browser.open(f"{runs}/runs/{run_of(home, 1)}/model-metrics")
    browser.sees("//input[@placeholder='Search metric charts']").send_keys("val/k_confusion")
    browser.reads("val/k_confusion")
    slider = browser.has("(//*[@role='slider'])[1]")
    assert ("1", "3") == tuple(slider.get_attribute(f"aria-value{end}") for end in ("min", "max"))

    for epoch in (1, 2):
        browser.press(slider)
        browser.sees(f"//img[contains(@src, 'k_confusion%2Bstep%2B{epoch}%2B')]")
    assert browser.drawn("//img[contains(@src, 'k_confusion%2Bstep%2B2%2B')]")


def test_runs_are_compared_by_parallel_coordinates(
    browser: Browser, pages: dict[str, str], home: Path
) -> None:
    ids = json.dumps([each.run_id for each in trials(home)])
    query = urlencode({"runs": ids, "experiments": '["1"]'})
    browser.open(f"{pages['mlflow']}/#/compare-runs?{query}")

    browser.reads("Parallel Coordinates Plot")
    searched = {"loss.count", "training.optimizer.lr"}
    browser.texts("//*[contains(@class, 'axis-title')]", searched.issubset)
