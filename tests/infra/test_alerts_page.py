"""The alerts page in a browser: a real watch's, on a phone and a desk, in light and dark, full and empty, behind a proxy."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from urllib.parse import urljoin, urlsplit

import pytest
from browser import open_browser
from loopback import ROOT, free_ports
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.skipif(
    shutil.which("chromedriver") is None, reason="needs Chromium and its driver: the alerts page is not tested"
)

PREFIX = "/team/alerts"
PHONE, DESK = (400, 800), (1100, 900)
# WCAG 2: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
CONTRASTS = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const [r, g, b] = numbers(colour).slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if ((numbers(colour)[3] ?? 1) === 1) return colour;
  }
  throw new Error("the page has no background");
};
const found = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
  const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
  found.push([texts.currentNode.data.trim().slice(0, 40), (a + 0.05) / (b + 0.05)]);
}
return found;
"""
HEADINGS = "return [...document.querySelectorAll('h1,h2,h3,h4')].map((each) => Number(each.tagName[1]))"
LINKS = "return [...document.querySelectorAll('a[href]')].map((each) => each.href)"


@contextmanager
def preview(port: int, show: str) -> Iterator[subprocess.Popen[str]]:
    """A watch of the example, in Airflow's environment, until the `with` ends."""
    program = [ROOT / ".venv" / "bin" / "python", ROOT / "infra" / "local" / "alerts_preview.py", str(port), show]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("RETRAIN_")}
    with subprocess.Popen(program, env=quiet, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[str, str]]:
    """The addresses of four pages: full, empty, of a watch that can deliver nothing, and with odd texts."""
    with ExitStack() as running:
        shows = dict(zip(("full", "empty", "mute", "odd"), free_ports(4), strict=True))
        started = {show: running.enter_context(preview(port, show)) for show, port in shows.items()}
        yield {show: process.stdout.readline().strip() for show, process in started.items()}


