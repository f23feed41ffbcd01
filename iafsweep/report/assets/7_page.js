// The page, from its data: once when it is opened, and, where a server keeps it, anew as rows come.
const SECTIONS = { result: "Result", leaderboard: "Leaderboard", curves: "Learning curves", parameters: "What mattered", estimators: "Test figures",
  pictures: "Samples", environment: "Environment" };

/** The filter, the brush or the colour has changed: draw what depends on it, but for the chart that said so. */
function lookChanged(but = null) {
  for (const card of cards.values()) if (card !== but) card.redraw();
  if (board?.isBuilt) board.refreshFilter();
}

function pickedChanged() {
  for (const card of cards.values()) card.redraw();
  for (const box of document.querySelectorAll("[data-pick]")) box.checked = look.picked.has(box.dataset.pick);
  layPicked();
}

function layPicked() {
  const place = document.getElementById("picked"), names = [...look.picked];
  place.hidden = !names.length;
  place.replaceChildren(h("span", {}, `${names.length} picked: `),
    ...names.map((name) => h("span", { class: "chip" }, trialLink(name), button("×", () => pick(name), { "aria-label": `Remove ${name}` }))),
    h("a", { href: `#${names.join(",")}`, class: "button", id: "compare" }, names.length > 1 ? "Compare" : "View"),
      button("Show only these", () => setFilter(`trial = ${names.join("|")}`)), button("Clear", () => (look.picked.clear(), pickedChanged())));
}

function setFilter(words) {
  const { terms, problems } = parseFilter(words);
  const field = document.getElementById("filter");
  if (field.value !== words) field.value = words;
  field.setAttribute("aria-invalid", problems.length > 0);
  document.getElementById("filter-problem").textContent = problems.length
    ? `${problems.join("; ")}; columns: ${COLUMNS.map(({ title }) => title).join(", ")}` : "";
  [look.words, look.terms] = [words, terms];
  lookChanged();
}

function bar() {
  let wait = 0;
  const field = h("input", { type: "search", id: "filter", "aria-label": "Filter the trials", "aria-describedby": "filter-problem",
    placeholder: filterExample(), autocomplete: "off", spellcheck: "false",
    on: { input: () => (clearTimeout(wait), (wait = setTimeout(() => setFilter(field.value), 200))), change: () => setFilter(field.value) } });
  const searched = DATA.parameters.map(({ path, name }) => [path, name]);
  return h("div", { class: "bar", role: "search" }, h("div", {}, h("label", { class: "wide" }, "Filter ", field),
    h("span", { id: "filtered", class: "soft", role: "status" }),
    select("Colour", [["rank", "rank"], ["status", "status"], ...searched], look.colour, (value) => ((look.colour = value), lookChanged()))),
    h("p", { id: "filter-problem", class: "problem", role: "status" }), h("div", { id: "picked", hidden: true }));
}

function filterExample() {
  const examples = DATA.parameters.slice(0, 2).map(({ name, options, low }) => (options ? `${name} = ${options[0]}`
    : `${name} > ${numberText(low)}`));
  return `e.g. ${[...examples, "status = completed"].join(", ")}`;
}

const section = (id, title, ...content) => h("section", { id }, h("h2", {}, title), ...content);
const lead = (text) => text && h("p", { class: "lead" }, text);

function result() {
  const best = trialOf(DATA.best);
  if (!best) return h("div", { class: "card" }, h("p", { class: "big" }, DATA.verdict.word), h("p", {}, DATA.verdict.text));
  const settings = DATA.parameters.map(({ name }, place) => [name, best.values[place]]).filter(([, value]) => value !== null);
  return h("div", { class: "card headline" },
    h("div", {}, h("p", { class: "soft" }, "Best by the validation bound, which alone decides the ranking"),
      h("p", { class: "big" }, "Trial ", trialLink(DATA.best), pill(DATA.verdict.level, `test NLL: ${DATA.verdict.word}`)),
      h("p", {}, DATA.verdict.text), DATA.doubts.map((doubt) => h("p", {}, doubt)),
        h("dl", { class: "settings" }, settings.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, numberText(value)))))),
    h("div", { class: "tiles" }, DATA.tiles.map(({ label, value, error, foot, untrusted }) => h("div", { class: "tile" },
      h("p", { class: "label" }, label), h("p", { class: "value" }, value, error && h("small", {}, ` ± ${error}`)),
      h("p", { class: "foot" }, foot.map((text) => h("span", {}, text)), untrusted !== undefined &&
        pill(levelOf(untrusted), `${percent(untrusted)} untrusted`))))));
}

