// A chart in its card: drawn by ECharts when it comes into sight; zoom, pan, log axis, downloads, and a trial pointed at
// with mouse or keyboard. What a chart shows is `build(card)`, in 4_charts.js:
//   option   in ECharts' words        good     limits [low, high] of x and y where the good trials are
//   order    trials, for the arrow keys        find     where a trial is: {seriesIndex, dataIndex}
//   said     what limits leave out    text     what a mark says of its trial besides
const cards = new Map();
const told = h("div", { id: "told", hidden: true });
const heard = h("div", { class: "out-of-sight", role: "status", "aria-live": "polite" });

const reporter = new IntersectionObserver((seen) => seen.forEach(({ isIntersecting, target }) => {
  const card = cards.get(target.id);
  if (!card) return;
  card.isSeen = isIntersecting;
  if (isIntersecting && card.isStale) card.draw();
}), { rootMargin: "300px" });
// In the next frame: drawing changes heights, which an observer must not do while it reports.
const sizes = new ResizeObserver((changes) => requestAnimationFrame(() => changes.forEach(({ target }) => {
  const card = cards.get(target.closest("figure")?.id);
  if (card?.chart && Math.abs(card.width - target.clientWidth) > 1) card.draw();
})));

class Card {
  /** `height` in pixels; `least`: width below which it scrolls sideways; `zooms`: whether x and y have numbers. */
  constructor({ name, title, note = "", build, height = 320, least = 0, zooms = true, logs = false, controls = [], wide = false }) {
    Object.assign(this, { name, title, build, height, least, zooms, logs, isStale: true, isSeen: false, limits: "good", isLog: false, pans: false });
    this.said = h("p", { class: "note said" });
    this.plot = h("div", { class: "plot", tabindex: "0", role: "group",
      "aria-label": `${title}. Arrow keys move between trials, Enter opens one, Space picks it, plus and minus zoom.` });
    this.tools = h("div", { class: "tools", role: "toolbar", "aria-label": `${title}: tools` }, this.buttons());
    this.plot.style.height = `${height}px`; // so that nothing below moves when it is drawn
    this.noteLine = note ? h("p", { class: "note" }, note) : null;
    this.figure = h("figure", { class: wide ? "card wide" : "card", id: name },
      h("figcaption", {}, h("h3", {}, title), this.noteLine), controls.length ? h("div", { class: "controls" }, controls) : null,
      this.tools, h("div", { class: "frame" }, this.plot), this.said);
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.plot.addEventListener("blur", () => point(null));
    this.plot.addEventListener("dblclick", () => this.limit("all"));
    cards.set(name, this);
    reporter.observe(this.figure);
    sizes.observe(this.plot.parentElement ?? this.plot);
  }

  buttons() {
    this.ways = this.zooms && limitButtons(this);
    const toggle = (text, name, label) => {
      const made = button(text, () => {
        this[name] = !this[name];
        this.forget(); // a drawn chart that zooms into rectangles goes on doing so
        made.setAttribute("aria-pressed", this[name]);
        this.redraw();
      }, { "aria-pressed": "false", "aria-label": label, title: label, "data-toggle": name });
      return made;
    };
    return [
      this.ways,
      this.zooms && [button("+", () => this.zoom(0.6), { "aria-label": "Zoom in" }),
        button("−", () => this.zoom(1 / 0.6), { "aria-label": "Zoom out" }),
        toggle("Pan", "pans", "Dragging moves the chart instead of zooming in on a rectangle"), this.limitsMenu()],
      this.logs && toggle("Log", "isLog", "Logarithmic axis"),
      h("span", { class: "grow" }),
      ["svg", "png"].map((kind) => button(kind.toUpperCase(), () => this.download(kind),
        { "aria-label": `Download as ${kind.toUpperCase()}`, "data-download": kind })),
    ];
  }

  /** The limits of the vertical axis, typed. */
  limitsMenu() {
    const fields = ["from", "to"].map((name) => h("input", { type: "number", step: "any", "aria-label": `Axis ${name}`, placeholder: name }));
    const set = () => {
      const [low, high] = fields.map(({ value }) => (value === "" ? null : Number(value)));
      const [before, after] = this.window().y;
      if ((high ?? after) > (low ?? before)) this.limit({ ...this.window(), y: [low ?? before, high ?? after] });
    };
    fields.forEach((field) => field.addEventListener("change", set));
    this.fields = fields;
    return h("details", { class: "menu" }, h("summary", {}, "Axis"), h("div", {}, fields));
  }

  /** Draw again when it is next in sight. */
  redraw() {
    this.isStale = true;
    if (this.isSeen) this.draw();
  }

