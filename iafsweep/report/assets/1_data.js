// What the page knows, and how it looks at it: data, colours, columns, filter. No text ever becomes markup: all of the
// page is made by `h`, which puts texts where texts stand.
let DATA = JSON.parse(document.getElementById("data").textContent);
const ONLY = document.body.dataset.only; // a page with one chart, for notebooks
const STATUSES = {
  completed: "completed", stopped: "stopped early", running: "running", pending: "waiting", interrupted: "interrupted",
  diverged: "diverged", failed: "failed", oom: "out of memory",
};
const MARKS = {
  completed: "circle", stopped: "path://M-4-5L0-1L4-5L5-4L1 0L5 4L4 5L0 1L-4 5L-5 4L-1 0L-5-4Z", running: "triangle",
  pending: "rect", interrupted: "rect", diverged: "arrow", failed: "diamond", oom: "pin",
};
const PALETTE = ["#0072b2", "#d17a00", "#00805d", "#a3195b", "#8a6d9b", "#5b6676", "#c2410c", "#3b9bd1"];
const DARK_PALETTE = ["#56b4e9", "#e69f00", "#1fc79a", "#f472b0", "#b99acb", "#9aa7b8", "#ff8a5c", "#c9dcef"];

const look = {
  terms: [], // of the filter, parsed
  words: "", // the filter as it was typed
  brushed: null, // trials inside what was brushed; null: nothing was
  picked: new Set(), // trials to compare
  pointed: null, // the trial pointed at
  colour: "rank",
  group: "",
};

/** An element: properties `on` (handlers by event), `class`, and attributes; children are elements or texts. */
function h(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "on") for (const [event, handler] of Object.entries(value)) made.addEventListener(event, handler);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.flat(3).filter((each) => each !== null && each !== undefined && each !== false && each !== ""));
  return made;
}

const button = (text, press, properties = {}) => h("button", { type: "button", ...properties, on: { click: press } }, text);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches && !document.documentElement.classList.contains("paper");
const trialOf = (name) => BY_NAME.get(name);
const count = (number) => number.toLocaleString("en");

/** A number as people read it: as many digits as tell it from its like. */
function numberText(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return Math.abs(value) < 1e15 ? String(value) : value.toExponential(3);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2).replace(/\.?0*e\+?/, "e");
}

const levelOf = (share) => (share <= DATA.levels[0] ? "good" : share <= DATA.levels[1] ? "doubtful" : "bad");
const percent = (share) => `${Math.round(100 * share)}%`;
const pill = (level, text) => h("span", { class: `pill ${level}` }, text);

/** A cell of a table that Python made: a text, or a figure with its error and what says whether to trust it. */
function cellContent(cell) {
  if (cell === null || cell === "-" || cell === "–") return [h("span", { class: "soft" }, "–")];
  if (typeof cell !== "object") return [String(cell)];
  if (cell.value === undefined) return [pill(levelOf(cell.untrusted ?? 0), percent(cell.untrusted ?? 0))];
  return [
    cell.value === null ? "not finite" : cell.value.toFixed(2),
    cell.error === undefined ? null : h("span", { class: "soft" }, ` ± ${cell.error === null ? "–" : cell.error.toFixed(2)}`),
    cell.untrusted ? pill(levelOf(cell.untrusted), `${percent(cell.untrusted)} untrusted`) : null,
    cell.details?.length ? h("span", { class: "soft" }, ` (${cell.details.join(", ")})`) : null,
  ];
}

