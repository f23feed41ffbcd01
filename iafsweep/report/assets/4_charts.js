// The charts of a sweep.
const SMALL = 7;

const isPicked = (trial) => look.picked.has(trial.trial);
const isBest = (trial) => trial.trial === DATA.best;
const trialsText = (number) => `${count(number)} trial${number === 1 ? "" : "s"}`;
const aboveText = (values) => ([, high]) => {
  const above = values.filter((value) => value > high).length;
  return above ? `${trialsText(above)} ${above === 1 ? "lies" : "lie"} above the axis: “All” shows ${above === 1 ? "it" : "them"}.` : "";
};

/** How a trial is drawn: those picked and the best stand out, all others step back the more of them there are. */
function styleOf(trial, many) {
  const stands = isPicked(trial) || isBest(trial);
  return { color: isPicked(trial) ? colour("ink") : colourOf(trial), width: stands ? 3 : many > 80 ? 1 : 1.6, opacity: stands ? 1 : many > 300 ? 0.35
    : many > 80 ? 0.5 : 0.85 };
}

const markOf = (trial, value, many) => ({
  trial: trial.trial, value, symbol: MARKS[trial.status], symbolSize: isPicked(trial) || isBest(trial) ? SMALL + 4 : many > 300 ? SMALL - 2 : SMALL,
  itemStyle: { color: colourOf(trial), opacity: many > 300 ? 0.6 : 0.9, borderColor: colour(isPicked(trial) || isBest(trial) ? "ink" : "card"),
    borderWidth: isPicked(trial) || isBest(trial) ? 2 : 0.5 },
});

const standOut = () => ({ emphasis: { scale: 1.8, itemStyle: { borderColor: colour("ink"), borderWidth: 2.5, opacity: 1 } } });

/** How far curves reach, and of bounds where the good trials are: low, and not before one of them comes there. */
function limitsOfCurves(lines, isBound, isLog) {
  const xs = lines.flatMap(({ points }) => points.map(([x]) => x)), ys = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const bests = lines.map(({ points }) => Math.min(...points.map(([, y]) => y)));
  const extent = { x: padded(spanOf(xs), 0.02), y: isLog ? spanOf(ys).map((y, place) => y * (place ? 1.02 : 0.98)) : padded(spanOf(ys)) };
  if (!isBound) return { bests, extent, good: null };
  const low = Math.min(...bests), most = [...ys].sort((a, b) => a - b)[Math.floor(0.7 * ys.length)];
  const y = lines.length < FEW ? padded([low, most]) : goodLimits(bests);
  const reached = lines.flatMap(({ points }) => points.filter(([, value]) => value <= y[1]).map(([x]) => x));
  return { bests, extent, good: { y, x: [Math.max(Math.min(...reached) - 0.5, extent.x[0]), extent.x[1]] } };
}

/** Lines over epochs, or seconds, of one series; `trials` those it is of. */
function curvesOf({ series, by = () => "epoch", trials, label, styled }) {
  return (card) => {
    const name = series(), axis = by(), chosen = trials().filter((trial) => DATA.curves[trial.trial]?.[name]);
    const lines = chosen.map((trial) => {
      const columns = DATA.curves[trial.trial];
      return { trial, points: columns[axis].map((x, place) => [x, columns[name][place]]).filter(([x, y]) => x !== null && y !== null) };
    });
    const ys = lines.flatMap(({ points }) => points.map(([, y]) => y));
    if (!ys.length) return { empty: DATA.curves_note || "None of the trials shown has this curve." };
    const isBound = /negative_elbo$/.test(name), isLog = card.isLog && spanOf(ys)[0] > 0;
    const { bests, extent, good } = limitsOfCurves(lines, isBound, isLog);
    const places = new Map(lines.map(({ trial }, place) => [trial.trial, place]));
    return {
      extent, good,
      order: lines.map(({ trial }) => trial.trial), find: (trial) => places.has(trial.trial) && { seriesIndex: places.get(trial.trial) },
      said: [card.isLog && !isLog && "The axis stays linear: a logarithmic one cannot show values of 0 or less.", label?.(chosen)].filter(Boolean).join(" "),
      outside: good && aboveText(bests),
      option: {
        xAxis: { type: "value", min: extent.x[0], max: extent.x[1], name: axis === "epoch" ? "epoch" : "training seconds",
          minInterval: axis === "epoch" ? 1 : 0, axisLabel: { showMinLabel: false, showMaxLabel: false } },
        yAxis: { type: isLog ? "log" : "value", scale: true, min: extent.y[0], max: extent.y[1], name: DATA.series[name],
          axisLabel: { showMinLabel: false, showMaxLabel: false, formatter: numberText } },
        series: [...lines.map(({ trial, points }) => {
          const { color, width, opacity } = styled?.(trial) ?? styleOf(trial, lines.length);
          return {
            id: trial.trial, type: "line", data: points, color, symbol: "none", triggerLineEvent: true, clip: true,
            lineStyle: { width, opacity }, z: isPicked(trial) || isBest(trial) ? 5 : 2,
            emphasis: { lineStyle: { width: 4, color: colour("ink"), opacity: 1 } },
          };
        }), { type: "scatter", clip: true, z: 6, data: lines.map(({ trial, points }) => markOf(trial, points.at(-1), lines.length)), ...standOut() }],
      },
    };
  };
}

