"""A picture of one message of the Slack stand-in with its thread, as a phone shows it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from urllib.parse import urlencode

from browser import ScreenshotError, await_settled, set_screen
from PIL import Image
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

_BROKEN_IMAGES = "return [...document.images].filter(image => !image.naturalWidth).map(image => image.src)"
_PHONE_WIDTH = 390
_PHONE_HEIGHT = 800
_LARGEST_PICTURE = 150_000


def picture_message(browser: WebDriver, slack_url: str, message: str, out: Path) -> None:
    """Save the picture of a message and its thread as a PNG of at most 150,000 bytes, 780 pixels wide.

    The same messages, posted at the same times, give the same bytes on one machine.

    Args:
        browser: becomes a phone.
        slack_url: the address of the stand-in.
        message: the message's `ts`, or NAME=VALUE for the newest message with this value in its metadata's payload.
        out: the file to write.

    Raises:
        ScreenshotError: there is no such message, an image of it is missing, or the picture is too large.
    """
    name, found, value = message.partition("=")
    url = f"{slack_url}/thread?{urlencode({name: value} if found else {'ts': message})}"
    try:
        set_screen(browser, _PHONE_WIDTH, _PHONE_HEIGHT, scale=2)
        browser.get(url)
        await_settled(WebDriverWait(browser, 20))
        if not browser.find_elements(By.TAG_NAME, "article"):
            raise ScreenshotError(f"{url} shows no message: {browser.find_element(By.TAG_NAME, 'body').text}")
        broken = browser.execute_script(_BROKEN_IMAGES)
        if broken:
            raise ScreenshotError(f"{url} could not load the images {', '.join(broken)}")
        height = browser.execute_script("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": _PHONE_WIDTH, "height": height, "scale": 1}
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    except WebDriverException as error:
        raise ScreenshotError(f"No picture of {url} could be taken: {error.msg}") from error
    picture = _small_png(base64.b64decode(shot["data"]))
    if len(picture) > _LARGEST_PICTURE:
        raise ScreenshotError(f"The picture of {url} has {len(picture):,} bytes, more than {_LARGEST_PICTURE:,}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(picture)


def _small_png(picture: bytes) -> bytes:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    content = _png(image)
    # With fewer colours a thin line may lose its own, so reduce them only as far as the size demands. MAXCOVERAGE keeps
    # rare colours: a red mark has to stay red.
    for colours in (256, 64, 32):
        if len(content) > _LARGEST_PICTURE:
            content = _png(image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))
    return content


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()
