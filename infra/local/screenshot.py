"""Save a picture of a page as a browser shows it.

screenshot.py URL OUT.png [--width W --height H --wait-for TEXT]     the page at URL
screenshot.py SLACK_URL OUT.png --message TS                         one message with its thread, on a phone

`--message NAME=VALUE` takes the newest message with this value in its metadata's payload.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from browser import ScreenshotError, await_settled, open_browser, set_screen
from message_picture import picture_message
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


@dataclass(frozen=True)
class Page:
    """A page, and how its picture is taken.

    Args:
        url: the page's address.
        width: in pixels.
        height: in pixels.
        wait_for: a text; the picture is taken once the page shows it. Empty: once the page is complete.
        drag: move the divider between the page's two panels, such as Airflow's grid and details, by so many pixels first.
        dark: as a reader with a dark screen sees it.
        seconds: how long to wait for the page.
    """

    url: str
    width: int
    height: int
    wait_for: str = ""
    drag: int = 0
    dark: bool = False
    seconds: float = 60


def take_screenshot(browser: WebDriver, page: Page, out: Path) -> None:
    """Save a page as a PNG of its width and height.

    Raises:
        ScreenshotError: the page cannot be opened or is not ready in time, or `out` cannot be written.
    """
    try:
        set_screen(browser, page.width, page.height, dark=page.dark)
        browser.get(page.url)
        waiting = WebDriverWait(browser, page.seconds)
        if page.wait_for:
            waiting.until(lambda shown: page.wait_for in shown.find_element(By.TAG_NAME, "body").text)
        await_settled(waiting)
        if page.drag:
            divider = browser.find_element(
                By.CSS_SELECTOR, "[role=separator][aria-orientation=vertical], [role=separator]"
            )
            ActionChains(browser).drag_and_drop_by_offset(divider, page.drag, 0).perform()
            await_settled(waiting)
        # Changes by the last data have been painted two frames later.
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    except TimeoutException as error:
        seen = " ".join(browser.find_element(By.TAG_NAME, "body").text.split())[:300]
        wanted = f"show {page.wait_for!r}" if page.wait_for else "finish loading"
        raise ScreenshotError(f"{page.url} did not {wanted} within {page.seconds:.0f} s. It shows: {seen!r}") from error
    except WebDriverException as error:
        raise ScreenshotError(f"{page.url} could not be opened: {error.msg}") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    if not browser.save_screenshot(str(out)):
        raise ScreenshotError(f"{out} could not be written.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the picture that the command line asks for. Returns 0, or 1 after one sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("--message", metavar="TS", help="take a picture of this message of the Slack stand-in at URL")
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--wait-for", default="", metavar="TEXT", help="wait until the page shows this text")
    parser.add_argument("--drag", type=int, default=0, metavar="PIXELS", help="first move the divider of its panels")
    parser.add_argument("--dark", action="store_true", help="as a reader with a dark screen sees it")
    parser.add_argument("--seconds", type=float, default=60, help="how long to wait for the page")
    chosen = parser.parse_args(arguments)
    try:
        with open_browser(chosen.width, chosen.height) as browser:
            if chosen.message:
                picture_message(browser, chosen.url, chosen.message, chosen.out)
            else:
                page = Page(
                    chosen.url,
                    chosen.width,
                    chosen.height,
                    chosen.wait_for,
                    chosen.drag,
                    dark=chosen.dark,
                    seconds=chosen.seconds,
                )
                take_screenshot(browser, page, chosen.out)
    except ScreenshotError as error:
        print(error, file=sys.stderr)
        return 1
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
