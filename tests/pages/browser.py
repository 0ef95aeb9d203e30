"""A browser that waits for what it is to see, never for a time."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

HERE = "127.0.0.1,localhost"
_LONG_S = 60.0
"""Longer than a page takes on a machine that does much else."""
_DRAWN_ANEW = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--window-size=1400,1000",
)


class Browser:
    def __init__(self, driver: Chrome, screenshots: Path | None) -> None:
        self.driver = driver
        self._screenshots = screenshots

    def open(self, address: str) -> None:
        """Load a page anew, also where only its fragment is another one."""
        self.driver.get("about:blank")
        self.driver.get(address)

    def sees(self, xpath: str) -> WebElement:
        """The first element of that kind, once it is shown."""
        return self._until(lambda found: found.is_displayed(), xpath)

    def reads(self, text: str) -> WebElement:
        """The smallest element that says so."""
        return self.sees(f"//*[contains(., {text!r}) and not(*[contains(., {text!r})])]")

    def has(self, xpath: str) -> WebElement:
        """The first element of that kind, also where it is out of sight."""
        return self._until(lambda _: True, xpath)

    def texts(self, xpath: str, whole: Callable[[list[str]], bool]) -> list[str]:
        """What all elements of that kind say, once that is whole."""

        def found(driver: Chrome) -> list[str] | None:
            said = [each.text for each in driver.find_elements(By.XPATH, xpath)]
            return said if whole(said) else None

        texts = self._wait().until(found, f"{xpath} never said all of it")
        assert texts is not None
        return texts

    def click(self, xpath: str) -> None:
        def clicked(driver: Chrome) -> bool:
            element = driver.find_element(By.XPATH, xpath)
            self.into_view(element)
            element.click()
            return True

        self._wait().until(clicked, f"{xpath} was never to be clicked")

    def drawn(self, xpath: str) -> bool:
        picture = self.sees(xpath)
        wide = "return arguments[0].complete && arguments[0].naturalWidth > 0"
        return bool(self._wait().until(lambda driver: driver.execute_script(wide, picture)))

    def follow(self, words: str) -> None:
        """Click a link, and go where it leads, also in a window of its own."""
        place = f"//a[contains(., {words!r})]"
        apart = self.has(place).get_attribute("target") == "_blank"
        before = set(self.driver.window_handles)
        self.click(place)
        if apart:
            opened = self._wait().until(lambda driver: set(driver.window_handles) - before)
            self.driver.switch_to.window(opened.pop())

    def at(self, address: str) -> None:
        self._wait().until(
            lambda driver: address in driver.current_url,
            f"the address {self.driver.current_url} never held {address}",
        )

    def into_view(self, element: WebElement) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)

    def press(self, element: WebElement, key: str = Keys.ARROW_RIGHT) -> None:
        element.send_keys(key)

    def narrow(self, width: int) -> None:
        """Show pages as wide as a telephone does, until all is forgotten."""
        told = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)

    def forget(self) -> None:
        """Be a browser that has seen nothing yet, with one window."""
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        first, *others = self.driver.window_handles
        for window in others:
            self.driver.switch_to.window(window)
            self.driver.close()
        self.driver.switch_to.window(first)
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd(
            "Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"}
        )

    def complaints(self) -> list[str]:
        told = self.driver.get_log("browser")  # type: ignore[no-untyped-call] # Selenium's own
        return [str(each) for each in told]

    def keep(self, name: str) -> None:
        if self._screenshots is not None:
            self.driver.save_screenshot(str(self._screenshots / f"{name}.png"))

    def _until(self, holds: Callable[[WebElement], bool], xpath: str) -> WebElement:
        def found(driver: Chrome) -> WebElement | None:
            seen = driver.find_elements(By.XPATH, xpath)
            return next((each for each in seen if holds(each)), None)

        element = self._wait().until(found, f"{xpath} is not on {self.driver.current_url}")
        assert element is not None
        return element

    def _wait(self) -> "WebDriverWait[Chrome]":
        # What is looked at may be drawn anew meanwhile.
        return WebDriverWait(self.driver, _LONG_S, ignored_exceptions=_DRAWN_ANEW)


def programs() -> tuple[str, str] | None:
    """Where the browser is and what steers it; None where one of them is missing."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return None if browser is None or driver is None else (browser, driver)


@contextmanager
def begin(browser: str, steering: str, screenshots: str | None) -> Iterator[Browser]:
    """Start a browser without a screen; `screenshots` is a folder that keeps what it sees."""
    options = ChromeOptions()
    options.binary_location = browser
    for each in _OPTIONS:
        options.add_argument(each)
    folder = None if screenshots is None else Path(screenshots)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    # The way to the driver leads through no proxy.
    with patch.dict(os.environ, {"NO_PROXY": HERE, "no_proxy": HERE}):
        driver = Chrome(options=options, service=Service(steering))
        try:
            yield Browser(driver, folder)
        finally:
            driver.quit()
