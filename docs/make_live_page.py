"""Draws docs/live_page.png: the live page on the embedded scan, in a headless Chromium.

    python docs/make_live_page.py [PICTURE.png [WIDTH HEIGHT]]

Needs the extras live and dev, chromium and chromedriver.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from threading import Thread

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from wnet_edge.embedded import EXAMPLE_SCAN, opened_package
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.paced_scan import PacedScan
from wnet_edge.live.page.live_page import LivePage
from wnet_edge.live.page.page_options import PageOptions
from wnet_edge.live.run import RunOptions, run
from wnet_edge.live.session import LiveOptions
from wnet_edge.live.source import End, Event
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.run_settings import RunnerOptions

PICTURE = Path(__file__).parent / "live_page.png"
SIZE = (1600, 900)
RATE_HZ = 40.0
FRAMES = 330
"""After so many of 481 the picture is taken, the scan still running."""

COLOURS = 256


class _Pausing(PacedScan):
    """Gives no frame after `FRAMES` until it is let go on."""

    ended = False

    def next(self, timeout_s: float) -> Event | None:
        if self.ended:
            return End("the picture is taken")
        return super().next(timeout_s) if self._given < FRAMES else None


class _Silent:
    """Is told of scans and does nothing."""

    began = looked = save = lost = failed = staticmethod(lambda *_, **__: None)


@contextmanager
def chromium(size: tuple[int, int]) -> Iterator[webdriver.Chrome]:
    """A headless one, with a window of this size."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    with tempfile.TemporaryDirectory() as profile:
        for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(switch)
        options.add_argument(f"--user-data-dir={profile}")
        driver = webdriver.ChromeService(shutil.which("chromedriver"))
        browser = webdriver.Chrome(options, driver)
        try:
            browser.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False},
            )
            yield browser
        finally:
            browser.quit()


def main(picture: Path = PICTURE, size: tuple[int, int] = SIZE) -> None:
    """Replay the scan, open its page, and take its picture."""
    opened = open_best_graph(opened_package("w3"), RunnerOptions(threads=1))
    live = LiveOptions(orientation=opened.package.manifest.orientation)
    source = _Pausing(find_scan(EXAMPLE_SCAN), RATE_HZ)
    with closing(LivePage(PageOptions())) as page, chromium(size) as browser:
        browser.get(page.url)
        scan = Thread(
            target=run,
            args=(source, opened, RunOptions(live, look_s=0.5, scans=1), _Silent()),
            kwargs={"viewers": (page.show,)},
        )
        scan.start()
        shown = f"return document.getElementById('processed').textContent.startsWith('{FRAMES}')"
        WebDriverWait(browser, 120).until(lambda one: one.execute_script(shown))
        plot = browser.find_element(By.CSS_SELECTOR, "#phase .plot")
        webdriver.ActionChains(browser).move_to_element_with_offset(plot, -40, 30).click().perform()
        WebDriverWait(browser, 20).until(
            lambda one: "nearest" in one.find_element(By.ID, "frames").text
        )
        taken = Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB")
        source.ended = True
        scan.join()
    taken.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        Path(arguments[0]) if arguments else PICTURE,
        (int(arguments[1]), int(arguments[2])) if len(arguments) > 2 else SIZE,
    )
