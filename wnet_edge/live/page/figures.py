"""The Bokeh models of the page: images with their sources, and what the page's script reads.

The script (`page.js`) does what needs no server: colours, ranges of view, the value under the
cursor, the frames under a click. So it goes on after the server has gone.
"""

from importlib.resources import files
from typing import Any

from bokeh.core.templates import get_env
from bokeh.document import Document
from bokeh.models import (
    BasicTicker,
    ColorBar,
    ColorMapper,
    ColumnDataSource,
    CrosshairTool,
    CustomJS,
    Image,
    LinearColorMapper,
    LogColorMapper,
    PanTool,
    Range1d,
    Rect,
    ScaleBar,
    Scatter,
    Span,
    WheelZoomTool,
)
from bokeh.palettes import Cividis256, Greys256, Inferno256, Magma256, Viridis256
from bokeh.plotting import figure

PALETTES = {
    "viridis": Viridis256,
    "grey": Greys256,
    "magma": Magma256,
    "inferno": Inferno256,
    "cividis": Cividis256,
}
_COLOURS = {"phase": "viridis", "amplitude": "grey", "coverage": "magma", "patch": "viridis"}
_FRAMES = ("frame", "clicked")
_MAPS = ("phase", "amplitude", "coverage")
"""Images of the object; the others are in pixels."""

_PLATE, _QUIET, _MARK = "#0b0f13", "#8b98a5", "#ff9f43"
_FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Figures:
    """The models of one document.

    Args:
        document: to which they are added.

    Attributes:
        images: sources of the images by name.
        windows: of the frames: x, y of their corners in µm, number.
        kept: frames to be shown when they are clicked on: place among the frames, image.
        status: the numbers, as JSON; set last, when everything else of a look has been.
        asked: what the browser says: look that is shown, whether it is paused, saves asked for.
    """

    def __init__(self, document: Document) -> None:
        names = (*_COLOURS, *_FRAMES)
        self.images = {name: _image_source() for name in names}
        self.windows = ColumnDataSource(
            {"x": [], "y": [], "number": []}, name="windows", syncable=False
        )
        self.kept = ColumnDataSource({"place": [], "image": []}, syncable=False)
        self.status = ColumnDataSource({"json": []}, syncable=False)
        self.asked = ColumnDataSource({"shown": [0], "paused": [0], "saves": [0]})
        self._said = ColumnDataSource({"text": [""]}, syncable=False)
        mappers = {name: _mapper(name) for name in names}
        marks = ColumnDataSource(
            {name: [] for name in ("x", "y", "size", "width", "alpha")}, syncable=False
        )
        view = ColumnDataSource({"x": [], "y": [], "width": [], "height": []}, syncable=False)
        spot = ColumnDataSource({"x": [], "y": []}, syncable=False)
        ranges = _ranges()
        plots = {
            name: _plot(name, source, mappers[name], ranges if name in _MAPS[:2] else _ranges())
            for name, source in self.images.items()
        }
        _link_crosshair(plots["phase"], plots["amplitude"])
        for name in _MAPS:
            _mark(plots[name], marks, spot)
        outline = Rect(
            x="x", y="y", width="width", height="height", fill_color=None, line_color="white"
        )
        plots["coverage"].add_glyph(view, outline)
        models = {
            **{f"{name}_plot": plot for name, plot in plots.items()},
            **{f"{name}_source": source for name, source in self.images.items()},
            **{f"{name}_mapper": mapper for name, mapper in mappers.items()},
            **{"windows": self.windows, "kept": self.kept, "status": self.status},
            **{"asked": self.asked, "said": self._said},
            **{"marks": marks, "view": view, "spot": spot},
        }
        with document.models.freeze():  # or each root is gone through anew
            for plot in plots.values():
                document.add_root(plot)
        plots["phase"].tags = list(models.values())  # part of the document by this
        document.js_on_event("document_ready", CustomJS(args=models, code=_start(models)))
        document.config.reconnect_session = False  # the script does, and keeps its view
        document.config.notify_connection_status = False
        document.title = "wnet-edge live"
        here = files("wnet_edge.live.page")
        document.template = get_env().from_string(here.joinpath("page.html").read_text("utf-8"))
        document.template_variables.update(
            style=here.joinpath("page.css").read_text("utf-8"),
            script=here.joinpath("page.js").read_text("utf-8"),
            palettes=list(PALETTES),
            colours=_COLOURS,
        )

    def say(self, text: str) -> None:
        """A line to this viewer."""
        self._said.data = {"text": [text]}