/** What the leaderboard has of a trial, and what filter, grouping and CSV go by: searched parameters before figures. */
function columnsOf() {
  const plain = (id, title, shown = true, value = (trial) => trial[id] ?? null) => ({ id, title, shown, value });
  return [
    plain("rank", "rank"),
    plain("trial", "trial"),
    { ...plain("status", "status"), text: (value) => STATUSES[value] },
    ...DATA.parameters.map((parameter, place) => ({
      id: parameter.path, title: parameter.name, shown: true, parameter, value: (trial) => trial.values[place],
    })),
    { ...plain("bound", "validation −ELBO"), text: (value) => (value === null ? "–" : value.toFixed(2)) },
    ...DATA.figures
      .map((title, place) => ({
        id: title, title, shown: !/^validation|^test −ELBO|retrained|gap/.test(title),
        figure: (trial) => trial.figures[place], value: (trial) => trial.figures[place]?.value ?? null,
      }))
      .filter(({ title }) => !title.startsWith("validation")),
    ...(DATA.trials.some(({ decoder }) => decoder) ? [
      plain("decoder", "decoder"), plain("kl", "KL", true, ({ latents }) => latents?.kl ?? null),
      plain("kl_share", "KL / bound", true, ({ latents }) => (latents ? latents.kl / latents.bound : null)),
      plain("active_units", "active units", true, ({ latents }) => latents?.active_units ?? null),
    ] : []),
    plain("epochs", "epochs", false),
    plain("best_epoch", "best epoch", false),
    plain("seconds_per_epoch", "s/epoch", false),
    plain("seconds", "seconds", false),
    plain("weights", "weights", false),
    plain("seed", "seed", false),
    plain("error", "error", false),
  ];
}

let COLUMNS = [], BY_NAME = new Map();
function index() {
  for (const trial of DATA.trials) for (const name of ["rank", "bound", "best_epoch", "error"]) trial[name] ??= null;
  COLUMNS = columnsOf();
  BY_NAME = new Map(DATA.trials.map((trial) => [trial.trial, trial]));
  look.terms = parseFilter(look.words).terms;
}

// The filter: `depth = 0, latent_size > 16, status = completed`; `off` is an inactive parameter; a word alone is looked
// for in all columns.
const OPERATORS = {
  "=": (value, wanted) => wanted.split("|").some((each) => same(value, each.trim())),
  "!=": (value, wanted) => !OPERATORS["="](value, wanted),
  "<": (value, wanted) => value !== null && Number(value) < Number(wanted),
  ">": (value, wanted) => value !== null && Number(value) > Number(wanted),
  "<=": (value, wanted) => value !== null && Number(value) <= Number(wanted),
  ">=": (value, wanted) => value !== null && Number(value) >= Number(wanted),
};

function same(value, wanted) {
  if (value === null) return ["off", "-", "–", "none"].includes(wanted.toLowerCase());
  if (wanted !== "" && typeof value !== "boolean" && Number(value) === Number(wanted)) return true;
  return String(value).toLowerCase() === wanted.toLowerCase();
}

const plainly = (name) => name.toLowerCase().replace(/-/g, "−").replace(/,\s+/g, ",");

/** The column of a name, whole or its beginning, or of the end of a parameter's path. */
function columnNamed(name) {
  const asked = plainly(name), having = (holds) => COLUMNS.find(({ id, title }) => [id, title].map(plainly).some(holds));
  return having((each) => each === asked) ?? (asked ? having((each) => each.startsWith(asked) || each.endsWith(`.${asked}`)) : undefined);
}

