// One function a kind of figure. Each returns a chart: {svg, trials, near}.
//   trials: Map from a trial to its elements, which are copied on top when it is looked at
//   near(x, y): the nearest trial to a place in the drawing, and what stands there: {trial, text, distance}

/** Return a chart of what `add` has put into it; `spots` are the places that can be pointed at. */
function chart(root, spots, trials) {
  const near = (x, y) => {
    let found = null;
    let least = Infinity;
    for (const spot of spots) {
      const distance = (spot.x - x) ** 2 + (spot.y - y) ** 2;
      if (distance < least) [found, least] = [spot, distance];
    }
    return found && { ...found, distance: Math.sqrt(least) };
  };
  return { svg: root, trials, near };
}

/** Trials in the order of drawing: the best last, so that it lies on top. */
function bestLast(items) {
  return [...items].sort((one, other) => order(other.trial) - order(one.trial));
}

function drawCurves(figure, width) {
  const drawn = frame(width, Math.min(420, Math.max(300, width * 0.42)), figure.x, figure.y);
  const spots = [];
  const trials = new Map();
  for (const curve of bestLast(figure.curves)) {
    const { status } = TRIALS[curve.trial];
    const places = curve.x.map((epoch, index) => [drawn.x(epoch), drawn.y(curve.y[index])]);
    const group = svg("g", { class: `curve s-${status}${curve.trial === BEST ? " best" : ""}` });
    group.append(svg("path", { d: `M${places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` }));
    group.append(mark(status, ...places[places.length - 1], curve.trial === BEST ? 4 : 3));
    if (curve.trial === BEST) {
      const [x, y] = places[places.length - 1];
      const atEnd = x > drawn.box.right - 60;
      group.append(svg("text", { x: x + (atEnd ? -2 : 8), y: y - 9, "text-anchor": atEnd ? "end" : "start", class: "at" }, BEST));
    }
    drawn.layer.append(group);
    trials.set(curve.trial, [group]);
    places.forEach(([x, y], index) => {
      const text = `epoch ${curve.x[index]}: ${curve.y[index].toFixed(2)} nats`;
      if (y >= drawn.box.top - 8) spots.push({ trial: curve.trial, x, y, text });
    });
  }
  return chart(drawn.svg, spots, trials);
}

