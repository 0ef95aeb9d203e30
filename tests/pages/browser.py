"""A browser that waits for what it is to see, never for a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_LONG_S = 60.0
"""Longer than a page takes on a machine that does much else."""
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
    """Opens pages, and sees what is on them."""

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

    def all(self, xpath: str) -> list[WebElement]:
        """All elements of that kind, once there is one."""
        self.has(xpath)
        return self.driver.find_elements(By.XPATH, xpath)

    def drawn(self, xpath: str) -> bool:
        """Whether a picture has come, and is one."""
        picture = self.sees(xpath)
        wide = "return arguments[0].complete && arguments[0].naturalWidth > 0"
        return bool(self._wait().until(lambda driver: driver.execute_script(wide, picture)))

    def follow(self, words: str) -> None:
        """Click a link, and go where it leads, also in a window of its own."""
        before = set(self.driver.window_handles)
        link = self.has(f"//a[contains(., {words!r})]")
        self.into_view(link)
        link.click()
        opened = set(self.driver.window_handles) - before
        if opened:
            self.driver.switch_to.window(opened.pop())

    def at(self, address: str) -> None:
        """Wait until that is a part of the address."""
        self._wait().until(
            lambda driver: address in driver.current_url,
            f"the address {self.driver.current_url} never held {address}",
        )

    def into_view(self, element: WebElement) -> None:
        """Scroll there."""
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)

    def press(self, element: WebElement, key: str = Keys.ARROW_RIGHT) -> None:
        """Press a key on an element."""
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

    def keep(self, name: str) -> None:
        """Keep what is seen, where that is asked for."""
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
        return WebDriverWait(
            self.driver, _LONG_S, ignored_exceptions=[StaleElementReferenceException]
        )


@contextmanager
def begin(screenshots: str | None) -> Iterator[Browser]:
    """Start a browser without a screen.

    Args:
        screenshots: A folder that keeps what it sees; None: nothing is kept.
    """
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for each in _OPTIONS:
        options.add_argument(each)
    folder = None if screenshots is None else Path(screenshots)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    driver = Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield Browser(driver, folder)
    finally:
        driver.quit()
