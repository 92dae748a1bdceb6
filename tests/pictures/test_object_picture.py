"""The picture: legible at every size, honest about what is not covered."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from wnet_edge.errors import ResultError
from wnet_edge.pictures.object_picture import PictureOptions, draw_picture, write_picture


def images(shape=(60, 80)):
    rows, columns = np.indices(shape)
    phase = np.sin(rows / 7 + columns / 9).astype(np.float32)
    coverage = np.ones(shape, np.float32)
    coverage[:, -shape[1] // 4 :] = 0
    return phase, (1 + 0.1 * phase).astype(np.float32), coverage


@pytest.mark.parametrize(
    "shape", [(3, 4), (60, 80), (480, 470), (700, 900), (2600, 900), (20, 3000)]
)
def test_every_size_fits_a_screen(shape):
    picture = draw_picture(*images(shape), 1e-8, PictureOptions("scan", "caption"))
    assert 1000 <= picture.width <= 2400 or max(shape) > shape[1]
    assert picture.height <= 1200
    assert max(picture.size) >= 500


def test_uncovered_is_neutral_and_covered_is_not():
    picture = np.asarray(draw_picture(*images(), 1e-8))
    row = picture[picture.shape[0] // 2]
    neutral = (row == (226, 226, 226)).all(axis=1)
    assert neutral[450:540].all()
    assert not neutral[40:400].any()


def test_an_outlier_does_not_take_the_colours():
    phase, amplitude, coverage = images()
    spoiled = phase.copy()
    spoiled[30, 20] = 300
    plain = np.asarray(draw_picture(phase, amplitude, coverage, None), int)
    other = np.asarray(draw_picture(spoiled, amplitude, coverage, None), int)
    assert np.abs(plain - other).mean() < 1


def test_flat_empty_and_nan_images_are_drawn():
    flat = np.zeros((50, 50), np.float32)
    uncovered = draw_picture(flat, flat, flat, 1e-9)
    covered = draw_picture(flat, flat, flat + 1, 1e-9)
    no_number = draw_picture(flat + np.nan, flat, flat + 1, 1e-9)
    assert uncovered.size == covered.size == no_number.size
    middle = (covered.width // 4, covered.height // 2)  # of the phase
    nothing = (226, 226, 226)
    assert uncovered.getpixel(middle) == no_number.getpixel(middle) == nothing
    assert covered.getpixel(middle) != nothing


def test_long_and_foreign_titles_stay_on_the_picture():
    long = draw_picture(*images(), 1e-8, PictureOptions("scan_µ−é日本 " * 60, "·" * 900))
    short = draw_picture(*images(), 1e-8, PictureOptions("a", "b"))
    assert long.size == short.size
    edge = np.asarray(long)[:, -20:]
    assert (edge == 255).all()


def test_file_is_a_png_and_replaced_only_by_force(tmp_path):
    path = tmp_path / "scan.wnet.png"
    write_picture(path, *images(), 1e-8)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.mode == "RGB"
    with pytest.raises(ResultError, match="exists already"):
        write_picture(path, *images(), 1e-8)
    write_picture(path, *images(), 1e-8, force=True)
    assert list(tmp_path.iterdir()) == [path]


def test_shapes_must_agree():
    phase, amplitude, coverage = images()
    with pytest.raises(ValueError, match="one shape"):
        draw_picture(phase, amplitude[1:], coverage, None)


def test_pillow_is_loaded_only_for_a_picture():
    code = "import sys, wnet_edge.pictures.object_picture; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_arrows_tell_which_way_the_axes_run():
    """White on a dark plate in the upper left corner of both panels: x to the right, y down."""
    picture = np.asarray(draw_picture(*images((500, 500)), 1e-8)).astype(int)
    plate = (picture == 20).all(axis=2)
    top, left = (int(np.flatnonzero(plate[:200, :200].any(axis=axis))[0]) for axis in (1, 0))
    assert plate[:, picture.shape[1] // 2 :].any()
    ink = (picture[top : top + 58, left : left + 58] > 200).all(axis=2)
    for arrow in (ink, ink.T):
        assert arrow[12, 13:41].all()
        assert arrow[9:16, 35].all()  # the head, at the far end
        assert arrow[6:19, 20].sum() <= 2  # the shaft
        assert not arrow[12, 46:].any()


def test_rows_run_downwards_and_columns_to_the_right():
    rows, columns = np.indices((500, 500), np.float32)
    picture = np.asarray(draw_picture(rows, columns, np.ones_like(rows), None)).astype(int)
    phase, amplitude = picture[80:560, 90:520], picture[80:560, -560:-200]
    assert phase[10].sum() < phase[-10].sum()  # viridis grows brighter
    assert amplitude[:, 10].sum() < amplitude[:, -10].sum()