  draw() {
    this.isStale = false;
    const found = (this.built = this.build(this));
    this.said.textContent = found.said ?? "";
    this.tools.hidden = this.plot.hidden = Boolean(found.empty);
    if (found.empty) {
      this.said.textContent = found.empty;
      this.said.className = "empty";
      return;
    }
    this.said.className = "note said";
    this.plot.style.minWidth = `${found.least ?? this.least}px`;
    this.plot.style.height = `${found.height ?? this.height}px`;
    this.width = this.plot.parentElement.clientWidth;
    if (!this.chart) this.begin();
    this.chart.resize();
    this.isDrawing = true;
    this.lit = null;
    this.chart.setOption(this.option(found), { notMerge: true });
    if (this.zooms && !this.pans) this.chart.dispatchAction({ type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true });
    if (this.ways) this.say();
    this.isDrawing = false;
    found.after?.(this.chart);
    if (look.pointed) this.highlight(look.pointed);
  }

  forget() {
    this.chart?.dispose();
    this.chart = null;
  }

  begin() {
    this.chart = echarts.init(this.plot, null, { renderer: "canvas" });
    const trialAt = (event) => event.data?.trial ?? (BY_NAME.has(event.seriesId) ? event.seriesId : null);
    this.chart.on("mouseover", (event) => trialAt(event) && point(trialAt(event), this, event.event?.event, event.data));
    this.chart.on("mouseout", () => point(null));
    this.chart.on("click", (event) => trialAt(event) && pick(trialAt(event)));
    this.chart.on("datazoom", () => {
      if (this.isDrawing) return;
      this.limits = this.window();
      this.say();
    });
  }

  option(found = this.built, isPrinted = false) {
    const soft = colour("soft"), line = colour("line"), text = { color: soft, fontSize: 11 };
    const axis = (given, isX) => given && {
      nameLocation: "middle", nameGap: isX ? 26 : 0, nameTextStyle: { color: colour("ink"), fontSize: 12 },
        axisLine: { show: true, onZero: false, lineStyle: { color: line } },
      splitLine: { lineStyle: { color: line, opacity: 0.6 } }, ...given, axisTick: { lineStyle: { color: line }, ...given.axisTick },
      axisLabel: { ...text, ...given.axisLabel },
      ...(isX ? {} : { nameLocation: "end", nameGap: 10, nameTextStyle: { color: colour("ink"), fontSize: 12, align: "left" } }),
    };
    const { xAxis, yAxis, ...rest } = found.option;
    const zoom = this.zooms && found.extent && ["x", "y"].filter((which) => found.extent[which]).map((which) => ({
      type: "inside", id: which, [`${which}AxisIndex`]: 0, filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseMove: this.pans,
      moveOnMouseWheel: false, preventDefaultMouseMove: false, startValue: this.limitsOf(found)[which][0], endValue: this.limitsOf(found)[which][1],
    }));
    return {
      animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily }, backgroundColor: isPrinted ? colour("card")
        : "transparent",
      aria: { enabled: true, label: { description: `${this.title}. ${found.said ?? ""}` } },
      ...(xAxis ? { xAxis: axis(xAxis, true), yAxis: axis(yAxis, false), grid: { left: 8, right: 16, top: 30, bottom: 26, containLabel: true } }
        : {}),
      ...(zoom ? { dataZoom: zoom } : {}),
      ...(zoom && !this.pans ? { toolbox: { itemSize: 0, top: -40,
        feature: { dataZoom: { filterMode: "none", brushStyle: { color: colour("accent"), opacity: 0.15 } } } } } : {}),
      ...rest,
      ...(isPrinted ? this.withTitle(rest) : {}),
    };
  }

  /** What makes room for the title in a file or on paper, where the card around it is not seen. */
  withTitle({ grid, legend, parallel }) {
    return {
      title: { text: this.title, left: 8, top: 4, textStyle: { fontSize: 13, color: colour("ink") } },
      grid: { left: 8, right: 16, bottom: 26, containLabel: true, ...grid, top: 56 },
      ...(legend ? { legend: { ...legend, top: 26 } } : {}), ...(parallel ? { parallel: { ...parallel, top: 70 } } : {}),
    };
  }

  /** The limits asked for: of the good trials, of all, or those zoomed to. */
  limitsOf({ extent, good }) {
    const asked = this.limits === "all" ? extent : this.limits === "good" ? { ...extent, ...good } : { ...extent, ...this.limits };
    // A zoom of before may lie beyond what there is now.
    return Object.fromEntries(Object.keys(extent).map((which) => {
      const [low, high] = asked[which], [least, most] = extent[which];
      return [which, low < most && high > least ? [Math.max(low, least), Math.min(high, most)] : extent[which]];
    }));
  }

  /** The limits that are seen now. */
  window() {
    const zooms = this.chart?.getOption().dataZoom ?? [];
    const limits = zooms.filter(({ id }) => id === "x" || id === "y").map(({ id, startValue, endValue }) => [id, [startValue, endValue]]);
    return { ...this.built.extent, ...Object.fromEntries(limits) };
  }

  limit(limits) {
    this.limits = limits;
    this.redraw();
  }

  zoom(factor) {
    const log = this.isLog ? "y" : "", now = this.window();
    this.limit(Object.fromEntries(Object.entries(now).map(([which, [low, high]]) => {
      const [to, back] = which === log ? [Math.log, Math.exp] : [Number, Number];
      const middle = (to(low) + to(high)) / 2, half = (factor * (to(high) - to(low))) / 2;
      return [which, [back(middle - half), back(middle + half)]];
    })));
  }

  /** What the limits leave out, and which of the buttons they are. */
  say() {
    for (const way of this.ways) way.setAttribute("aria-pressed", way.dataset.limits === this.limits);
    const { y } = this.zooms ? this.window() : {};
    if (y) this.fields.forEach((field, place) => (field.value = Number(y[place].toPrecision(6))));
    this.said.textContent = [this.built.said, y && this.built.outside?.(y)].filter(Boolean).join(" ");
  }

  highlight(trial) {
    if (!this.chart || this.built.empty) return;
    const found = trial && this.built.find?.(trial);
    if (this.lit) this.chart.dispatchAction({ type: "downplay", ...this.lit });
    if (found) this.chart.dispatchAction({ type: "highlight", ...found });
    this.lit = found || null;
  }

  key(event) {
    const order = this.built?.order ?? [], place = order.indexOf(look.pointed?.trial);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && order.length) point(order[place < 0 ? (step > 0 ? 0 : order.length - 1) : (place + step + order.length) % order.length], this);
    else if (event.key === "Enter" && look.pointed) location.hash = look.pointed.trial;
    else if (event.key === " " && look.pointed) pick(look.pointed.trial);
    else if (event.key === "Escape") point(null);
    else if (this.zooms && "+-=0".includes(event.key)) event.key === "0" ? this.limit("all") : this.zoom(event.key === "-" ? 1 / 0.6 : 0.6);
    else return;
    event.preventDefault();
  }

  /** The chart as a file, as it is seen. */
  download(kind) {
    const drawn = this.drawn(kind), name = `${DATA.name}-${this.name}.${kind}`;
    if (kind === "svg") save(name, new Blob([drawn.renderToSVGString()], { type: "image/svg+xml" }));
    else h("a", { href: drawn.getDataURL({ pixelRatio: 2, backgroundColor: colour("card") }), download: name }).click();
    drawn.dispose();
  }

  /** The chart as a picture that fits any paper, beside the one on the screen. */
  print() {
    this.built = this.build(this); // in the colours of paper
    if (this.built.empty) return;
    const drawn = this.drawn("png", 900), picture = drawn.renderToCanvas({ pixelRatio: 2, backgroundColor: colour("card") });
    picture.className = "on-paper";
    picture.style.cssText = ""; // it stands in the text, not over it
    this.plot.parentElement.append(picture);
    drawn.dispose();
  }

  drawn(kind, width = this.plot.clientWidth) {
    const size = { width, height: this.plot.clientHeight + 26 };
    const drawn = kind === "svg" ? echarts.init(null, null, { renderer: "svg", ssr: true, ...size }) : echarts.init(h("div"), null, size);
    const option = this.option(this.built, true);
    if (option.dataZoom && this.chart) {
      const now = this.window();
      for (const zoom of option.dataZoom) [zoom.startValue, zoom.endValue] = now[zoom.id];
    }
    drawn.setOption(option);
    return drawn;
  }
}