function select(label, options, chosen, change) {
  const box = h("select", { "aria-label": label, on: { change: () => change(box.value) } },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return h("label", {}, `${label} `, box);
}

function learningCurves() {
  let series = DATA.series.validation_negative_elbo ? "validation_negative_elbo" : Object.keys(DATA.series)[0], by = "epoch";
  const card = new Card({
    name: "learning-curves", title: "Learning curves", height: 400, wide: true, logs: true,
    note: "Bounds are at full KL weight; validation bounds are measured on the validation images after each epoch. Click a curve to pick its trial for comparison.",
    controls: [select("Curve", Object.entries(DATA.series), series, (value) => ((series = value), card.limit("good"))),
      select("Over", [["epoch", "epochs"], ["elapsed", "training seconds"]], by, (value) => ((by = value), card.limit("good")))],
    build: curvesOf({ series: () => series, by: () => by, trials: shownTrials, label: () => DATA.curves_note }),
  });
  return card;
}

/** Bars of how much each parameter matters. */
function shares(name, title, found) {
  return new Card({
    name, title, zooms: false, height: 60 + 26 * found().bars.length, build: () => {
      const { bars, empty, note } = found();
      if (empty) return { empty };
      const names = bars.map(([path]) => DATA.parameters.find((parameter) => parameter.path === path)?.name ?? path);
      return {
        said: note,
        option: {
          xAxis: { type: "value", min: 0, axisLabel: { formatter: percent }, splitNumber: 4 },
          yAxis: { type: "category", inverse: true, data: names, axisLabel: { width: 140, overflow: "truncate" } },
          series: [{ type: "bar", data: bars.map(([, value]) => value), itemStyle: { color: colour("completed") }, barMaxWidth: 16,
            label: { show: true, position: "right", color: colour("soft"), formatter: ({ value }) => `${(100 * value).toFixed(1)}%` } }],
          grid: { left: 8, right: 48, top: 8, bottom: 8, containLabel: true },
        },
      };
    },
  });
}

/** Marks of trials at [x, y]; `y` is a bound unless `good` says otherwise. */
function marks(card, trials, place, axes, more = {}) {
  const points = trials.map((trial) => [trial, place(trial)]).filter(([, at]) => at);
  if (!points.length) return { empty: more.empty ?? "None of the trials shown has a finite validation bound, so there is nothing to compare." };
  const bounds = points.map(([, [, y]]) => y);
  const good = axes.isBound ? goodLimits(bounds) : null;
  const extent = { x: [axes.xAxis.min, axes.xAxis.max], y: axes.isBound ? padded(spanOf(bounds)) : [axes.yAxis.min, axes.yAxis.max] };
  const limits = axes.isBound ? { min: extent.y[0], max: extent.y[1], axisLabel: { showMinLabel: false, showMaxLabel: false, formatter: numberText } }
    : {};
  const places = new Map(points.map(([trial], at) => [trial.trial, at]));
  const before = more.series?.(extent) ?? [];
  return {
    extent, good: good && { y: good }, order: points.map(([trial]) => trial.trial), said: more.said,
    find: (trial) => places.has(trial.trial) && { seriesIndex: before.length, dataIndex: places.get(trial.trial) },
    outside: good && aboveText(bounds), text: more.text,
    option: {
      xAxis: axes.xAxis, yAxis: { ...axes.yAxis, ...limits },
      series: [...before, { type: "scatter", data: points.map(([trial, at]) => markOf(trial, at, points.length)), clip: true, z: 4, ...standOut() }],
    },
  };
}

const BOUND_AXIS = { type: "value", scale: true, name: "validation −ELBO (nats per image)" };
const MOST_MARKS = 2000, MOST_LINES = 1000;
const left = (shown, all) => (shown.length < all.length ? `${count(shown.length)} of ${count(all.length)} trials are drawn: the best, and others spread evenly over the rest.` : "");

function costCard() {
  return new Card({
    name: "cost", title: "Bound against cost", note: "The dashed line is the Pareto front: no completed trial has both a lower bound and faster epochs than a trial on it. Seconds are wall-clock medians; other work on the machine slows them down.",
    build: (card) => {
      const all = withBound(shownTrials()).filter((trial) => trial.seconds_per_epoch), trials = someOf(all, MOST_MARKS);
      const costs = trials.map((trial) => trial.seconds_per_epoch), [low, high] = spanOf(costs), log = low > 0 && high > 3 * low;
      const axis = axisOf({ name: "seconds per epoch", low, high: high > low ? high : low * 1.1, log, whole: false });
      const front = trials.filter((trial) => trial.pareto).sort((a,
        b) => a.seconds_per_epoch - b.seconds_per_epoch).map((trial) => [axis.at(trial.seconds_per_epoch), trial.bound]);
      return marks(card, trials, (trial) => [axis.at(trial.seconds_per_epoch), trial.bound],
        { xAxis: parameterAxis(axis), yAxis: BOUND_AXIS, isBound: true }, {
        said: left(trials, all), empty: "None of the trials shown has ended with a finite bound yet, so there is no cost to compare.",
        text: (trial) => [["seconds per epoch", numberText(trial.seconds_per_epoch)]],
        series: () => [{ type: "line", step: "end", data: front, symbol: "none", silent: true,
          lineStyle: { color: colour("ink"), type: "dashed", width: 1.4, opacity: 0.65 } }],
      });
    },
  });
}

/** Every trial as a line over all parameters to its bound; brushing an axis leaves those inside, in all charts. */
function parallelCard() {
  let order = DATA.parameters.map(({ path }) => path);
  const chips = h("ol", { class: "chips", "aria-label": "Order of the axes" });
  const move = (path, by) => {
    const at = order.indexOf(path), to = at + by;
    if (to < 0 || to >= order.length) return;
    order = order.filter((each) => each !== path);
    order.splice(to, 0, path);
    lay();
    card.redraw();
    chips.querySelectorAll("li")[to].querySelector(`[data-by="${by}"]`).focus();
  };
  const lay = () => chips.replaceChildren(...order.map((path) => {
    const { name } = DATA.parameters.find((parameter) => parameter.path === path);
    return h("li", {}, button("‹", () => move(path, -1), { "aria-label": `Move ${name} left`, "data-by": "-1" }), h("span", { class: "cut" }, name),
      button("›", () => move(path, 1), { "aria-label": `Move ${name} right`, "data-by": "1" }));
  }));
  const clear = button("Clear the brush", () => {
    look.brushed = null;
    card.intervals = {};
    lookChanged();
  }, { hidden: true, id: "unbrush" });
  const card = new Card({
    name: "parallel", title: "All parameters at once", height: 380, wide: true, zooms: false, controls: [chips, clear],
    note: "One line per trial, from its parameters to its best bound. Drag along an axis to keep only the trials inside the brush, in all charts and in the leaderboard. Brushes on several axes combine; a click on an axis outside its brush clears it. “off”: the parameter was inactive.",
    build: () => {
      const all = withBound(shownTrials(false)), trials = someOf(all, MOST_LINES);
      if (!trials.length) return { empty: "None of the trials shown has a finite validation bound, so there is nothing to compare." };
      const known = order.map((path) => DATA.parameters.findIndex((parameter) => parameter.path === path)).filter((place) => place >= 0);
      const axes = known.map((place) => axisOf(DATA.parameters[place]));
      const bounds = trials.map((trial) => trial.bound), good = card.limits === "all" ? padded(spanOf(bounds)) : goodLimits(bounds);
      const above = bounds.filter((bound) => bound > good[1]).length, cut = (bound) => Math.min(bound, good[1]);
      const dims = [...axes, { name: "bound", min: good[0], max: good[1], label: (value) => numberText(Number(value.toPrecision(5))) }];
      const text = { color: colour("soft"), fontSize: 11, textBorderColor: colour("card"), textBorderWidth: 3 };
      const drawn = [...trials].reverse(), places = new Map(drawn.map((trial, place) => [trial.trial, place]));
      clear.hidden = look.brushed === null;
      return {
        order: trials.map(({ trial }) => trial), find: (trial) => places.has(trial.trial) && { seriesIndex: 0, dataIndex: places.get(trial.trial) },
        least: Math.max(300, 84 * dims.length),
        said: [left(trials, all), above && `${trialsText(above)} above ${numberText(Number(good[1].toPrecision(5)))} nats ${above === 1 ? "is" : "are"} drawn at the end of the bound axis.`].filter(Boolean).join(" "),
        option: {
          parallel: { left: 40, right: 56, top: 44, bottom: 20, axisExpandable: false },
          parallelAxis: dims.map((axis, dim) => ({
            dim, type: "value", z: 10, name: axis.name, min: axis.min, max: axis.max, nameTextStyle: { color: colour("ink"), fontSize: 12 },
              nameGap: dim % 2 ? 12 : 26,
            axisLine: { lineStyle: { color: colour("soft") } }, axisTick: { customValues: axis.ticks, lineStyle: { color: colour("soft") } },
              minorTick: { show: false },
            axisLabel: { ...text, customValues: axis.ticks, formatter: axis.label, showMinLabel: axis.ticks ? null : false, showMaxLabel: axis.ticks
              ? null : false }, areaSelectStyle: { width: 22, color: colour("accent"), borderColor: colour("accent"), opacity: 0.25 },
          })),
          series: [{
            type: "parallel", smooth: false, progressive: 0, inactiveOpacity: 0.05, activeOpacity: 0.9, realtime: true,
            emphasis: { lineStyle: { width: 4, color: colour("ink"), opacity: 1 } },
            data: drawn.map((trial) => {
              const { color, width, opacity } = styleOf(trial, trials.length);
              return { trial: trial.trial, value: [...axes.map((axis, at) => axis.at(trial.values[known[at]])), cut(trial.bound)],
                lineStyle: { color, width, opacity } };
            }),
          }],
        },
        after: (chart) => {
          for (const [name, intervals] of Object.entries(card.intervals)) {
            const at = dims.findIndex((axis) => axis.name === name);
            const model = at >= 0 && chart.getModel().getComponent("parallelAxis", at);
            if (model) chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: model.id, intervals });
          }
          if (card.hears) return;
          card.hears = true;
          chart.on("axisareaselected", () => card.brushed(chart));
        },
      };
    },
  });
  card.intervals = {};
  /** Take over what ECharts says is inside all brushes. */
  card.brushed = (chart) => {
    const model = chart.getModel(), series = model.getSeries()[0], data = series.getData();
    card.intervals = Object.fromEntries(model.queryComponents({ mainType: "parallelAxis" }).map((axis) => [axis.option.name,
      axis.activeIntervals]).filter(([, found]) => found.length));
    const inside = series.getRawIndicesByActiveState("active").map((at) => data.getRawDataItem(at).trial);
    look.brushed = Object.keys(card.intervals).length ? new Set(inside) : null;
    clear.hidden = look.brushed === null;
    lookChanged(card);
  };
  card.ways = limitButtons(card);
  card.tools.prepend(...card.ways);
  lay();
  return card;
}

