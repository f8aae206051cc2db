"""Take a picture of a page as a browser shows it: `screenshot.py URL OUT.png [--width W --height H --wait-for TEXT]`,

or of one message with its thread on a phone: `screenshot.py SLACK_URL OUT.png --message TS`, where `--message NAME=VALUE`
takes the newest message whose metadata says so in its payload.

Needs Chromium and its driver on the PATH, and a font with emoji for Slack's page
(Debian: `apt-get install chromium chromium-driver fonts-noto-color-emoji`).
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# The shell of an application is drawn before its data: wait until the page has text and no placeholder or spinner.
_SETTLED = """
const waiting = document.querySelectorAll('.chakra-skeleton, .chakra-spinner, [role=progressbar], [class*=spinner]');
return document.readyState === 'complete' && document.body.innerText.trim().length > 0
  && [...waiting].every(mark => !mark.checkVisibility({visibilityProperty: true, opacityProperty: true}))
  && [...document.images].every(image => image.complete)
"""


_BROKEN_IMAGES = "return [...document.images].filter(image => !image.naturalWidth).map(image => image.src)"
_PHONE_WIDTH = 390
_LARGEST_PICTURE = 150_000


class ScreenshotError(Exception):
    """There is no picture; the message says why."""


def take_screenshot(
    url: str, out: Path, *, width: int, height: int, wait_for: str, seconds: float, drag: int = 0
) -> None:
    """Save the page at `url` as a PNG of `width` x `height` pixels, once it holds the text `wait_for` and has settled.

    `drag` moves the divider between the page's two panels, such as Airflow's grid and details, by that many pixels.

    Raises ScreenshotError if there is no browser, or the text does not appear within `seconds`.
    """
    with _browser(width, height) as browser:
        try:
            browser.get(url)
            waiting = WebDriverWait(browser, seconds)
            if wait_for:
                waiting.until(lambda page: wait_for in page.find_element(By.TAG_NAME, "body").text)
            waiting.until(_is_settled)
            if drag:
                divider = browser.find_element(
                    By.CSS_SELECTOR, "[role=separator][aria-orientation=vertical], [role=separator]"
                )
                ActionChains(browser).drag_and_drop_by_offset(divider, drag, 0).perform()
                waiting.until(_is_settled)
            # Two frames later, what the last data changed has been painted.
            browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        except TimeoutException as error:
            seen = " ".join(browser.find_element(By.TAG_NAME, "body").text.split())[:300]
            wanted = f"show {wait_for!r}" if wait_for else "settle"
            raise ScreenshotError(f"{url} did not {wanted} within {seconds:.0f} s. It shows: {seen!r}") from error
        except WebDriverException as error:
            raise ScreenshotError(f"{url} could not be opened: {error.msg}") from error
        out.parent.mkdir(parents=True, exist_ok=True)
        if not browser.save_screenshot(str(out)):
            raise ScreenshotError(f"{out} could not be written.")


def picture_message(slack_url: str, message: str, out: Path) -> None:
    """Save one message of the Slack stand-in with its thread, as a phone shows it, at most 150,000 bytes of PNG.

    `message` is a message's time (`ts`), or NAME=VALUE of its metadata's payload. Equal messages posted at equal times give
    equal bytes on one machine.

    Raises ScreenshotError if there is no browser or no such message, or if the picture stays larger.
    """
    name, found, value = message.partition("=")
    url = f"{slack_url}/thread?{urlencode({name: value} if found else {'ts': message})}"
    with _browser(_PHONE_WIDTH, 800, scale=2) as browser:
        try:
            browser.get(url)
            waiting = WebDriverWait(browser, 20)
            waiting.until(_is_settled)
            if not browser.find_elements(By.TAG_NAME, "article"):
                raise ScreenshotError(f"{url} shows no message: {browser.find_element(By.TAG_NAME, 'body').text}")
            broken = browser.execute_script(_BROKEN_IMAGES)
            if broken:
                raise ScreenshotError(f"{url} shows no picture at {', '.join(broken)}")
            height = browser.execute_script("return document.documentElement.scrollHeight")
            clip = {"x": 0, "y": 0, "width": _PHONE_WIDTH, "height": height, "scale": 1}
            shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        except WebDriverException as error:
            raise ScreenshotError(f"{url} could not be pictured: {error.msg}") from error
    picture = _small_png(base64.b64decode(shot["data"]))
    if len(picture) > _LARGEST_PICTURE:
        raise ScreenshotError(f"The picture of {url} has {len(picture):,} bytes, more than {_LARGEST_PICTURE:,}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(picture)


def _small_png(picture: bytes) -> bytes:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    content = _png(image)
    # Fewer colours only where they are needed: they may cost a thin line its own. A red mark has to stay red, rare as it is.
    for colours in (256, 64, 32):
        if len(content) > _LARGEST_PICTURE:
            content = _png(image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
    return content


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()


def _is_settled(browser: WebDriver) -> bool:
    return bool(browser.execute_script(_SETTLED))


def _browser(width: int, height: int, *, scale: float = 1) -> WebDriver:
    binary = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        raise ScreenshotError(
            "Chromium or chromedriver is not on the PATH. Debian: apt-get install chromium chromium-driver"
        )
    options = Options()
    options.binary_location = binary
    # Without an emulated screen, headless windows are at least 500 pixels wide: too wide for a phone.
    options.add_experimental_option(
        "mobileEmulation", {"deviceMetrics": {"width": width, "height": height, "pixelRatio": scale, "mobile": False}}
    )
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
        f"--window-size={max(width, 500)},{height}",
    ):
        options.add_argument(flag)
    if os.getuid() == 0:
        # Chromium's own sandbox refuses to work for root.
        options.add_argument("--no-sandbox")
    return webdriver.Chrome(options=options, service=Service(driver))


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the picture that the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--message", metavar="TS", help="picture this message of the Slack stand-in at URL")
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--wait-for", default="", metavar="TEXT", help="take it when the page shows this text")
    parser.add_argument("--drag", type=int, default=0, metavar="PIXELS", help="first move the divider of its panels")
    parser.add_argument("--seconds", type=float, default=60, help="how long to wait for that")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.message:
            picture_message(chosen.url, chosen.message, chosen.out)
            print(chosen.out)
            return 0
        take_screenshot(
            chosen.url,
            chosen.out,
            width=chosen.width,
            height=chosen.height,
            wait_for=chosen.wait_for,
            seconds=chosen.seconds,
            drag=chosen.drag,
        )
    except ScreenshotError as error:
        print(error, file=sys.stderr)
        return 1
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