@pytest.fixture(scope="module")
def proxy(pages) -> Iterator[str]:
    """The address of the full page behind a proxy that adds a path prefix, and has nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = 404, "text/plain", b"not below the prefix"
            if self.path.startswith(f"{PREFIX}/"):
                try:
                    with urllib.request.urlopen(urljoin(pages["full"], self.path.removeprefix(PREFIX))) as answer:  # noqa: S310 - our own server
                        status, kind, body = answer.status, answer.headers["Content-Type"], answer.read()
                except urllib.error.HTTPError as error:
                    status, body = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keep the requests out of the test's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}{PREFIX}/"
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium():
    with open_browser(*DESK) as opened:
        yield opened


@pytest.fixture
def show(chromium, pages):
    """Opens a page: `full`, `empty`, `mute`, `odd` or an address; its size and its colours are chosen."""

    def opened(page, size=DESK, *, dark=False, path=""):
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        chromium.get(urljoin(pages.get(page, page), path))
        # After the page is there: the driver sets the size that the browser began with for each new one.
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        return chromium

    return opened


def text_of(page) -> str:
    return page.find_element(By.TAG_NAME, "body").text


def first_incident(page) -> str:
    return page.find_element(By.CSS_SELECTOR, "article h3 a").get_attribute("href")


@pytest.mark.parametrize("page", ["full", "empty", "mute", "odd"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_is_wider_than_the_screen(show, page, size):
    opened = show(page, size)
    paths = ["./?reload=no", "runbooks", "runbooks/task_failed"]
    paths += [] if page == "empty" else [first_incident(opened)]
    for path in paths:
        opened = show(page, size, path=path)
        wide, screen = opened.execute_script("return [document.scrollingElement.scrollWidth, innerWidth]")
        assert wide <= screen == size[0], path


@pytest.mark.parametrize("page", ["full", "empty", "mute"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_stands_out_from_its_background(show, page, dark):
    opened = show(page, dark=dark)
    opened.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    contrasts = opened.execute_script(CONTRASTS)
    assert len(contrasts) > 20
    assert [each for each in contrasts if each[1] < 4.5] == []


def test_the_colours_follow_the_readers_choice_of_light_or_dark(show):
    ground = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert min(show("full").execute_script(ground)) > 200
    assert max(show("full", dark=True).execute_script(ground)) < 60


@pytest.mark.parametrize("page", ["full", "empty", "mute", "odd"])
def test_a_screen_reader_finds_landmarks_headings_in_order_and_table_headers(show, page):
    opened = show(page)
    for landmark in ("header", "nav[aria-label]", "main", "footer"):
        assert len(opened.find_elements(By.CSS_SELECTOR, f"body {landmark}")) == 1
    levels = opened.execute_script(HEADINGS)
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    tables = opened.find_elements(By.CSS_SELECTOR, "table")
    assert tables
    for table in tables:
        assert table.get_attribute("aria-label")
        assert table.find_elements(By.CSS_SELECTOR, "thead th[scope=col]")
        assert table.find_elements(By.CSS_SELECTOR, "tbody th[scope=row]")


def test_the_first_key_leads_past_the_menu(show):
    opened = show("full")
    opened.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    skip = opened.switch_to.active_element
    assert (skip.text, skip.rect["x"] >= 0) == ("Skip to the content", True)
    skip.send_keys(Keys.ENTER)
    assert urlsplit(opened.current_url).fragment == "main"


def test_the_full_page_says_what_is_open_for_how_long_and_what_to_do(show):
    shown = text_of(show("full"))
    assert "Messages can be delivered." in shown
    assert "5: 4 need a person now, 1 silenced" in shown
    assert "Last message\n2020-03-19 08:00 UTC, 29 min ago, in #bike-alerts" in shown
    for said in (
        "reproduce failed for 2020-03-18",
        "Open for 2 h 9 min, trip_duration",
        "Cause: INFRA",
        "No new model of 2020-03-18.",
        "Once the fault named above is fixed, clear reproduce",
        "Since 2020-03-19 06:19 UTC. In Slack since then. Second channel: delivered.",
        "Since 2020-03-19 08:00 UTC (04:00 EDT)",
        "Silenced until 2020-03-31: The champion is kept until the new fare zones are labelled.",
        "Over: remove it",
        "Invalid: silences nothing",
        "The backfill has finished.",
        "Still without a model: 2020-03-04, 2020-03-05, 2020-03-09.",
    ):
        assert said in shown


def test_the_empty_page_says_that_all_is_well_in_sentences(show):
    shown = text_of(show("empty"))
    for said in ("Silence means that nothing is wrong.", "Nothing is open.", "Nothing is silenced.", "No signal waits"):
        assert said in shown


def test_a_watch_that_can_deliver_nothing_says_so_first_with_the_reason(show):
    shown = text_of(show("mute"))
    assert shown.index("Messages cannot be delivered.") < shown.index("Connection refused") < shown.index("Open (6)")
    assert "Not in Slack" in shown
    assert "Takes nothing now" in shown


def test_texts_that_look_like_html_are_shown_as_text(show):
    opened = show("odd")
    for path in ("", first_incident(opened)):
        opened = show("odd", path=path)
        assert "<script>document.title = 'it ran'</script>" in text_of(opened)
        assert opened.title != "it ran"
        assert opened.find_elements(By.CSS_SELECTOR, "script, main b, main img, [onclick]") == []
    issue = show("odd").find_element(By.LINK_TEXT, "Issue")
    assert issue.get_attribute("href") == "https://git.example.org/%22onclick=%22x"


def test_the_browser_applies_the_pages_style_and_blocks_nothing_of_it(show):
    opened = show("full")
    opened.get_log("browser")
    for path in ("", first_incident(opened), "runbooks/drift_detected"):
        opened = show("full", path=path)
        assert [each["message"] for each in opened.get_log("browser")] == []
        pictures = opened.find_elements(By.TAG_NAME, "img")
        assert all(each.get_property("naturalWidth") for each in pictures)


def test_every_link_answers_also_behind_a_proxy_that_adds_a_path_prefix(show, proxy):
    seen, waiting, slack = set[str](), [proxy], 0
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - our own server
            page = "text/html" in answer.headers["Content-Type"] and address.startswith(proxy)
        for link in show(address).execute_script(LINKS) if page else ():
            host = urlsplit(link).hostname
            assert host == "127.0.0.1" or host.endswith(".example.org"), link
            if host == "127.0.0.1":
                waiting.append(link.partition("#")[0])
                slack += "/archives/" in link
    assert len([each for each in seen if "/incidents/" in each]) == 13
    assert f"{proxy}metrics" in seen
    assert slack, "messages are opened in Slack"
