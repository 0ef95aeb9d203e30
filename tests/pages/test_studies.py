"""Studies in the dashboard's pages, and the way from a run to its trial and back."""

from pathlib import Path

import pytest

from tests.pages.browser import Browser
from tests.pages.records import run_of, studies


@pytest.fixture
def study(pages: dict[str, str]) -> str:
    return f"{pages['dashboard']}/dashboard/studies/1"


def test_a_study_shows_its_history_and_parallel_coordinates(browser: Browser, study: str) -> None:
    browser.open(study)
    browser.reads("History")
    browser.sees("//*[contains(@class, 'js-plotly-plot')]//*[contains(@class, 'point')]")

    browser.open(f"{study}/smartSelection")

    for name in ("loss.count", "training.optimizer.lr"):
        browser.has(f"//*[contains(@class, 'axis-title')][contains(., '{name}')]")


def test_a_study_says_which_run_is_its_own(browser: Browser, study: str, home: Path) -> None:
    browser.open(f"{study}/note")

    browser.click(f"//a[contains(@href, '{run_of(home, None)}')]")
    browser.at("#/experiments/1/runs/")
    browser.sees("//*[self::h1 or self::h2][contains(., 'pages')]")


def test_a_run_leads_to_its_trial_and_the_trial_back(
    browser: Browser, pages: dict[str, str], home: Path
) -> None:
    run = f"#/experiments/1/runs/{run_of(home, 2)}"
    browser.open(f"{pages['mlflow']}/{run}")

    browser.follow("trial 2")
    browser.at("/dashboard/studies/1/trials?numbers=2")
    browser.reads("Trial 2 (trial_id=3)")
    browser.keep("from_run_to_trial")
    browser.click("//a[contains(@href, '/mlflow#')]")

    browser.at(run)
    browser.sees("//*[self::h1 or self::h2][contains(., 'pages-002')]")


def test_a_study_is_not_deleted_by_a_click(
    browser: Browser, pages: dict[str, str], home: Path
) -> None:
    browser.open(pages["dashboard"])
    browser.click("//*[@aria-label='delete study']")
    browser.click("//button[normalize-space()='Yes']")

    browser.reads("Failed to delete")
    assert ["pages"] == studies(home)
    browser.open(pages["dashboard"])
    browser.sees("//a[contains(@href, '/dashboard/studies/1')]")