function parseFilter(words) {
  const terms = [], problems = [], asWritten = words.replace(/≥/g, ">=").replace(/≤/g, "<=").replace(/≠/g, "!=");
  let alone = []; // parts without an operator: words, or the beginning of a title that has commas
  const flush = () => {
    for (const word of alone.map((each) => each.toLowerCase()))
      terms.push((trial) => COLUMNS.some((column) => textOf(column, trial).toLowerCase().includes(word)));
    alone = [];
  };
  for (const part of asWritten.split(/\s*(?:,(?![^[]*\])|;|&&|\band\b)\s*/i).filter(Boolean)) {
    const [, name, operator, wanted] = part.match(/^(.*?)\s*(<=|>=|!=|==?|<|>)\s*(.*)$/) ?? [];
    if (operator === undefined) {
      alone.push(part);
      continue;
    }
    const first = alone.findIndex((_, place) => columnNamed([...alone.slice(place), name].join(",")));
    const column = columnNamed([...(first < 0 ? [] : alone.splice(first)), name].join(","));
    flush();
    if (/\bor\b|\|\|/i.test(part)) problems.push("write alternatives as in “depth = 0|1”");
    else if (!column) problems.push(`there is no column “${name}”`);
    else if (/[<>]/.test(operator) && (wanted === "" || Number.isNaN(Number(wanted)))) problems.push(`“${wanted}” is not a number`);
    else terms.push((trial) => filterMatch(column, trial, OPERATORS[operator === "==" ? "=" : operator], wanted));
  }
  flush();
  return { terms, problems };
}

const filterMatch = (column, trial, holds, wanted) =>
  holds(column.value(trial), wanted) || (holds === OPERATORS["="] && column.text && same(column.text(column.value(trial)), wanted));

/** A cell of the leaderboard as text. */
function textOf(column, trial) {
  const value = column.value(trial);
  return column.text ? column.text(value) : column.parameter && value === null ? "off" : numberText(value);
}

const passes = (trial) => look.terms.every((term) => term(trial));
/** The trials that filter and brush leave; a chart that brushes passes over its own brush. */
const shownTrials = (brushed = true) =>
  DATA.trials.filter((trial) => passes(trial) && (!brushed || look.brushed === null || look.brushed.has(trial.trial)));
const withBound = (trials) => trials.filter((trial) => trial.bound !== null);

/** At most so many trials: the best, those picked, and others spread evenly over the rest. */
function someOf(trials, most) {
  if (trials.length <= most) return trials;
  const best = most >> 1, step = (trials.length - best) / (most - best);
  const kept = new Set(trials.slice(0, best));
  for (let place = best; place < trials.length; place += step) kept.add(trials[Math.floor(place)]);
  for (const trial of trials) if (look.picked.has(trial.trial)) kept.add(trial);
  return trials.filter((trial) => kept.has(trial));
}

/** The colour of a trial, by its rank among all, its status, or a parameter. */
function colourOf(trial) {
  const palette = isDark() ? DARK_PALETTE : PALETTE;
  if (look.colour === "status") return colour(trial.status);
  const column = COLUMNS.find(({ id }) => id === look.colour);
  if (column?.parameter?.options) {
    const place = column.parameter.options.indexOf(column.value(trial));
    return place < 0 ? colour("faint-mark") : palette[place % palette.length];
  }
  if (column?.parameter) {
    const { low, high, log } = column.parameter, value = column.value(trial), at = log ? Math.log : Number;
    return value === null ? colour("faint-mark") : ramp((at(value) - at(low)) / (at(high) - at(low) || 1));
  }
  if (trial.bound === null) return colour("faint-mark");
  return ramp((RANKS.get(trial.trial) ?? 0) / Math.max(RANKS.size - 1, 1));
}

let RANKS = new Map();
const orderByBound = () =>
  (RANKS = new Map(withBound(DATA.trials).sort((a, b) => a.bound - b.bound).map((trial, place) => [trial.trial, place])));

/** From dark (0, good) to pale (1), or from light to dim on a dark page. */
function ramp(share) {
  const ends = isDark() ? [[253, 231, 117], [69, 120, 170], [52, 74, 104]] : [[8, 48, 107], [66, 146, 198], [190, 214, 233]];
  const at = Math.min(Math.max(share, 0), 1) * 2, from = ends[Math.min(Math.floor(at), 1)], to = ends[Math.min(Math.floor(at), 1) + 1];
  const part = at - Math.min(Math.floor(at), 1);
  return `rgb(${from.map((value, place) => Math.round(value + part * (to[place] - value))).join(",")})`;
}
