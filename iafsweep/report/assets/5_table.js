// The leaderboard, by Tabulator: columns chosen, moved and sorted, filtered by value, grouped, and saved as CSV.
let board = null;
const ROW = 34;

/** A text where Tabulator wants a cell's or heading's content. */
const held = (...content) => h("span", {}, ...content);

const trialLink = (name) => h("a", { href: `#${name}`, class: "trial" }, name);

function statusMark(status) {
  return h("span", { class: "status" }, h("i", { class: `dot s-${status}`, "aria-hidden": "true" }), STATUSES[status]);
}

function pickBox(trial) {
  const box = h("input", { type: "checkbox", "aria-label": `Compare ${trial.trial}`, "data-pick": trial.trial,
    on: { change: () => pick(trial.trial), click: (event) => event.stopPropagation() } });
  box.checked = look.picked.has(trial.trial);
  return box;
}

function cellOf(column, trial) {
  if (column.id === "trial") return held(pickBox(trial), trialLink(trial.trial));
  if (column.id === "status") return statusMark(trial.status);
  if (column.figure) return held(cellContent(column.figure(trial) ?? null));
  if (column.id === "seconds_per_epoch" && trial.pareto) return held(`${numberText(trial.seconds_per_epoch)} *`);
  const text = textOf(column, trial), validation = DATA.figures.findIndex((title) => title.startsWith("validation"));
  const details = column.id === "bound" && trial.figures[validation]?.details;
  if (details) return held(text, h("span", { class: "soft" }, ` (${details.join(", ")})`));
  return text === "off" || text === "–" ? h("span", { class: "soft" }, text) : held(text);
}

/** What is missing stays at the end, either way. */
const sorterOf = (column) => (_, __, one, other, ___, direction) => {
  const [a, b] = [one, other].map((row) => column.value(row.getData().of));
  if (a === null || b === null) return a === b ? 0 : (a === null ? 1 : -1) * (direction === "asc" ? 1 : -1);
  const numbers = [Number(a), Number(b)];
  return numbers.some(Number.isNaN) ? String(a).localeCompare(String(b), "en", { numeric: true }) : numbers[0] - numbers[1];
};

function headingOf(column) {
  const [name, images] = column.title.split(" (");
  return h("button", { type: "button", class: "heading", title: column.parameter?.path ?? "" }, name, images && h("small", {}, `(${images}`));
}

const tableRows = () => DATA.trials.map((trial) => ({ id: trial.trial, of: trial }));
const inTable = ({ of }) => passes(of) && (look.brushed === null || look.brushed.has(of.trial));

function makeBoard(place) {
  board = new tabulator.Tabulator(place, {
    data: tableRows(), maxHeight: 560, layout: "fitDataFill", movableColumns: true, columnHeaderVertAlign: "top",
    rowHeight: ROW, placeholder: held("No trial matches the filter."),
    columns: COLUMNS.map((column) => ({
      field: column.id.replaceAll(".", "/"), title: column.id, visible: column.shown, frozen: column.id === "trial",
        hozAlign: column.id === "trial" || column.id === "status" ? "left" : "right",
      titleFormatter: () => headingOf(column), formatter: (cell) => cellOf(column, cell.getRow().getData().of), sorter: sorterOf(column),
        headerSortTristate: true, minWidth: 50,
    })),
    groupHeader: groupHead,
  });
  board.on("tableBuilt", () => {
    board.isBuilt = true;
    board.setFilter(inTable);
  });
  board.on("rowMouseEnter", (_, row) => point(row.getData().id));
  board.on("rowMouseLeave", () => point(null));
  board.on("dataFiltered", (_, rows) => sayCount(rows.length));
  return board;
}

function sayCount(rows) {
  const all = DATA.trials.length;
  document.getElementById("filtered").textContent = rows === all ? `${count(all)} trials` : `${count(rows)} of ${count(all)} trials`;
}

const groupColumn = () => COLUMNS.find(({ id }) => id === look.group);

