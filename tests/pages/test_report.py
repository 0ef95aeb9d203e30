"""The report of a study as a browser shows it, with no network at hand."""

from pathlib import Path

from tests.pages.browser import Browser
from tests.pages.conftest import REPORT


def test_a_report_loads_nothing_and_fits_a_telephone(browser: Browser, home: Path) -> None:
    browser.complaints()  # those of earlier pages
    browser.narrow(400)
    browser.open((home / REPORT).as_uri())

    browser.reads("Study pages")
    for section in ("What was searched", "The best trial", "How the search went", "Trials"):
        browser.reads(section)
    loaded = browser.driver.execute_script("return performance.getEntriesByType('resource').length")
    assert 0 == loaded
    assert [] == browser.complaints()
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert 0 == browser.driver.execute_script(wide)