/** Limits where the good trials are, or of all. */
const limitButtons = (card) => [["good", "Good", "Axis limits at which the good trials can be told apart"], ["all", "All", "Axis limits that show all trials"]].map(
  ([limits, text, title]) => button(text, () => card.limit(limits), { "data-limits": limits, title }));

function save(name, blob) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Show a trial in all charts, and all its searched parameters beside the chart that is pointed at: over none of it. */
function point(name, card = null, event = null, data = null) {
  const trial = name ? trialOf(name) : null;
  if (trial === look.pointed && !event) return;
  look.pointed = trial;
  for (const each of cards.values()) if (each.isSeen) each.highlight(trial);
  told.hidden = !trial || !card;
  if (!trial || !card) return;
  const lines = [["validation −ELBO", trial.bound === null ? "–" : trial.bound.toFixed(2)], ...(card.built.text?.(trial, data) ?? []),
    ...COLUMNS.filter(({ parameter }) => parameter).map((column) => [column.title, textOf(column, trial)])];
  const head = `${trial.trial}, ${trial.rank === null ? STATUSES[trial.status] : `rank ${trial.rank}`}`;
  told.replaceChildren(h("b", {}, head), h("dl", {}, lines.map(([title, text]) => h("div", {}, h("dt", {}, title), h("dd", {}, text)))));
  heard.textContent = `${head}; ${lines.map((line) => line.join(" ")).join("; ")}`;
  const frame = card.plot.parentElement.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = told;
  const below = frame.bottom + height + 8 < innerHeight || frame.top < height + 8;
  const left = Math.min(Math.max((event?.clientX ?? frame.left + frame.width / 2) - width / 2, 8), innerWidth - width - 8);
  told.style.left = `${left}px`;
  told.style.top = `${below ? Math.min(frame.bottom + 4, innerHeight - height - 4) : frame.top - height - 4}px`;
}

/** Take a trial among those compared, or out of them. */
function pick(name) {
  if (!look.picked.delete(name)) look.picked.add(name);
  pickedChanged();
}