function counts() {
  const by = {};
  for (const { status } of DATA.trials) by[status] = (by[status] ?? 0) + 1;
  const asked = Math.max(DATA.asked, DATA.trials.length, 1), present = Object.keys(STATUSES).filter((status) => by[status]);
  const shares = h("div", { class: "shares", "aria-hidden": "true" }, present.map((status) => {
    const made = h("i", { class: `s-${status}` });
    made.style.width = `${(100 * by[status]) / asked}%`;
    return made;
  }));
  return h("div", { class: "card apart" }, shares, h("ul", { class: "legend" },
    present.map((status) => h("li", {}, h("i", { class: `dot s-${status}` }), h("b", {}, count(by[status])), ` ${STATUSES[status]}`))),
    h("p", { class: "note" }, DATA.facts.join(" · ")));
}

function failures() {
  if (!DATA.failures.length) return null;
  return h("div", { class: "card apart" }, h("h3", {}, "How trials failed"), h("ul", { class: "problems" }, DATA.failures.map(([error, trials]) =>
    h("li", {}, trials.length ? `${trials.slice(0, 3).join(", ")}${trials.length > 3 ? ` and ${count(trials.length - 3)} more` : ""}: ` : "",
      h("code", {}, error)))));
}

function tables() {
  const made = [lead(DATA.estimators_note)];
  if (DATA.diagnostics.rows.length) made.push(h("h3", { class: "apart" }, "Diagnostics"),
    h("div", { class: "card" }, plainTable(DATA.diagnostics.header, linked(DATA.diagnostics.rows), "Diagnostics of the estimators")));
  if (DATA.sandwiches.rows.length) made.push(h("h3", { class: "apart" }, "Bounds (in expectation) on images simulated from the model"),
    h("div", { class: "card" }, plainTable(DATA.sandwiches.header, linked(DATA.sandwiches.rows), "Bounds on simulated images")));
  return made;
}

const linked = (rows) => rows.map(([trial, ...cells]) => [trialLink(trial), ...cells]);

function bestEpochs() {
  if (!DATA.best_epochs.rows.length) return [];
  return [h("div", { class: "card apart" }, h("h3", {}, "Training metrics in the best epoch"), h("p", { class: "note" },
    "Reconstruction and KL add up to the validation bound; KL / bound is the share that the latent variables carry. Active units are latent variables that vary over images (variance " +
    "above 0.01). The gradient norm is before clipping; the learning rate is that of the epoch's first step."),
  plainTable(DATA.best_epochs.header, linked(DATA.best_epochs.rows), "Training in the best epoch"))];
}

function samples() {
  const best = Object.keys(DATA.pictures).slice(0, 4);
  if (!best.length) return h("p", { class: "card empty" }, "No pictures are on disk: a trial draws samples and reconstructions after certain epochs and at its end.");
  return [lead("Drawn after each trial's last epoch: new images from the prior, and inputs, each with its reconstruction. For more trials, open their own views."), h("div", { class: "pictures" }, best.map((trial) => pictureCard({ trial })))];
}

function environment() {
  const licences = document.getElementById("licences").textContent;
  return [h("div", { class: "card stack" }, h("dl", { class: "facts" },
    Object.entries(DATA.environment).map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)])),
    h("div", {}, h("p", { class: "note" }, `${DATA.folder} stands for the sweep folder. With --serve, the report follows a running sweep live.`),
      DATA.commands.map(([title, line]) => [h("h3", { class: "apart" }, title), h("pre", {}, h("code", {}, line))]),
      DATA.best && [h("h3", { class: "apart" }, "Use the best model"), h("pre", {}, h("code", {}, DATA.load))])),
    DATA.problems.length > 0 && h("div", { class: "card apart" }, h("h3", {}, "What could not be read"),
      h("ul", { class: "problems" }, DATA.problems.map((problem) => h("li", {}, problem)))),
    h("details", { class: "apart" }, h("summary", {}, "Drawn with Apache ECharts and Tabulator: licences"), h("pre", {}, licences))];
}

/** What is words alone is made anew each time; charts and table stay, with their zoom, filter and place. */
const WORDS = {
  head: () => [h("p", { class: "eyebrow" }, `Sweep ${DATA.name}`), h("h1", {}, DATA.title),
    h("div", { class: "under" }, pill(DATA.standing.level, DATA.standing.word), h("span", {}, DATA.standing.text))],
  headline: () => [result(), counts()],
  "board-notes": () => [h("p", { class: "note" }, DATA.notes.join(" ")), failures()],
  population: () => [DATA.population && h("p", { class: "lead note" }, DATA.population)],
  "best-epochs": bestEpochs,
  tables,
  samples: () => [samples()].flat(),
  facts: environment,
  made: () => [`Made ${DATA.made.slice(0, 16).replace("T", " ")} UTC from the sweep's own files. Nats per image; smaller is better.`],
};

