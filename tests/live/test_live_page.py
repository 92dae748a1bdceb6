"""The live page in a browser: what a beamline sees, whatever becomes of scan and connection."""

from contextlib import closing

import numpy as np
import pytest
from live_snapshots import PIXEL_M, WINDOW_PX, snapshot

pytest.importorskip("bokeh")
pytest.importorskip("selenium")

import live_browser
from live_browser import Screen, errors, until

from wnet_edge.live.page.live_page import LivePage
from wnet_edge.live.page.page_options import PageOptions

PIXEL_UM = 1e6 * PIXEL_M


@pytest.fixture(scope="module")
def browser():
    if live_browser.PROGRAM is None or live_browser.DRIVER is None:
        pytest.skip("no chromium with chromedriver on this machine")
    browser = live_browser.start()
    yield browser
    browser.quit()


@pytest.fixture
def tab(browser):
    """Opens the page in a tab of its own; at the end none may have met an error."""
    screens = []

    def opened(url):
        screens.append(Screen(browser, url))
        return screens[-1]

    yield opened
    for screen in screens:
        screen.close()
    assert errors(browser) == []


@pytest.fixture
def page(tmp_path):
    with closing(LivePage(PageOptions(), lambda name: tmp_path / f"{name}.h5")) as page:
        yield page


def test_the_image_and_the_numbers_grow_with_the_scan(page, tab):
    screen = tab(page.url)
    screen.wait("state", "waiting for the first frames")
    page.show(snapshot(8))
    screen.wait("processed", "8 of 64")
    before = {name: screen.picture(name) for name in ("phase", "amplitude", "coverage", "frame")}
    page.show(snapshot(40))
    screen.wait("processed", "40 of 64")
    for name in before:
        until(lambda name=name: screen.picture(name) != before[name], f"{name} stays".format)
    told = {
        "scan": "scan_12",
        "state": "scanning",
        "received": "43",
        "lost": "3",
        "losses": "1 frame received twice",
        "rate": "512",
        "queue": "5",
        "p50": "8.5",
        "p99": "41",
        "r-factor": "0.092",
        "verdict": "trusted",
        "warnings": "the <b>probe</b> differs",
        "package": "w3 · fp32 · cpu",
        "frame-caption": "no. 139",
    }
    assert {
        name: screen.text(name) for name, part in told.items() if part not in screen.text(name)
    } == {}


def test_the_value_under_the_cursor_is_told_and_pixels_are_square(page, tab):
    screen = tab(page.url)
    page.show(snapshot(40))
    screen.wait("processed", "40")
    screen.point(30.5 * PIXEL_UM, 70.5 * PIXEL_UM)
    screen.wait("readout", "phase 0.300 rad   amplitude 0.570   coverage 1.000")
    across, down = screen.um_per_pixel()
    assert across == pytest.approx(down)


def test_a_zoomed_view_stays_where_it_is_while_the_image_grows(page, tab):
    screen = tab(page.url)
    page.show(snapshot(40))
    screen.wait("processed", "40")
    zoomed = screen.zoom(0.9, 0.9)
    across, down = screen.um_per_pixel()
    assert across == pytest.approx(down)
    page.show(snapshot(41, first_row_px=-64))
    screen.wait("processed", "41")
    assert screen.view() == zoomed
    screen.press("fit")
    left, right, top, bottom = screen.view()
    assert (left, right) < (0, 96 * PIXEL_UM)
    assert top <= -64 * PIXEL_UM
    assert bottom >= 96 * PIXEL_UM
    page.show(snapshot(42, first_row_px=-96))  # nobody has zoomed: all of it is shown
    screen.wait("processed", "42")
    assert screen.view()[2] <= -96 * PIXEL_UM


def test_a_paused_viewer_keeps_its_look_while_another_one_goes_on(page, tab):
    paused, other = tab(page.url), tab(page.url)
    page.show(snapshot(8))
    for screen in (other, paused):
        screen.wait("processed", "8")
    paused.press("pause")
    paused.wait("state", "paused")
    for frames in (9, 10, 11):
        page.show(snapshot(frames))
        other.wait("processed", f"{frames} of")
    assert paused.text("processed") == "8 of 64"
    paused.press("pause")
    paused.wait("processed", "11 of")
    paused.wait("state", "scanning")


