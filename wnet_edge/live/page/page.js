// The live page: shows what Bokeh's server sends, and answers the viewer without asking it.
//
// `status` comes last of a look; when it is shown the server is told, and sends the next.
"use strict";

const livePage = (() => {
  const MAPS = ["phase", "amplitude"];
  const NAMED = 12; // frames whose numbers a click shows
  const MARKED = 60; // frames whose windows it marks
  const RETRY_MS = 2000;
  const STORED = "wnet-edge-live";

  const element = (id) => document.getElementById(id);
  const stored = JSON.parse(sessionStorage.getItem(STORED) ?? "{}");
  const kept = new Map(); // place among the frames -> its counts
  let models, palettes, status = null;
  let isFitting = false; // ranges are being set by us
  let isFree = false; // the viewer has chosen what to see
  let clicked = null; // x, y in µm
  let isPaused = false, saves = 0, scanNumber = null;

  function start(given, colours) {
    [models, palettes] = [given, colours];
    for (const name of MAPS) {
      const plot = models[`${name}_plot`];
      plot.on_event("mousemove", (event) => read(event));
      plot.on_event("mouseleave", () => read(null));
      plot.on_event("tap", (event) => click(event));
      plot.on_event("doubletap", () => seeAll());
      prepareColours(name);
    }
    models.coverage_plot.on_event("tap", (event) => click(event));
    const { x_range, y_range, properties } = models.phase_plot;
    for (const range of [x_range, y_range]) {
      for (const end of ["start", "end"]) range.properties[end].change.connect(moved);
    }
    for (const size of ["inner_width", "inner_height"]) properties[size].change.connect(refit);
    models.status.properties.data.change.connect(show);
    models.said.properties.data.change.connect(() => say(models.said.data.text[0]));
    element("fit").onclick = seeAll;
    element("pause").onclick = () => pause(!isPaused);
    element("save").onclick = save;
    for (const button of document.querySelectorAll("nav button")) button.disabled = false;
    Bokeh.documents[0].on_event("connection_lost", lost);
    addEventListener("beforeunload", remember);
    recall();
    show();
  }

  // A look.

  function show() {
    const json = models.status.data.json[0];
    if (json === undefined) return;
    status = JSON.parse(json);
    if (status.scan_number !== scanNumber) begin();
    models.kept.data.place.forEach((place, at) => kept.set(place, models.kept.data.image[at]));
    showNumbers();
    colour();
    if (!isFree) fit();
    scaleSmall("coverage", "frame", "patch");
    if (clicked !== null) showPlace();
    tell();
  }

  function begin() {
    if (scanNumber !== null) [isFree, clicked] = [false, null];
    scanNumber = status.scan_number;
    kept.clear();
    if (clicked === null) forgetPlace();
  }

  function tell() {
    models.asked.data = { shown: [status?.look ?? 0], paused: [Number(isPaused)], saves: [saves] };
  }

  function showNumbers() {
    const text = (id, value) => { element(id).textContent = value; };
    const of = status.expected === null ? "" : ` of ${whole(status.expected)}`;
    text("scan", status.scan);
    text("processed", whole(status.processed) + of);
    text("received", whole(status.received));
    text("lost", whole(status.lost));
    element("lost").dataset.some = status.lost > 0;
    list("losses", status.losses);
    text("rate", short(status.frames_per_second));
    text("queue", whole(status.queue_depth));
    text("p50", short(status.latency_ms[0]));
    text("p99", short(status.latency_ms[1]));
    text("r-factor", status.r_factor === null ? "–" : status.r_factor.toFixed(3));
    text("verdict", { true: "trusted", false: "not trusted" }[status.trusted] ?? "");
    element("verdict").dataset.trusted = status.trusted;
    text("verdict-text", status.verdict);
    list("warnings", status.warnings);
    text("package", `${status.package} · ${status.precision} · ${status.provider}`);
    text("frame-caption", status.last === null ? "" : `no. ${status.last}`);
    text("taken", new Date(1000 * status.taken_s).toLocaleTimeString([], { hour12: false }));
    element("bar").style.width = `${100 * Math.min(1, status.processed / (status.expected ?? Infinity))}%`;
    document.title = `${status.scan} · wnet-edge live`;
    showState();
  }

  function showState() {
    if (document.body.dataset.state === "lost") return;
    let state = "running", text = "scanning";
    if (status === null) [state, text] = ["waiting", "waiting for the first frames"];
    else if (status.ended !== null) [state, text] = ["ended", `ended: ${status.ended}`];
    if (isPaused) [state, text] = ["paused", "paused"];
    document.body.dataset.state = state;
    element("state").textContent = text;
  }

  function list(id, lines) {
    element(id).replaceChildren(...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  }

  const whole = (number) => Math.round(number).toLocaleString("en").replaceAll(",", "\u2009");
  const short = (number) => number < 10 ? number.toFixed(1) : whole(number);

  function say(text) {
    element("said").textContent = text;
  }

  // What the viewer sees: all of the image, as it grows, until they move or zoom.

  function seeAll() {
    isFree = false;
    fit();
  }

  function fit() {
    if (status === null) return;
    const [left, top, right, bottom] = status.bounds_um;
    const plot = models.phase_plot;
    const scale = Math.max((right - left) / plot.inner_width, (bottom - top) / plot.inner_height);
    view((left + right) / 2, (top + bottom) / 2, 1.02 * scale);
    outline();
  }

  function refit() {
    const { x_range } = models.phase_plot;
    if (!isFree) fit();
    else view(...centre(), (x_range.end - x_range.start) / models.phase_plot.inner_width);
  }

  function centre() {
    const { x_range, y_range } = models.phase_plot;
    return [(x_range.start + x_range.end) / 2, (y_range.start + y_range.end) / 2];
  }

  function view(x, y, scale) {
    const { x_range, y_range, inner_width, inner_height } = models.phase_plot;
    if (!(scale > 0 && inner_width > 0 && inner_height > 0)) return;
    isFitting = true;
    x_range.setv({ start: x - scale * inner_width / 2, end: x + scale * inner_width / 2 });
    y_range.setv({ start: y + scale * inner_height / 2, end: y - scale * inner_height / 2 });
    isFitting = false;
  }

  function moved() {
    if (isFitting) return;
    isFree = true;
    outline();
  }

  function outline() {
    const { x_range, y_range } = models.phase_plot;
    const [x, y] = centre();
    models.view.data = isFree ? {
      x: [x], y: [y], width: [x_range.end - x_range.start], height: [y_range.start - y_range.end],
    } : { x: [], y: [], width: [], height: [] };
  }

  function scaleSmall(...names) {
    for (const name of names) {
      const { data } = models[`${name}_source`];
      if (!data.image.length) continue;
      const plot = models[`${name}_plot`];
      const [x, y, width, height] = [data.x[0], data.y[0], data.dw[0], data.dh[0]];
      const scale = Math.max(width / plot.inner_width, height / plot.inner_height);
      const [across, down] = [scale * plot.inner_width / 2, scale * plot.inner_height / 2];
      plot.x_range.setv({ start: x + width / 2 - across, end: x + width / 2 + across });
      plot.y_range.setv({ start: y + height / 2 + down, end: y + height / 2 - down });
    }
  }

  // Colours.

  function prepareColours(name) {
    const [map, auto, low, high] = controls(name);
    map.onchange = () => { models[`${name}_mapper`].palette = palettes[map.value]; };
    for (const control of [auto, low, high]) control.onchange = colour;
  }

  function controls(name) {
    return ["map", "auto", "low", "high"].map((kind) => document.querySelector(`[data-${kind}=${name}]`));
  }

  function colour() {
    for (const name of MAPS) {
      const [, auto, low, high] = controls(name);
      low.disabled = high.disabled = auto.checked;
      if (auto.checked && status !== null) {
        [low.value, high.value] = status.ranges[name].map((value) => value.toFixed(3));
      }
      const [least, most] = [Number(low.value), Number(high.value)];
      if (most > least) models[`${name}_mapper`].setv({ low: least, high: most });
    }
    models.coverage_mapper.high = highest("coverage", 1e-6);
    models.frame_mapper.high = highest("frame", 1);
    spread("patch");
  }

  function highest(name, least) {
    const [image] = models[`${name}_source`].data.image;
    return image === undefined ? least : image.reduce((most, value) => value > most ? value : most, least);
  }

  function spread(name) {
    const [image] = models[`${name}_source`].data.image;
    if (image === undefined) return;
    const [low, high] = image.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    if (high > low) models[`${name}_mapper`].setv({ low, high });
  }

  // The value under the cursor.

  function read(event) {
    if (event === null || status === null) return;
    const { x, y } = event;
    const values = ["phase", "amplitude", "coverage"].map((name) => valueAt(name, x, y));
    const [phase, amplitude, coverage] = values.map((value) => Number.isFinite(value) ? value.toFixed(3) : "–");
    element("readout").textContent = `x ${x.toFixed(3)} µm   y ${y.toFixed(3)} µm   phase ${phase} rad   `
      + `amplitude ${amplitude}   coverage ${coverage}`;
  }

  function valueAt(name, x, y) {
    const { image: [image], x: [left], y: [top], dw: [width], dh: [height] } = models[`${name}_source`].data;
    if (image === undefined) return NaN;
    const [rows, columns] = image.shape;
    const [row, column] = [Math.floor((y - top) / height * rows), Math.floor((x - left) / width * columns)];
    return row < 0 || column < 0 || row >= rows || column >= columns ? NaN : image[row * columns + column];
  }

  // The frames at a place.

  function click({ x, y }) {
    if (status === null) return;
    clicked = [x, y];
    document.activeElement?.blur(); // no frame around the figure
    showPlace();
  }

  function forgetPlace() {
    models.marks.data = { x: [], y: [], size: [], width: [], alpha: [] };
    models.spot.data = { x: [], y: [] };
    models.clicked_source.data = { image: [], x: [], y: [], dw: [], dh: [] };
    element("frames").textContent = "Click on the image.";
    element("clicked-caption").textContent = "";
  }

  function showPlace() {
    const [x, y] = clicked;
    const size = status.window_um;
    const { x: lefts, y: tops, number: numbers } = models.windows.data;
    const distance = (at) => Math.hypot(lefts[at] + size / 2 - x, tops[at] + size / 2 - y);
    const makes = (at) => lefts[at] <= x && x < lefts[at] + size && tops[at] <= y && y < tops[at] + size;
    const there = Array.from(numbers.keys()).filter(makes).map((at) => [distance(at), at]);
    const nearest = there.sort(([a], [b]) => a - b).map(([, at]) => at);
    const marked = nearest.slice(0, MARKED);
    models.marks.data = {
      x: marked.map((at) => lefts[at] + size / 2), y: marked.map((at) => tops[at] + size / 2),
      size: marked.map(() => size), width: marked.map((_, order) => order === 0 ? 2.5 : 1),
      alpha: marked.map((_, order) => order === 0 ? 1 : 0.45),
    };
    models.spot.data = { x: [x], y: [y] };
    const named = nearest.slice(0, NAMED).map((at) => numbers[at]).join(", ");
    const more = nearest.length > NAMED ? " …" : "";
    element("frames").textContent = `x ${x.toFixed(3)} µm, y ${y.toFixed(3)} µm\n`
      + (nearest.length ? `${nearest.length} frames, nearest first:\n${named}${more}` : "no frame there");
    showKept(distance);
  }

  // Of the frames that were kept, the one nearest to the click.
  function showKept(distance) {
    const close = [...kept.keys()].reduce((best, at) => best < 0 || distance(at) < distance(best) ? at : best, -1);
    if (close < 0) return;
    const image = kept.get(close);
    const [height, width] = image.shape;
    models.clicked_source.data = { image: [image], x: [0], y: [0], dw: [width], dh: [height] };
    models.clicked_mapper.high = highest("clicked", 1);
    scaleSmall("clicked");
    element("clicked-caption").textContent = `no. ${models.windows.data.number[close]}`;
    element("frames").textContent += `\nFrame shown: ${distance(close).toFixed(2)} µm away`;
  }

  // Pause, save, reconnect.

  function pause(value) {
    isPaused = value;
    element("pause").setAttribute("aria-pressed", value);
    element("pause").textContent = value ? "Go on" : "Pause";
    showState();
    tell();
  }

  function save() {
    saves += 1;
    say("saving…");
    tell();
  }

  function lost() {
    if (document.body.dataset.state === "lost") return;
    const hasEnded = status?.ended != null;
    const at = new Date().toLocaleTimeString([], { hour12: false });
    document.body.dataset.state = hasEnded ? "ended" : "lost";
    element("state").textContent = hasEnded ? `ended: ${status.ended} (this page is kept)`
      : `no connection since ${at}; trying again`;
    element("pause").disabled = element("save").disabled = true;
    setTimeout(tryAgain, RETRY_MS);
  }

  async function tryAgain() {
    try {
      if ((await fetch("alive", { cache: "no-store" })).ok) return location.reload();
    } catch {
      // still away
    }
    setTimeout(tryAgain, RETRY_MS);
  }

  function remember() {
    const { x_range } = models.phase_plot;
    const scale = (x_range.end - x_range.start) / models.phase_plot.inner_width;
    const colours = Object.fromEntries(MAPS.map((name) => {
      const [map, auto, low, high] = controls(name);
      return [name, [map.value, auto.checked, low.value, high.value]];
    }));
    const view = isFree ? [...centre(), scale] : null;
    sessionStorage.setItem(STORED, JSON.stringify({ view, clicked, isPaused: false, colours }));
  }

  function recall() {
    for (const [name, [palette, isAuto, least, most]] of Object.entries(stored.colours ?? {})) {
      const [map, auto, low, high] = controls(name);
      [map.value, auto.checked, low.value, high.value] = [palette, isAuto, least, most];
      map.onchange();
    }
    clicked = stored.clicked ?? null;
    if (stored.view) {
      view(...stored.view);
      isFree = true;
    }
    colour();
  }

  return { start };
})();