/** A parameter against the bound. */
function sliceCard(parameter) {
  const place = DATA.parameters.indexOf(parameter);
  return new Card({
    name: `slice-${parameter.path}`, title: parameter.name, height: 240,
    build: (card) => {
      const all = withBound(shownTrials()), trials = someOf(all, MOST_MARKS), axis = axisOf(parameter);
      const inactive = all.filter((trial) => trial.values[place] === null).length;
      return marks(card, trials, (trial) => [axis.at(trial.values[place]) + aside(axis, trial), trial.bound],
        { xAxis: { ...parameterAxis(axis), name: parameter.path }, yAxis: { ...BOUND_AXIS, name: "validation −ELBO" }, isBound: true },
        { said: [inactive && `Off in ${count(inactive)} of ${count(all.length)} trials.`, left(trials, all)].filter(Boolean).join(" ") });
    },
  });
}

/** Marks of one name are spread a little, or they would hide each other; the golden ratio spreads any number well. */
const aside = (axis, trial) => (axis.isNamed ? 0.3 * (((Number(trial.trial.slice(1)) * 0.618034) % 1) - 0.5) : 0);

/** Two parameters against each other, coloured by the bound, over what trials near there came to. */
function contourCard() {
  const byShare = [...DATA.importance.bars, ...DATA.variance.bars, ...DATA.parameters.map(({ path }) => [path, 0])].map(([path]) => path);
  const [first, second] = [...new Set(byShare)].filter((path) => DATA.parameters.some((parameter) => parameter.path === path));
  let x = first, y = second ?? "bound";
  const options = DATA.parameters.map(({ path, name }) => [path, name]);
  const card = new Card({
    name: "contour", title: "Any two parameters", height: 380,
    note: "The background shows the mean bound of nearby trials, weighted by distance; dark is good (on a dark page, light). It is empty where there are no trials: a guide to the eye, not a model.",
    controls: [select("Horizontal axis", options, x, (value) => ((x = value), card.limit("good"))),
      select("Vertical axis", [["bound", "validation −ELBO"], ...options], y, (value) => ((y = value), card.limit("good")))],
    build: () => {
      const all = withBound(shownTrials()), trials = someOf(all, MOST_MARKS);
      const [across, up] = [x, y].map((path) => DATA.parameters.find((parameter) => parameter.path === path));
      if (!across) return { empty: "No parameter was searched." };
      const [ax, ay] = [across, up].map((parameter) => parameter && axisOf(parameter));
      const value = (trial, parameter) => trial.values[DATA.parameters.indexOf(parameter)];
      const at = (trial) => [ax.at(value(trial, across)) + aside(ax, trial), up
        ? ay.at(value(trial, up)) + aside(ay, { trial: `t${Number(trial.trial.slice(1)) * 7}` }) : trial.bound];
      return marks(card, trials, at, { xAxis: parameterAxis(ax), yAxis: up ? parameterAxis(ay) : BOUND_AXIS, isBound: !up }, {
        said: left(trials, all), series: (extent) => (up ? [ground(trials.map((trial) => [...at(trial), trial.bound]), extent)] : []),
      });
    },
  });
  return card;
}