function layWords() {
  for (const [id, content] of Object.entries(WORDS)) {
    const place = document.getElementById(id), made = h("div", {}, content());
    if (place.laid?.isEqualNode(made)) continue;
    place.laid = made.cloneNode(true);
    place.replaceChildren(...made.childNodes);
  }
}

const words = (id, properties = {}) => h("div", { id, ...properties });

function wholePage() {
  const page = document.getElementById("page"), chart = (name) => chartOf(name).figure;
  const grouped = select("Group by", [["", "nothing"], ["status", "status"], ...DATA.parameters.map(({ path, name }) => [path, name])], "", setGroup);
  const table = h("div", { id: "board" }), printed = h("div", { id: "board-printed", class: "on-paper" });
  const slices = DATA.parameters.map((parameter) => sliceCard(parameter).figure);
  page.append(h("a", { href: "#result", class: "skip" }, "Skip to the result"), h("header", {}, words("head")),
    h("nav", { "aria-label": "Sections" }, h("ul", {}, Object.entries(SECTIONS).map(([id, title]) => h("li", {},
      h("a", { href: `#${id}` }, title))))),
    h("main", {}, h("section", { id: "trial", hidden: true }), h("div", { id: "sweep" },
      section("result", "Result", words("headline")), bar(),
      section("leaderboard", "Leaderboard", lead("Click a heading to sort by it, or drag it to move the column. Click a trial's name to open its view; tick its box to pick it for comparison."),
        h("div", { class: "controls" }, columnsMenu(), grouped, button("CSV", saveCsv, { id: "csv", "aria-label": "Download the rows and columns shown as CSV" })),
          table, printed, words("board-notes")),
      section("curves", "Learning curves", chart("learning-curves"), words("best-epochs")),
      section("parameters", "What mattered", words("population"),
        h("div", { class: "grid" }, chart("importance"), chart("variance"), chart("parallel"), chart("contour"), chart("cost")),
        h("h3", { class: "apart" }, "Bound against each parameter"),
          lead("Each mark is a trial at its best bound; early-stopped trials had fewer epochs to reach it."),
          h("div", { class: "grid small" }, slices)),
      section("estimators", "Test figures", chart("test-figures"), words("tables")),
      section("pictures", "Samples and reconstructions", words("samples")), section("environment", "Environment", words("facts")))),
    h("footer", { id: "made" }), told, heard);
  layWords();
  makeBoard(table);
  addEventListener("hashchange", showTrials);
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper"); // which is white, whatever the screen is
    printBoard(printed);
    for (const card of cards.values()) card.print();
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("paper");
    for (const picture of document.querySelectorAll(".frame .on-paper")) picture.remove();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && point(null));
  showTrials();
}

function redrawAll() {
  for (const card of cards.values()) card.redraw();
}

/** Take over new data, and leave zoom, filter, columns and scrolling as they are. */
async function renew(data) {
  const before = DATA.parameters.map(({ path }) => path).join();
  DATA = data;
  if (before !== DATA.parameters.map(({ path }) => path).join()) return location.reload();
  index();
  orderByBound();
  layWords();
  if (board?.isBuilt) await board.replaceData(tableRows());
  if (!document.getElementById("trial").hidden) showTrials();
  lookChanged();
}

/** Ask the server that keeps this page whether there is something new. */
function follow() {
  let tag = "", wait = 2000;
  const state = h("div", { id: "live", role: "status" }, "live");
  document.body.append(state);
  const ask = async () => {
    try {
      const answer = await fetch("data", { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag");
        await renew(await answer.json());
        state.textContent = `live · ${new Date().toLocaleTimeString()}`;
      } else if (answer.status !== 304) throw new Error(answer.status);
      state.className = "";
    } catch {
      state.textContent = "no longer live: the server has stopped";
      state.className = "ended";
    }
    setTimeout(ask, wait);
  };
  setTimeout(ask, wait);
}

index();
orderByBound();
if (ONLY) {
  const card = chartOf(ONLY);
  document.getElementById("page").append(card.figure, told, heard);
} else wholePage();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
if (document.body.dataset.live) follow();
