"""A headless Chromium, for pictures of pages.

Needs Chromium and its driver on the PATH, and a font with emoji for Slack's page
(Debian: `apt-get install chromium chromium-driver fonts-noto-color-emoji`).
"""

from __future__ import annotations

import os
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# An application draws its frame before its data: wait until the page has text, and no placeholder or spinner.
_SETTLED = """
const waiting = document.querySelectorAll('.chakra-skeleton, .chakra-spinner, [role=progressbar], [class*=spinner]');
return document.readyState === 'complete' && document.body.innerText.trim().length > 0
  && [...waiting].every(mark => !mark.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  && [...document.images].every(image => image.complete)
"""


class ScreenshotError(Exception):
    """A picture could not be taken; the message says why."""


def why_missing() -> str | None:
    """Why no browser can be started, in a sentence; None if one can."""
    if _binary() and shutil.which("chromedriver"):
        return None
    return "Chromium or chromedriver is not on the PATH, so no page is opened. Debian: apt-get install chromium chromium-driver"


def open_browser(width: int, height: int, *, scale: float = 1) -> WebDriver:
    """Start a browser whose page has this width and height in CSS pixels, drawn with `scale` pixels for each.

    Use it as a context manager, which ends the browser.

    Raises:
        ScreenshotError: Chromium or its driver is not on the PATH.
    """
    if missing := why_missing():
        raise ScreenshotError(missing)
    options = Options()
    options.binary_location = _binary()
    for flag in (
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--no-proxy-server",
    ):
        options.add_argument(flag)
    if os.getuid() == 0:
        # Chromium's own sandbox does not work for root.
        options.add_argument("--no-sandbox")
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    set_screen(browser, width, height, scale=scale)
    return browser


def set_screen(browser: WebDriver, width: int, height: int, *, scale: float = 1, dark: bool = False) -> None:
    """Give the page this width and height in CSS pixels, drawn with `scale` pixels for each, in the light or the dark scheme."""
    # An emulated screen: a headless window is at least 500 pixels wide, which is too wide for a phone.
    screen = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def _binary() -> str | None:
    return next((found for name in _BROWSERS if (found := shutil.which(name))), None)


def await_settled(waiting: WebDriverWait) -> None:
    """Wait until the page is complete: it has text and all images, and shows no placeholder or spinner.

    Raises:
        TimeoutException: the page does not settle in the time of `waiting`.
    """
    waiting.until(lambda page: bool(page.execute_script(_SETTLED)))