/** Cells of the mean bound of the trials near by; good limits rule the colours. */
function ground(points, { x, y }) {
  const cells = 26, width = (x[1] - x[0]) / cells, height = (y[1] - y[0]) / cells, [low, high] = goodLimits(points.map(([, , bound]) => bound));
  const data = [];
  for (let i = 0; i < cells; i++) for (let j = 0; j < cells; j++) {
    const [cx, cy] = [x[0] + (i + 0.5) * width, y[0] + (j + 0.5) * height];
    let sum = 0, weight = 0, most = 0;
    for (const [px, py, bound] of points) {
      const distance = ((px - cx) / (x[1] - x[0])) ** 2 + ((py - cy) / (y[1] - y[0])) ** 2, near = Math.exp(-distance / 0.005);
      [sum, weight, most] = [sum + near * Math.min(bound, high), weight + near, Math.max(most, near)];
    }
    if (most > 0.08) data.push([cx, cy, sum / weight]);
  }
  return {
    type: "custom", silent: true, z: 1, clip: true, data,
    renderItem: (_, api) => {
      const [left, top] = api.coord([api.value(0) - width / 2, api.value(1) + height / 2]),
        [right, bottom] = api.coord([api.value(0) + width / 2, api.value(1) - height / 2]);
      const [x1, y1, x2, y2] = [left, top, right, bottom].map(Math.round);
      return { type: "rect", shape: { x: x1, y: y1, width: x2 - x1, height: y2 - y1 },
        style: { fill: ramp((api.value(2) - low) / (high - low)), opacity: 0.45 } };
    },
  };
}

