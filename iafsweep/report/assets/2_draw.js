// SVG elements, the frame of a plot with its axes, and the marks of trials.

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element; texts go in as text, never as markup. */
function svg(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

const MARKS = {
  completed: (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  stopped: (r) => `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`,
  running: (r) => `M${-r} ${-r}L${1.2 * r} 0L${-r} ${r}Z`,
  pending: (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
  interrupted: (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
  diverged: (r) => `M0 ${-1.2 * r}L${1.1 * r} ${r}H${-1.1 * r}Z`,
  failed: (r) => `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0Z`,
  oom: (r) => `M0 ${1.2 * r}L${1.1 * r} ${-r}H${-1.1 * r}Z`,
};

/** Make the mark of a trial: its shape says the status as well as its colour does. */
function mark(status, x, y, radius, extra = "") {
  const path = svg("path", { d: MARKS[status](radius), class: `mark s-${status} ${extra}` });
  path.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
  return path;
}

/** Make an empty drawing of a width and height that shrinks with its container. */
function canvas(width, height) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
}

/** Whether the names of an axis need to be turned to fit beside each other. */
function crowded(axis, room) {
  const longest = Math.max(0, ...axis.categories.map((_, place) => tickText(axis, place).length));
  return axis.categories.length > 0 && longest * 7 + 8 > room / axis.categories.length;
}

/** Draw grid, ticks and labels; return {svg, layer, x, y, box}: scales to pixels, and the clipped layer for marks. */
function frame(width, height, xAxis, yAxis) {
  const turned = crowded(xAxis, width - 70);
  const longest = Math.max(0, ...xAxis.categories.map((_, place) => tickText(xAxis, place).length));
  const box = { left: 52, right: width - 14, top: 30, bottom: height - (turned ? 32 + longest * 4.2 : 42) };
  const root = canvas(width, height);
  const x = scaleOf(xAxis, box.left, box.right);
  const y = scaleOf(yAxis, box.bottom, box.top);
  const grid = svg("g", { class: "grid" });
  const words = svg("g", { class: "ticks" });
  for (const tick of ticksOf(yAxis, (box.bottom - box.top) / 36)) {
    grid.append(svg("line", { x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }));
    words.append(svg("text", { x: box.left - 8, y: y(tick) + 4, "text-anchor": "end" }, tickText(yAxis, tick)));
  }
  let last = -Infinity;
  for (const tick of ticksOf(xAxis, (box.right - box.left) / 52)) {
    if (!xAxis.categories.length) grid.append(svg("line", { x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom }));
    if (x(tick) - last < 26) continue;
    last = x(tick);
    const label = svg("text", { "text-anchor": turned ? "end" : "middle" }, tickText(xAxis, tick));
    label.setAttribute("transform", `translate(${x(tick)} ${box.bottom + 16})${turned ? " rotate(-35)" : ""}`);
    words.append(label);
  }
  words.append(svg("text", { x: 2, y: 13, class: "axis" }, yAxis.label));
  const name = { x: (box.left + box.right) / 2, y: height - 5, "text-anchor": "middle", class: "axis" };
  words.append(svg("text", name, xAxis.label));
  const baseline = svg("path", { class: "baseline", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` });
  const clip = svg("clipPath", { id: `clip-${(frame.made = (frame.made ?? 0) + 1)}` });
  clip.append(svg("rect", { x: box.left, y: box.top - 8, width: box.right - box.left + 8, height: box.bottom - box.top + 12 }));
  const layer = svg("g", { class: "marks", "clip-path": `url(#${clip.id})` });
  root.append(clip, grid, baseline, words, layer);
  return { svg: root, layer, x, y, box };
}