def test_a_click_shows_the_frames_that_made_the_place(page, tab):
    screen = tab(page.url)
    for frames in (16, 40):  # the second look's windows are added to the first one's
        page.show(snapshot(frames))
        screen.wait("processed", f"{frames} of")
    place_px = np.array([45.0, 38.0])
    screen.point(*(place_px[::-1] * PIXEL_UM), click=True)
    corners = snapshot(40).windows_px
    there = ((corners <= place_px) & (place_px < corners + WINDOW_PX)).all(axis=1)
    nearest = 100 + int(np.argmin(np.hypot(*(corners + WINDOW_PX / 2 - place_px).T)))
    screen.wait("frames", f"{there.sum()} frames, nearest first:\n{nearest}, ")
    marks = "p.renderers[1].data_source.data"
    assert screen.plot("amplitude", f"{marks}.x.length") == there.sum()
    assert screen.text("clicked-caption") == "no. 139"  # kept: first and last ones
    assert screen.plot("clicked", "p.renderers[0].data_source.data.image[0][0]") == 40


def test_a_save_is_asked_for_and_told_when_it_is_done(page, tab, tmp_path):
    screen = tab(page.url)
    screen.press("save")
    screen.wait("said", "no image to save yet")
    page.show(snapshot(8))
    screen.wait("processed", "8")
    assert not page.save_asked.is_set()
    screen.press("save")
    assert page.save_asked.wait(10)
    screen.wait("said", "saving")
    (tmp_path / "scan_12.h5").touch()  # as whoever runs the scan does
    page.save_asked.clear()
    screen.wait("said", f"saved: {tmp_path / 'scan_12.h5'}")
    screen.press("save")
    assert page.save_asked.wait(10)
    page.save_asked.clear()  # the disk is full
    screen.wait("said", "could not be written")


def test_colours_and_their_range_are_the_viewers_own(page, tab):
    screen, other = tab(page.url), tab(page.url)
    page.show(snapshot(40))
    for one in (screen, other):
        one.wait("processed", "40")
    mapper = "p.renderers[0].glyph.color_mapper"
    low, high = screen.plot("phase", f"[{mapper}.low, {mapper}.high]")
    assert (low, high) == pytest.approx((0, 0.95), abs=0.02)
    screen.choose("phase", "grey")
    screen.browser.find_element("css selector", "[data-auto=phase]").click()
    screen.type("[data-high=phase]", "0.5\n")
    page.show(snapshot(41))
    screen.wait("processed", "41")
    assert screen.plot("phase", f"[{mapper}.high, {mapper}.palette[255]]") == [0.5, "#ffffff"]
    assert other.plot("phase", f"{mapper}.high") == pytest.approx(high)


def test_the_page_comes_back_when_its_connection_does(tab):
    with closing(LivePage(PageOptions())) as first:
        screen = tab(first.url)
        first.show(snapshot(40))
        screen.wait("processed", "40")
        zoomed = screen.zoom(0.9, 0.9)
    screen.wait("state", "no connection since")
    assert screen.text("processed") == "40 of 64"
    port = int(first.url.rstrip("/").rpartition(":")[2])
    with closing(LivePage(PageOptions(port=port))) as second:
        second.show(snapshot(48))
        screen.wait("processed", "48 of")
        assert screen.view() == pytest.approx(zoomed)


def test_the_page_of_a_scan_that_has_ended_stays(page, tab):
    screen = tab(page.url)
    page.show(snapshot(8))
    screen.wait("processed", "8")
    page.show(snapshot(64, ended="all 64 frames are there"))
    page.close()
    screen.wait("state", "ended: all 64 frames are there (this page is kept)")
    assert screen.text("processed") == "64 of 64"
    screen.point(4 * PIXEL_UM, 4 * PIXEL_UM, click=True)
    screen.wait("frames", "1 frames, nearest first:\n100")


def test_the_next_scan_takes_its_place(page, tab):
    screen = tab(page.url)
    page.show(snapshot(64, ended="all 64 frames are there"))
    screen.wait("state", "ended")
    screen.point(1, 1, click=True)
    screen.wait("frames", "nearest first")
    page.show(snapshot(8))
    screen.wait("state", "scanning")
    screen.wait("processed", "8 of 64")
    assert screen.text("frames") == "Click on the image."
    assert (
        screen.plot("phase", "Bokeh.documents[0].get_model_by_name('windows').data.x.length") == 8
    )


def test_a_token_is_asked_for(tab):
    with closing(LivePage(PageOptions(token="open sesame"))) as page:  # noqa: S106
        screen = tab(page.url)
        screen.type("[name=token]", "open says me\n")
        until(lambda: "This token is wrong." in screen.browser.page_source, "no answer".format)
        assert errors(screen.browser)  # 403, which the browser logs
        screen.type("[name=token]", "open sesame\n")
        page.show(snapshot(8))
        screen.wait("processed", "8")
        assert "sesame" not in screen.browser.current_url
