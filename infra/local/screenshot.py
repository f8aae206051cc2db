"""Save a picture of a page as a browser shows it.

screenshot.py URL OUT.png [--width W --height H --wait-for TEXT]     the page at URL
screenshot.py SLACK_URL OUT.png --message TS                         one message with its thread, on a phone

`--message NAME=VALUE` takes the newest message with this value in its metadata's payload.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from browser import ScreenshotError, await_settled, open_browser
from message_picture import picture_message
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


def take_screenshot(
    url: str, out: Path, *, width: int, height: int, wait_for: str, seconds: float, drag: int = 0
) -> None:
    """Save the page at `url` as a PNG of `width` x `height` pixels.

    Args:
        url: the page.
        out: the file to write.
        width: in pixels.
        height: in pixels.
        wait_for: a text; the picture is taken once the page shows it. Empty: once the page is complete.
        seconds: how long to wait for that.
        drag: move the divider between the page's two panels, such as Airflow's grid and details, by so many pixels first.

    Raises:
        ScreenshotError: there is no browser, the page cannot be opened or is not ready in time, or `out` cannot be written.
    """
    with open_browser(width, height) as browser:
        try:
            browser.get(url)
            waiting = WebDriverWait(browser, seconds)
            if wait_for:
                waiting.until(lambda page: wait_for in page.find_element(By.TAG_NAME, "body").text)
            await_settled(waiting)
            if drag:
                divider = browser.find_element(
                    By.CSS_SELECTOR, "[role=separator][aria-orientation=vertical], [role=separator]"
                )
                ActionChains(browser).drag_and_drop_by_offset(divider, drag, 0).perform()
                await_settled(waiting)
            # Changes by the last data have been painted two frames later.
            browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        except TimeoutException as error:
            seen = " ".join(browser.find_element(By.TAG_NAME, "body").text.split())[:300]
            wanted = f"show {wait_for!r}" if wait_for else "finish loading"
            raise ScreenshotError(f"{url} did not {wanted} within {seconds:.0f} s. It shows: {seen!r}") from error
        except WebDriverException as error:
            raise ScreenshotError(f"{url} could not be opened: {error.msg}") from error
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
    parser.add_argument("--seconds", type=float, default=60, help="how long to wait for the page")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.message:
            picture_message(chosen.url, chosen.message, chosen.out)
        else:
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