def _start(models: dict[str, Any]) -> str:
    palettes = {name: list(colours) for name, colours in PALETTES.items()}
    return f"livePage.start({{{', '.join(models)}}}, {palettes!r});"


def _image_source() -> ColumnDataSource:
    names = ("image", "x", "y", "dw", "dh")
    return ColumnDataSource({name: [] for name in names}, syncable=False)


def _mapper(name: str) -> ColorMapper:
    if name in _FRAMES:
        palette, log = PALETTES["inferno"], True
    else:
        palette, log = PALETTES[_COLOURS[name]], False
    kind = LogColorMapper if log else LinearColorMapper
    low = 0.5 if log else 0.0
    mapper: ColorMapper = kind(
        palette=palette, low=low, high=1.0, nan_color="rgba(0, 0, 0, 0)", syncable=False
    )
    return mapper


def _ranges() -> tuple[Range1d, Range1d]:
    """Of x and y; rows run downwards."""
    return Range1d(0, 1, syncable=False), Range1d(1, 0, syncable=False)


def _plot(
    name: str, source: ColumnDataSource, mapper: ColorMapper, ranges: tuple[Range1d, Range1d]
) -> figure:
    """An image that fills its place on the page, without a toolbar: drag pans, the wheel zooms."""
    is_large = name in _MAPS[:2]
    wheel = WheelZoomTool(zoom_on_axis=False)
    plot = figure(
        name=name,
        x_range=ranges[0],
        y_range=ranges[1],
        sizing_mode="stretch_both",
        toolbar_location=None,
        tools=[PanTool(), wheel] if is_large else [],
        background_fill_color=_PLATE,
        border_fill_color=None,
        outline_line_color=None,
        min_border=4 if is_large else 0,
        lod_threshold=None,
    )
    plot.add_glyph(source, Image(color_mapper=mapper))
    plot.grid.visible = False
    if is_large:
        plot.toolbar.active_scroll = wheel
        _dress(plot, mapper)
    else:
        plot.axis.visible = False
    return plot


def _dress(plot: figure, mapper: ColorMapper) -> None:
    """Axes in µm, colour bar and scale bar."""
    text = {"text_color": _QUIET, "text_font": _FONT, "text_font_size": "13px"}
    for key, value in text.items():
        setattr(plot.axis, f"major_label_{key}", value)
    plot.axis.axis_line_color = plot.axis.minor_tick_line_color = None
    plot.axis.major_tick_line_color = _QUIET
    bar = ColorBar(
        color_mapper=mapper,
        width=14,
        padding=6,
        margin=0,
        label_standoff=8,
        ticker=BasicTicker(desired_num_ticks=6),
        background_fill_color=None,
        bar_line_color=None,
        major_tick_line_color=None,
        **{f"major_label_{key}": value for key, value in text.items()},
    )
    plot.add_layout(bar, "right")
    plot.add_layout(
        ScaleBar(
            range=plot.x_range,
            unit="µm",
            location="bottom_left",
            bar_length=0.2,
            bar_line_color="white",
            bar_line_width=4,
            margin=12,
            padding=8,
            label_standoff=4,
            label_text_color="white",
            label_text_font=_FONT,
            label_text_font_size="16px",
            background_fill_color="black",
            background_fill_alpha=0.6,
            border_line_color=None,
        )
    )


def _link_crosshair(*plots: figure) -> None:
    line: dict[str, Any] = {"line_color": "white", "line_alpha": 0.35, "syncable": False}
    width = Span(dimension="width", **line)
    height = Span(dimension="height", **line)
    for plot in plots:
        plot.add_tools(CrosshairTool(overlay=[width, height]))


def _mark(plot: figure, marks: ColumnDataSource, spot: ColumnDataSource) -> None:
    """Windows of frames, and the place that was clicked on."""
    window = Rect(
        width="size",
        height="size",
        fill_color=None,
        line_color=_MARK,
        line_alpha="alpha",
        line_width="width",
    )
    plot.add_glyph(marks, window)
    place = Scatter(marker="cross", size=16, line_color=_MARK, line_width=2)
    plot.add_glyph(spot, place)