function drawPoints(figure, width) {
  const tall = figure.name === "cost";
  const drawn = frame(width, tall ? Math.min(400, Math.max(280, width * 0.4)) : 220, figure.x, figure.y);
  const spots = [];
  const trials = new Map();
  const front = new Set(figure.front);
  const places = new Map(figure.points.map((point) => [point.trial, [drawn.x(point.x), drawn.y(point.y)]]));
  if (front.size) {
    const steps = figure.front.map((trial) => places.get(trial));
    const path = steps.map(([x, y], index) => (index ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}`));
    drawn.layer.append(svg("path", { class: "front", d: path.join("") }));
  }
  for (const point of bestLast(figure.points)) {
    const [x, y] = places.get(point.trial);
    const group = svg("g", { class: point.trial === BEST ? "best" : "" });
    if (front.has(point.trial)) group.append(svg("circle", { class: "halo", cx: x, cy: y, r: 9 }));
    group.append(mark(TRIALS[point.trial].status, x, y, point.trial === BEST ? 5.5 : 4));
    drawn.layer.append(group);
    trials.set(point.trial, [group]);
    const where = figure.x.categories.length ? "" : `${figure.x.label} ${numberText(point.x)}`;
    spots.push({ trial: point.trial, x, y, text: where });
  }
  return chart(drawn.svg, spots, trials);
}

function drawBars(figure, width) {
  const row = 30;
  const room = Math.min(260, Math.max(110, width * 0.36));
  const root = canvas(width, figure.bars.length * row + 8);
  const x = scaleOf(figure.x, room, width - 56);
  figure.bars.forEach((bar, index) => {
    const middle = index * row + row / 2 + 4;
    const short = bar.label.length * 6.6 > room - 12 ? `…${bar.label.slice(-Math.floor((room - 20) / 6.6))}` : bar.label;
    const label = svg("text", { x: room - 10, y: middle + 4, "text-anchor": "end", class: "name" }, short);
    label.append(svg("title", {}, bar.label));
    root.append(
      label,
      svg("rect", { class: "bar", x: room, y: middle - 9, height: 18, width: Math.max(x(bar.value) - room, 1.5), rx: 3 }),
      svg("text", { x: x(bar.value) + 8, y: middle + 4 }, `${(100 * bar.value).toFixed(1)}%`),
    );
  });
  return chart(root, [], new Map());
}

function drawSpans(figure, width) {
  const row = 26 + 8 * figure.series.length;
  const left = 66;
  const height = figure.rows.length * row + 52;
  const root = canvas(width, height);
  const x = scaleOf(figure.x, left, width - 16);
  const grid = svg("g", { class: "grid" });
  const words = svg("g", { class: "ticks" });
  for (const tick of ticksOf(figure.x, (width - left) / 80)) {
    grid.append(svg("line", { x1: x(tick), x2: x(tick), y1: 4, y2: height - 44 }));
    words.append(svg("text", { x: x(tick), y: height - 28, "text-anchor": "middle" }, numberText(tick)));
  }
  words.append(svg("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle", class: "axis" }, figure.x.label));
  const layer = svg("g", { class: "marks" });
  root.append(grid, words, layer);
  const spots = [];
  const trials = new Map();
  figure.rows.forEach(({ trial, spans }, index) => {
    const top = index * row + 8;
    const group = svg("g", { class: trial === BEST ? "best" : "" });
    group.append(svg("text", { x: left - 10, y: top + row / 2, "text-anchor": "end", class: "name" }, trial));
    for (const span of spans) {
      const y = top + ((span.series + 1) * (row - 4)) / (figure.series.length + 1);
      const one = svg("g", { class: `span c-${span.series}${span.trusted === false ? " hollow" : ""}` });
      if (span.error !== null) {
        const [from, to] = [x(span.value - span.error), x(span.value + span.error)];
        one.append(svg("path", { class: "whisker", d: `M${from} ${y}H${to}M${from} ${y - 4}v8M${to} ${y - 4}v8` }));
      }
      one.append(svg("circle", { cx: x(span.value), cy: y, r: 5 }));
      group.append(one);
      const error = span.error === null ? "" : ` ± ${span.error.toFixed(2)}`;
      const doubt = span.trusted === false ? ", not to be trusted" : "";
      const text = `${figure.series[span.series]}: ${span.value.toFixed(2)}${error} nats${doubt}`;
      spots.push({ trial, x: x(span.value), y, text });
    }
    layer.append(group);
    trials.set(trial, [group]);
  });
  return chart(root, spots, trials);
}

function drawParallel(figure, room) {
  const width = Math.max(room, 92 * figure.axes.length);
  const height = 340;
  const first = Math.max(...ticksOf(figure.axes[0], 6).map((tick) => tickText(figure.axes[0], tick).length));
  const box = { left: Math.max(46, first * 7 + 14), right: width - 52, top: 34, bottom: height - 44 };
  const root = canvas(width, height);
  const across = (index) => box.left + ((box.right - box.left) * index) / (figure.axes.length - 1);
  const scales = figure.axes.map((axis) => scaleOf(axis, box.bottom, box.top));
  const layer = svg("g", { class: "marks" });
  const words = svg("g", { class: "ticks" });
  root.append(layer, words);
  const spots = [];
  const trials = new Map();
  for (const line of bestLast(figure.lines)) {
    const places = line.at.map((value, index) => [across(index), value === null ? height - 20 : scales[index](value)]);
    const path = svg("path", { d: `M${places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` });
    path.setAttribute("class", `line r-${Math.round(line.rank * 8)}${line.trial === BEST ? " best" : ""}`);
    layer.append(path);
    trials.set(line.trial, [path]);
    places.forEach(([x, y], index) => {
      spots.push({ trial: line.trial, x, y, text: "" });
      const next = places[index + 1];
      if (next) {
        for (const part of [0.25, 0.5, 0.75]) {
          spots.push({ trial: line.trial, x: x + part * (next[0] - x), y: y + part * (next[1] - y), text: "" });
        }
      }
    });
  }
  figure.axes.forEach((axis, index) => {
    const x = across(index);
    words.append(svg("path", { class: "upright", d: `M${x} ${box.top}V${box.bottom}` }));
    const title = svg("text", { x, y: index % 2 ? 12 : 24, "text-anchor": "middle", class: "axis" }, axis.label);
    words.append(title);
    const beyond = figure.axes.length - 1 === index;
    for (const tick of ticksOf(axis, 6)) {
      const at = { x: x + (beyond ? 8 : -8), y: scales[index](tick) + 4, "text-anchor": beyond ? "start" : "end" };
      words.append(svg("text", at, tickText(axis, tick)));
    }
    if (!beyond && figure.lines.some((line) => line.at[index] === null)) {
      words.append(svg("text", { x: x - 8, y: height - 16, "text-anchor": "end", class: "off" }, "off"));
    }
  });
  return chart(root, spots, trials);
}

const DRAW = { curves: drawCurves, points: drawPoints, bars: drawBars, spans: drawSpans, parallel: drawParallel };
