// Positions, ticks and numbers: plain functions of an axis {low, high, log, whole, categories}.

/** Return the function from a value on `axis` to pixels between `from` and `to`. */
function scaleOf(axis, from, to) {
  const place = axis.log ? Math.log : Number;
  const low = place(axis.low);
  const span = place(axis.high) - low;
  return (value) => from + ((to - from) * (place(value) - low)) / span;
}

/** Return the values to tick: round ones, about `count` of them. */
function ticksOf(axis, count) {
  if (axis.categories.length) return axis.categories.map((_, place) => place);
  if (axis.whole && !axis.log && axis.high - axis.low < 13) return linearTicks(axis, 13).filter(Number.isInteger);
  const ticks = axis.log ? logTicks(axis, count) : linearTicks(axis, count);
  return axis.whole ? [...new Set(ticks.map(Math.round))].filter((tick) => tick >= axis.low && tick <= axis.high) : ticks;
}

function linearTicks({ low, high }, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((each) => each >= rough * (1 - 1e-9));
  const ticks = [];
  for (let place = Math.ceil(low / step); place * step <= high + 1e-9 * step; place += 1) {
    ticks.push(Number((place * step).toPrecision(12)));
  }
  return ticks;
}

function logTicks(axis, count) {
  const finest = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1, 3], [1]];
  for (const parts of finest) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(axis.low)); power <= Math.ceil(Math.log10(axis.high)); power += 1) {
      for (const part of parts) {
        const tick = Number((part * 10 ** power).toPrecision(12));
        if (tick >= axis.low && tick <= axis.high) ticks.push(tick);
      }
    }
    if (ticks.length <= Math.max(count, 2) + 1) return ticks.length > 1 ? ticks : linearTicks(axis, count);
    if (parts.length === 1) return ticks.filter((_, place) => place % Math.ceil(ticks.length / count) === 0);
  }
  return [];
}

/** Return a number as people read it: `0.001`, `1e-5`, `12,000`. */
function numberText(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e7) return value.toExponential().replace(/\.?0*e/, "e").replace("e+", "e");
  if (size >= 1e4) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}

/** Return the text of a tick; names too long for a tick are cut. */
function tickText(axis, tick) {
  if (!axis.categories.length) return numberText(tick);
  const name = axis.categories[tick];
  return name.length > 18 ? `${name.slice(0, 17)}…` : name;
}
