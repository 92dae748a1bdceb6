"""A headless Chromium, and what a viewer of the live page sees and does in it."""

import shutil
import time

from selenium import webdriver
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--window-size=1600,1000",
)


def start():
    """The browser; `quit` ends it."""
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAM
    for switch in _SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))


def until(is_so, told, seconds=20.0):
    """Wait until something is so; `told` says what is instead."""
    end_s = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end_s, told()
        time.sleep(0.03)


def errors(browser):
    """What went wrong in its pages; that nobody answers is no fault of theirs."""
    entries = [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"]
    return [one["message"] for one in entries if "ERR_CONNECTION" not in one["message"]]


class Screen:
    """The page in a tab of its own.

    Args:
        browser: in which it is opened.
        url: of the page.
    """

    def __init__(self, browser, url):
        self._browser = browser
        browser.switch_to.new_window("tab")
        self._tab = browser.current_window_handle
        browser.get(url)

    @property
    def browser(self):
        """With this tab in front."""
        if self._browser.current_window_handle != self._tab:
            self._browser.switch_to.window(self._tab)
        return self._browser

    def close(self):
        self.browser.close()
        self._browser.switch_to.window(self._browser.window_handles[0])

    def do(self, script):
        return self.browser.execute_script(script)

    def text(self, name):
        return self.do(f"return document.getElementById('{name}')?.textContent ?? ''")

    def wait(self, name, part):
        """Until an element says `part`."""
        until(lambda: part in self.text(name), lambda: f"{name} says {self.text(name)!r}")

    def press(self, name):
        button = self.browser.find_element(By.ID, name)
        until(button.is_enabled, f"{name} is disabled".format)
        button.click()

    def choose(self, name, value):
        select = self.browser.find_element(By.CSS_SELECTOR, f"[data-map={name}]")
        Select(select).select_by_visible_text(value)

    def type(self, field, text):
        element = self.browser.find_element(By.CSS_SELECTOR, field)
        element.clear()
        element.send_keys(text)

    def picture(self, name):
        """A panel, as it is drawn."""
        return self.browser.find_element(By.ID, name).screenshot_as_png

    def plot(self, name, expression):
        """Of the plot `p` of this name."""
        return self.do(
            f"const p = Bokeh.documents[0].get_model_by_name('{name}'); return {expression}"
        )

    def view(self):
        """What is seen of the object: x from, to, y from, to, µm."""
        return self.plot(
            "phase", "[p.x_range.start, p.x_range.end, p.y_range.end, p.y_range.start]"
        )

    def um_per_pixel(self):
        """Across and down."""
        left, right, top, bottom = self.view()
        width, height = self.plot("phase", "[p.inner_width, p.inner_height]")
        return (right - left) / width, (bottom - top) / height

    def point(self, x_um, y_um, *, click=False):
        """Move the mouse to a place of the object."""
        mouse = webdriver.ActionChains(self.browser, duration=0)
        mouse.w3c_actions.pointer_action.move_to_location(*self._at(x_um, y_um))
        if click:
            mouse.click()
        mouse.perform()

    def zoom(self, x_um, y_um):
        """Turn the wheel there."""
        origin = ScrollOrigin.from_viewport(*self._at(x_um, y_um))
        before = self.view()
        webdriver.ActionChains(self.browser).scroll_from_origin(origin, 0, -400).perform()
        until(lambda: self.view() != before, lambda: "no zoom")
        return self.view()

    def _at(self, x_um, y_um):
        left, right, top, bottom = self.view()
        x, y, width, height = self.plot(
            "phase",
            "(() => { const view = Bokeh.index.find_one_by_id(p.id);"
            " const canvas = view.canvas_view.el.getBoundingClientRect();"
            " const { left, top, width, height } = view.frame.bbox;"
            " return [canvas.left + left, canvas.top + top, width, height]; })()",
        )
        across, down = (x_um - left) / (right - left), (y_um - top) / (bottom - top)
        return round(x + across * width), round(y + down * height)
