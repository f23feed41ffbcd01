// The leaderboard: sorted by its headings, filtered by words; its buttons show a trial in all figures.

/** Return what a cell is sorted by: its number if it begins with one, else its text; null where there is nothing. */
function keyOf(cell) {
  const text = cell.textContent.trim();
  if (text === "–" || text === "") return null;
  const number = Number(text.split(" ")[0].replaceAll(",", "").replace("%", ""));
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

/** Sort the rows by a column; what is missing stays at the end either way. */
function sortBy(table, column, falling) {
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row, place) => ({ row, place, key: keyOf(row.cells[column]) }));
  const sign = falling ? -1 : 1;
  keyed.sort((one, other) => {
    if (one.key === null || other.key === null) return (one.key === null) - (other.key === null) || one.place - other.place;
    if (typeof one.key !== typeof other.key) return typeof one.key === "number" ? -1 : 1;
    const before = typeof one.key === "number" ? one.key - other.key : one.key.localeCompare(other.key, "en", { numeric: true });
    return sign * before || one.place - other.place;
  });
  body.append(...keyed.map(({ row }) => row));
  for (const heading of table.tHead.rows[0].cells) heading.removeAttribute("aria-sort");
  table.tHead.rows[0].cells[column].setAttribute("aria-sort", falling ? "descending" : "ascending");
}

function makeSortable(table) {
  for (const heading of table.tHead.rows[0].cells) {
    heading.querySelector("button")?.addEventListener("click", () => {
      sortBy(table, heading.cellIndex, heading.getAttribute("aria-sort") === "ascending");
    });
  }
}

function makeFiltered(table, input, count) {
  const rows = [...table.tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      left += row.hidden ? 0 : 1;
    });
    count.textContent = words.length ? `${left} of ${rows.length} trials` : "";
  });
}

function makeRowsLookable(table) {
  table.tBodies[0].addEventListener("pointerover", (event) => {
    const row = event.target.closest("tr[data-trial]");
    if (row) show(row.dataset.trial);
  });
  table.tBodies[0].addEventListener("pointerleave", () => show(look.pinned));
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button.trial");
    if (button) pin(button.dataset.trial);
  });
}
