// Draw every figure at the width it has, and again when that changes.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TRIALS = DATA.trials;
const BEST = DATA.best;
const PLACES = new Map(Object.keys(TRIALS).map((trial, place) => [trial, place]));

/** Place of a trial on the leaderboard, from 0. */
function order(trial) {
  return PLACES.get(trial);
}

/** Draw a figure into its plot, in place of what was there. */
function draw(plot, figure, width) {
  const chart = DRAW[figure.kind](figure, width);
  const overlay = svg("g", { class: "overlay" });
  const layer = chart.svg.querySelector(".marks");
  if (layer?.hasAttribute("clip-path")) overlay.setAttribute("clip-path", layer.getAttribute("clip-path"));
  (layer ?? chart.svg.lastChild)?.after(overlay);
  plot.replaceChildren(chart.svg);
  look.charts = [...look.charts.filter((each) => each.plot !== plot), { plot, chart, overlay }];
}

const widths = new Map();

/** Draw those plots again whose width has changed; what is being looked at stays shown. */
function redraw(plots) {
  for (const target of plots) {
    const width = Math.floor(target.clientWidth);
    if (width > 0 && widths.get(target) !== width) {
      widths.set(target, width);
      draw(target, DATA.figures[target.dataset.figure], width);
    }
  }
  const shown = look.shown;
  look.shown = null;
  show(shown);
}

// In the next frame: drawing changes heights, which an observer must not do while it reports.
const observer = new ResizeObserver((changes) => requestAnimationFrame(() => redraw(changes.map(({ target }) => target))));
const plots = [...document.querySelectorAll(".plot[data-figure]")];
redraw(plots);
for (const plot of plots) {
  observer.observe(plot);
  if (DATA.figures[plot.dataset.figure].kind !== "bars") makeLookable(plot);
}

for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
const board = document.querySelector("#leaderboard table");
if (board) {
  makeRowsLookable(board);
  makeFiltered(board, document.getElementById("filter"), document.getElementById("filtered"));
}
