// Looking at a trial: by pointer or by keyboard, in one figure or in the table, it is shown in all of them.

const look = { charts: [], pinned: null, shown: null };

/** Show a trial in every figure and in the table; null shows none. */
function show(trial) {
  if (look.shown === trial) return;
  look.shown = trial;
  document.body.classList.toggle("looking", trial !== null);
  for (const { chart, overlay } of look.charts) {
    const copies = trial === null ? [] : (chart.trials.get(trial) ?? []).map((each) => each.cloneNode(true));
    overlay.replaceChildren(...copies);
  }
  for (const row of document.querySelectorAll("tr.shown")) row.classList.remove("shown");
  if (trial !== null) rowOf(trial)?.classList.add("shown");
}

/** Keep a trial shown until another is taken, or Escape is pressed. */
function pin(trial) {
  look.pinned = look.pinned === trial ? null : trial;
  for (const button of document.querySelectorAll("button.trial")) {
    button.setAttribute("aria-pressed", String(button.dataset.trial === look.pinned));
  }
  show(look.pinned);
}

function rowOf(trial) {
  return document.querySelector(`#leaderboard tr[data-trial="${CSS.escape(trial)}"]`);
}

/** Fill the box that tells of a trial, and put it near a place of the window. */
function tell(trial, text, left, top) {
  const box = document.getElementById("tell");
  const known = TRIALS[trial];
  const title = document.createElement("strong");
  title.textContent = known.rank === null ? `${trial}, ${known.status}` : `${trial}, rank ${known.rank}`;
  const lines = [text, known.bound && `best bound ${known.bound} nats, ${known.epochs} epochs`].filter(Boolean);
  const list = document.createElement("dl");
  for (const [name, value] of known.parameters) {
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, meaning.textContent] = [name, value];
    list.append(term, meaning);
  }
  const paragraphs = lines.map((line) => Object.assign(document.createElement("p"), { textContent: line }));
  box.replaceChildren(title, ...paragraphs, list);
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(left + 16, document.documentElement.clientWidth - width - 8))}px`;
  box.style.top = `${top + 16 + height > window.innerHeight ? Math.max(8, top - height - 12) : top + 16}px`;
}

function hush() {
  document.getElementById("tell").hidden = true;
}

/** Let pointer and keyboard look at the trials of a drawn figure. */
function makeLookable(plot) {
  const chartOf = () => look.charts.find((each) => each.plot === plot);
  const nearest = (event) => {
    const { chart } = chartOf();
    const area = chart.svg.getBoundingClientRect();
    const zoom = chart.svg.viewBox.baseVal.width / area.width;
    const found = chart.near((event.clientX - area.left) * zoom, (event.clientY - area.top) * zoom);
    return found && found.distance < 40 ? found : null;
  };
  plot.addEventListener("pointermove", (event) => {
    const found = nearest(event);
    if (!found) {
      show(look.pinned);
      hush();
    } else {
      show(found.trial);
      tell(found.trial, found.text, event.clientX, event.clientY);
    }
  });
  plot.addEventListener("pointerleave", () => {
    show(look.pinned);
    hush();
  });
  plot.addEventListener("click", (event) => {
    const found = nearest(event);
    pin(found?.trial ?? look.pinned);
    if (found) tell(found.trial, found.text, event.clientX, event.clientY);
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const trials = [...chartOf().chart.trials.keys()].sort((one, other) => order(one) - order(other));
    if (!step || !trials.length) return;
    event.preventDefault();
    const next = trials[(trials.indexOf(look.shown) + step + trials.length) % trials.length] ?? trials[0];
    if (look.pinned !== next) pin(next);
    const area = plot.getBoundingClientRect();
    tell(next, "", area.left, area.top);
  });
  plot.addEventListener("blur", hush);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  if (look.pinned !== null) pin(look.pinned);
  show(null);
  hush();
});