/** Test figures with their errors; hollow where the weights say not to trust them. */
function testFigures() {
  return new Card({
    name: "test-figures", title: "Test figures with standard errors", wide: true,
    build: (card) => {
      const titles = DATA.figures.map((title, place) => [title, place]).filter(([title]) => /^test/.test(title) && !/beside/.test(title));
      const all = shownTrials().filter((trial) => titles.some(([, place]) => trial.figures[place])), trials = all.slice(0, 24);
      if (!trials.length) return { empty: DATA.diagnostics.rows.length ? "None of the trials shown has been scored."
        : "No trial has been scored on test images yet." };
      const palette = isDark() ? DARK_PALETTE : PALETTE, spans = [];
      const series = titles.map(([title, place], which) => ({
        name: title, type: "scatter", color: palette[which], symbolSize: 9, clip: true,
        data: trials.flatMap((trial, row) => {
          const figure = trial.figures[place];
          if (!figure || figure.value === null) return [];
          const at = row + 0.22 * (which - (titles.length - 1) / 2), hollow = levelOf(figure.untrusted ?? 0) !== "good";
          spans.push([figure.value - (figure.error ?? 0), at, figure.value + (figure.error ?? 0), which]);
          return [{ trial: trial.trial, figure: title, value: [figure.value, at],
            itemStyle: { color: hollow ? colour("card") : palette[which], borderColor: palette[which], borderWidth: 2 } }];
        }),
        emphasis: standOut().emphasis,
      }));
      const extent = { x: padded(spanOf(spans.flatMap(([low, , high]) => [low, high]))), y: [-0.6, trials.length - 0.4] };
      const errors = {
        type: "custom", silent: true, clip: true, z: 1, data: spans, encode: { x: [0, 2], y: 1 },
        renderItem: (_, api) => {
          const [[x1, y1], [x2]] = [api.coord([api.value(0), api.value(1)]), api.coord([api.value(2), api.value(1)])];
          return { type: "line", shape: { x1, y1, x2, y2: y1 }, style: { stroke: palette[api.value(3)], lineWidth: 1.6 } };
        },
      };
      const where = trials.map((_, row) => row);
      return {
        extent, order: trials.map(({ trial }) => trial), height: 90 + 30 * trials.length, good: null,
        find: (trial) => ({ seriesIndex: series.map((_, place) => place + 1), dataIndex: trials.indexOf(trial) }),
        said: all.length > 24 ? `The best 24 of ${count(all.length)} scored trials are shown.` : "",
        option: {
          legend: { data: titles.map(([title]) => title), left: 0, top: 0, icon: "circle", itemHeight: 9, textStyle: { color: colour("soft") },
            inactiveColor: colour("line") },
          xAxis: { type: "value", min: extent.x[0], max: extent.x[1], name: "nats per image",
            axisLabel: { showMinLabel: false, showMaxLabel: false } },
          yAxis: { type: "value", inverse: true, min: extent.y[0], max: extent.y[1], name: "", axisTick: { customValues: where },
            splitLine: { show: false }, axisLabel: { customValues: where, formatter: (row) => trials[Math.round(row)]?.trial ?? "" } },
          series: [errors, ...series],
        },
      };
    },
  });
}

const CHARTS = {
  "learning-curves": learningCurves, cost: costCard, parallel: parallelCard, contour: contourCard, "test-figures": testFigures,
  importance: () => shares("importance", "Importance: what distinguishes the best trials", () => DATA.importance),
  variance: () => shares("variance", "Explained variance: what separates good trials from bad", () => DATA.variance),
};
const chartOf = (name) => CHARTS[name]?.() ?? sliceCard(DATA.parameters.find(({ path, name: short }) => [`slice-${path}`,
  `slice-${short}`].includes(name)));