/** A group's parameter, how many trials it has, and their best and mean bound. */
function groupHead(value, size, rows) {
  const trials = rows.map(({ of }) => of), bounds = withBound(trials).filter(({ status }) => status === "completed").map(({ bound }) => bound);
  const mean = bounds.reduce((sum, bound) => sum + bound, 0) / bounds.length;
  const said = bounds.length ? `best ${Math.min(...bounds).toFixed(2)}, mean ${mean.toFixed(2)} of ${count(bounds.length)} completed`
    : "none completed with a bound";
  return held(h("b", {}, `${groupColumn()?.title ?? ""} = ${value}`), ` · ${count(size)} trial${size === 1 ? "" : "s"} · ${said}`);
}

function setGroup(id) {
  look.group = id;
  const column = groupColumn();
  board.setGroupBy(column ? ({ of }) => textOf(column, of) : false);
}

/** Which columns are shown, and their order by buttons as well as by dragging. */
function columnsMenu() {
  const list = h("ul", {});
  const lay = () => list.replaceChildren(...board.getColumns().map((shown) => {
    const column = COLUMNS.find(({ id }) => id === shown.getDefinition().title);
    const box = h("input", { type: "checkbox", on: { change: () => shown.toggle() } });
    box.checked = shown.isVisible();
    const move = (step) => {
      const all = board.getColumns(), to = all[all.indexOf(shown) + step];
      if (!to) return;
      shown.move(to, step > 0);
      lay();
      list.children[board.getColumns().indexOf(shown)]?.querySelector(`[data-by="${step}"]`)?.focus();
    };
    return h("li", {}, h("label", {}, box, ` ${column.title}`), h("span", { class: "grow" }),
      button("↑", () => move(-1), { "aria-label": `Move ${column.title} left`, "data-by": "-1" }),
      button("↓", () => move(1), { "aria-label": `Move ${column.title} right`, "data-by": "1" }));
  }));
  const menu = h("details", { class: "menu", id: "columns", on: { toggle: () => menu.open && lay() } }, h("summary", {}, "Columns"),
    h("div", {}, list));
  return menu;
}

/** The rows and columns that are shown, in their order, as the table has them. */
function shownTable() {
  const columns = board.getColumns().filter((column) => column.isVisible()).map((column) => COLUMNS.find(({ id }) => id === column.getDefinition().title));
  return { columns, trials: board.getData("active").map(({ of }) => of) };
}

/** A value for a spreadsheet, which takes what begins like a formula for one. */
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saveCsv() {
  const { columns, trials } = shownTable();
  const head = columns.flatMap((column) => (column.figure ? [column.title, `${column.title} error`, `${column.title} untrusted`]
    : [column.parameter?.path ?? column.id]));
  const lines = trials.map((trial) => columns.flatMap((column) => {
    const figure = column.figure?.(trial);
    return column.figure ? [figure?.value, figure?.error, figure?.untrusted] : [column.value(trial)];
  }));
  const text = [head, ...lines].map((line) => line.map(csvCell).join(",")).join("\r\n");
  save(`${DATA.name}-leaderboard.csv`, new Blob([`${text}\r\n`], { type: "text/csv" }));
}

/** A plain table: what Python made of texts and figures, or rows of elements. */
function plainTable(header, rows, label, more = {}) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", more,
    h("thead", {}, h("tr", {}, header.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, place) => h(place ? "td" : "th", place ? {} : { scope: "row" }, Array.isArray(cell) ||
      cell instanceof Node ? cell : cellContent(cell))))))));
}

/** Paper has no scrolling: the rows that are shown as a plain table, made when the page is printed. */
function printBoard(place) {
  const { columns, trials } = shownTable(), most = 300;
  place.replaceChildren(plainTable(columns.map(({ title }) => title),
    trials.slice(0, most).map((trial) => columns.map((column) => (column.figure ? cellContent(column.figure(trial) ?? null)
    : [textOf(column, trial)]))), "Leaderboard"),
    trials.length > most ? h("p", { class: "note" }, `The first ${most} of ${count(trials.length)} trials; leaderboard.csv has all.`) : "");
}
