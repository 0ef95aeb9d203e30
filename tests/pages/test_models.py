"""The champion as MLflow's pages show it: its card, its gates, and the run it comes from."""

from pathlib import Path

from tests.pages.browser import Browser

MODEL = "#/models/ris-localizer"


def test_a_champion_has_its_card_and_its_verdicts_and_leads_to_its_run(
    browser: Browser, pages: dict[str, str], home: Path
) -> None:
    browser.open(f"{pages['mlflow']}/{MODEL}")
    browser.reads("Version 1")
    browser.reads("champion")

    browser.open(f"{pages['mlflow']}/{MODEL}/versions/1")

    browser.reads("success")
    browser.sees("//table//*[contains(., 'chance')]")
    browser.reads("skipped")
    browser.follow("pages-")
    browser.at("#/experiments/1/runs/")
    assert (home / "mlruns" / "sets").is_dir()
