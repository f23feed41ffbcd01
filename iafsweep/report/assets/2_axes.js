// Where things stand on an axis. A searched parameter has its whole range, logarithmic where the search is, whole
// numbers at whole numbers, and a place of its own, below, for trials in which it was off.

/** Positions on the axis of a parameter: `at` a value's, `label` of a position, `ticks` that are labelled. */
function axisOf(parameter) {
  const place = DATA.parameters.indexOf(parameter);
  const off = place >= 0 && DATA.trials.some((trial) => trial.values[place] === null);
  const axis = parameter.options ? ofOptions(parameter) : ofRange(parameter);
  const span = axis.max - axis.min || 1, below = axis.options ? -1 : axis.min - 0.16 * span;
  return {
    ...axis,
    name: parameter.name,
    min: off ? below - 0.06 * span : axis.min - 0.05 * span,
    max: axis.max + 0.05 * span,
    ticks: off ? [below, ...axis.ticks] : axis.ticks,
    at: (value) => (value === null || value === undefined ? below : axis.at(value)),
    label: (position) => (off && position < axis.min - 0.05 * span ? "off" : axis.label(position)),
  };
}

function ofOptions({ options }) {
  return {
    min: 0, max: Math.max(options.length - 1, 0.01), ticks: options.map((_, place) => place),
      isNamed: options.some((option) => Number.isNaN(Number(option))), options,
    at: (value) => Math.max(options.indexOf(String(value)), 0), label: (position) => options[Math.round(position)] ?? "",
  };
}

function ofRange({ low, high, log, whole }) {
  const at = log ? Math.log10 : Number, back = log ? (position) => 10 ** position : Number;
  const ticks = log ? logTicks(low, high) : linearTicks(low, high, whole);
  return { min: at(low), max: at(high), ticks: ticks.map(at), at: (value) => at(Number(value)),
    label: (position) => numberText(Number(back(position).toPrecision(3))) };
}

function linearTicks(low, high, whole) {
  if (high <= low) return [low];
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
  if (whole) step = Math.max(1, Math.round(step));
  const ticks = [];
  for (let tick = whole ? low : Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) ticks.push(10 ** power);
  const inside = (all) => all.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  if (inside(ticks).length > 2) return inside(ticks);
  const more = inside(ticks.flatMap((tick) => [tick, 2 * tick, 5 * tick]));
  return more.length > 1 ? more : [low, high];
}

const FEW = 5;

/** From the best bound to a little above the better half of the trials, where good ones can be told apart. */
function goodLimits(bounds) {
  const known = [...bounds].sort((a, b) => a - b);
  if (!known.length) return null;
  if (known.length < FEW) return padded([known[0], known.at(-1)]);
  const low = known[0], ruling = known[Math.max(Math.ceil(known.length / 2) - 1, Math.min(FEW, known.length - 1) - 1)];
  const wide = Math.max(ruling - low, 1e-3 * Math.abs(low), 1e-9);
  return padded([low, ruling + 0.25 * wide]);
}

function padded([low, high], share = 0.04) {
  const pad = share * (high - low) || 0.1 * Math.abs(low) || 0.5;
  return [low - pad, high + pad];
}

const spanOf = (values) => {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (value !== null && value !== undefined) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return low > high ? [0, 1] : [low, high];
};

/** An axis of a chart for a parameter, in ECharts' words. */
function parameterAxis(axis, more = {}) {
  const tick = { customValues: axis.ticks };
  return {
    type: "value", min: axis.min, max: axis.max, name: axis.name, ...more,
    axisTick: { ...tick, show: true }, axisLabel: { ...tick, ...more.axisLabel, formatter: axis.label, hideOverlap: true },
  };
}
