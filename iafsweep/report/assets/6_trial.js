// One trial, or two and more beside each other: `#t0007`, `#t0007,t0003`.
const asked = () => [...new Set(location.hash.slice(1).split(/,|%2C/i))].filter((name) => /^t\d+$/.test(name));

/** What is shown already is renewed: what was opened, zoomed or has the focus stays where nothing else has changed. */
function showTrials() {
  const names = asked(), place = document.getElementById("trial");
  const isShown = names.length > 0, wasShown = !place.hidden;
  const trials = names.map(trialOf).filter(Boolean), missing = names.filter((name) => !BY_NAME.has(name));
  document.getElementById("sweep").hidden = isShown;
  place.hidden = !isShown;
  if (place.shown !== `${names} ${missing}`) {
    forgetCharts(place);
    place.replaceChildren();
    place.shown = `${names} ${missing}`;
  }
  if (!isShown) {
    if (wasShown) (document.getElementById(location.hash.slice(1)) ?? document.getElementById("leaderboard")).scrollIntoView();
    return;
  }
  const title = h("h2", { tabindex: "-1" }, names.length > 1 ? `Trials ${names.join(" and ")}` : `Trial ${names[0]}`);
  layPart(place, "", () => [h("p", {}, h("a", { href: "#leaderboard" }, "← Back to the sweep")), title,
    missing.map((name) => h("p", { class: "card empty" }, `There is no trial ${name} on this page.`))]);
  if (trials.length) layParts(place, trials);
  if (!wasShown) {
    scrollTo(0, 0);
    place.querySelector("h2").focus({ preventScroll: true });
  }
}

function forgetCharts(place) {
  for (const figure of place?.querySelectorAll("figure.card") ?? []) {
    cards.get(figure.id)?.forget();
    cards.delete(figure.id);
  }
}

function layParts(place, trials) {
  layPart(place, "Outcome", () => howItWent(trials));
  layPart(place, "Configuration", () => configuration(trials));
  const [shown, series] = curvesBeside(trials); // charts are drawn again where they stand
  layPart(place, "Curves", () => curvesSection(trials, shown, series), `${shown.map(({ trial }) => trial)} ${series}`);
  if (trials.length > 1) layPart(place, "Paired differences of test figures", () => pairedSection(trials));
  layPart(place, "Test figures", () => figuresSection(trials));
  layPart(place, "Samples and reconstructions", () => picturesSection(trials));
  layPart(place, "Train again", () => againSection(trials));
}

/** Lay a part of the view, unless it stands there: with the same `key`, or, without one, word by word. */
function layPart(place, title, content, key = null) {
  const known = [...place.children].find(({ part }) => part === title);
  if (known && key !== null && known.key === key) return;
  if (key !== null) forgetCharts(known);
  const made = h("section", {}, title && h("h3", { class: "apart" }, title), content());
  if (known && key === null && known.laid.isEqualNode(made)) return;
  Object.assign(made, { part: title, key, laid: key === null ? made.cloneNode(true) : null });
  if (known) known.replaceWith(made);
  else place.append(made);
}

function howItWent(trials) {
  const lines = [
    ["status", (trial) => statusMark(trial.status)], ["rank", (trial) => numberText(trial.rank)],
    ["validation −ELBO", (trial) => (trial.bound === null ? "–" : `${trial.bound.toFixed(2)} at epoch ${trial.best_epoch} of ${trial.epochs}`)],
    ["seconds per epoch", (trial) => `${numberText(trial.seconds_per_epoch ?? null)}${trial.pareto ? ", on the Pareto front" : ""}`],
    ["training seconds", (trial) => numberText(trial.seconds ?? null)], ["weights", (trial) => (trial.weights ? count(trial.weights) : "–")],
    ...(trials.some((trial) => trial.error) ? [["error", (trial) => trial.error ?? "–"]] : []),
  ];
  return h("div", { class: "card" }, plainTable(["", ...trials.map(({ trial }) => trial)],
    lines.map(([title, of]) => [[title], ...trials.map((trial) => [of(trial)])]), "Outcome"));
}

/** Every field of a trial's configuration. */
function configurationOf(trial) {
  const values = DATA.parameters.map(({ path }, place) => [path, trial.values[place]]).filter(([, value]) => value !== null);
  return { ...DATA.configuration, ...Object.fromEntries(values), "training.seed": trial.seed };
}

function configuration(trials) {
  const best = trialOf(DATA.best), beside = best && !trials.includes(best) && trials.length === 1 ? [best] : [];
  const all = [...trials, ...beside].map(configurationOf), fields = Object.keys({ ...DATA.defaults, ...all[0] }).filter((field) => field !== "title");
  const said = (value) => (value === null || value === undefined ? "–" : typeof value === "number" ? String(value) : String(value));
  const differs = (field) => all.some((values) => said(values[field]) !== said(all[0][field]));
  const isOwn = (field) => said(all[0][field]) !== said(DATA.defaults[field]);
  const places = Object.fromEntries(DATA.parameters.map(({ path }, place) => [path, place]));
  const cell = (field, which) => {
    const trial = [...trials, ...beside][which], isOff = field in places && trial.values[places[field]] === null;
    return [h("span", { class: which && differs(field) && said(all[which][field]) !== said(all[0][field]) ? "differs" : null },
      said(all[which][field])), isOff && h("span", { class: "soft" }, " (off)")];
  };
  const only = h("input", { type: "checkbox", id: "only-differing" });
  only.checked = true;
  const place = h("div", {});
  const lay = () => {
    const shown = fields.filter((field) => !only.checked || differs(field) || isOwn(field)).sort((a, b) => differs(b) - differs(a));
    const header = ["field", ...trials.map(({ trial }) => trial), ...beside.map(({ trial }) => `best: ${trial}`), "default"];
    place.replaceChildren(plainTable(header, shown.map((field) => [[field], ...all.map((_, which) => cell(field, which)),
      [h("span", { class: isOwn(field) ? "differs" : null }, said(DATA.defaults[field]))]]), "Configuration", { class: "fields" }));
  };
  only.addEventListener("change", lay);
  lay();
  return h("div", { class: "card" }, h("label", {}, only, ` only fields that differ ${trials.length > 1 ? "between these trials" : "from the best trial"} or from the program's defaults`), place);
}

/** The trials whose curves are drawn, a lone one beside the best, and which curves there are. */
function curvesBeside(trials) {
  const best = trialOf(DATA.best), shown = trials.length === 1 && best && best !== trials[0] ? [...trials, best] : trials;
  return [shown, Object.keys(DATA.series).filter((name) => trials.some((trial) => DATA.curves[trial.trial]?.[name]))];
}

function curvesSection(trials, shown, names) {
  const palette = isDark() ? DARK_PALETTE : PALETTE, places = shown.map(({ trial }) => trial);
  const styled = ({ trial }) => {
    const place = places.indexOf(trial), isAsked = place < trials.length;
    return { color: palette[place], width: isAsked ? 2.5 : 1.2, opacity: isAsked ? 1 : 0.6 };
  };
  if (!names.length) return h("p", { class: "card empty" }, DATA.curves_note || "This page has no learning curve for it.");
  const legend = h("ul", { class: "legend" }, shown.map((trial, place) => {
    const mark = h("i", { class: "dot" });
    mark.style.background = palette[place];
    return h("li", {}, mark, trial.trial, trials.includes(trial) ? "" : " (the best)");
  }));
  return h("div", {}, legend, h("div", { class: "grid small" }, names.map((name) => new Card({
    name: `curve-${name}`, title: DATA.series[name].replace(" (nats per image)", ""), height: 230, logs: true,
      build: curvesOf({ series: () => name, trials: () => places.map(trialOf), styled }),
  }).figure)));
}

function pairedSection(trials) {
  const names = trials.map(({ trial }) => trial), found = DATA.pairs.filter(({ first, second }) => names.includes(first) && names.includes(second));
  if (!found.length) return h("div", { class: "card" }, h("p", {}, `This page has no paired differences between these trials. ${DATA.pairs_note}`),
    h("pre", {}, h("code", {}, `${DATA.compare} ${names.join(" ")}`)));
  const rows = found.map((pair) => {
    const isFirst = names.indexOf(pair.first) < names.indexOf(pair.second), sign = isFirst ? 1 : -1;
    const first = pair.first + (pair.first_autoregressive ? " (autoregressive decoder)" : "");
    const second = pair.second + (pair.second_autoregressive ? " (autoregressive decoder)" : "");
    const [one, other] = isFirst ? [first, second] : [second, first], difference = sign * pair.difference;
    const apart = Math.abs(difference) > 2 * pair.standard_error;
    return [[`${one} − ${other}`], [{ negative_elbo: "−ELBO", importance_sampling: "NLL, IS", hais: "NLL, HAIS" }[pair.method]], [pair.settings],
      [count(pair.images)],
      [`${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(3)} ± ${pair.standard_error?.toFixed(3) ?? "–"}`],
        [apart ? `${difference < 0 ? one : other} is better` : "cannot be told apart"]];
  });
  return h("div", { class: "card" }, h("p", { class: "note" },
    "Mean difference in nats per image, over the same test images with the same bits, ± its standard error. Below 0, the first trial is better. Trials can be told apart if they differ by more than two standard errors."),
    plainTable(["difference", "figure", "settings", "images", "nats per image", ""], rows, "Paired differences"));
}

function figuresSection(trials) {
  const names = trials.map(({ trial }) => trial), of = (table) => table.rows.filter(([trial]) => names.includes(trial));
  const diagnostics = of(DATA.diagnostics), sandwiches = of(DATA.sandwiches);
  if (!diagnostics.length) return h("p", { class: "card empty" },
    trials.some((trial) => trial.figures.some((figure, place) => figure && !DATA.figures[place].startsWith("validation")))
    ? "The figures are on the leaderboard; diagnostics are shown only for the best scored trials." : "Not scored on test images.");
  return h("div", { class: "card stack" }, h("p", { class: "note" }, DATA.estimators_note),
    plainTable(DATA.diagnostics.header, diagnostics, "Diagnostics"),
    sandwiches.length ? plainTable(DATA.sandwiches.header, sandwiches, "Bounds on simulated images") : "");
}

function picturesSection(trials) {
  const found = trials.filter(({ trial }) => DATA.pictures[trial]);
  if (!found.length) return h("p", { class: "card empty" }, `This page has pictures only of the best ${Object.keys(DATA.pictures).length} trials that drew any. For others, see samples.png and reconstructions.png in the run folder.`);
  return h("div", { class: "pictures" }, found.map(pictureCard));
}

function pictureCard({ trial }) {
  const each = DATA.pictures[trial];
  return h("div", { class: "card" }, h("h4", {}, trialLink(trial)),
    ["samples", "reconstructions"].map((name) => h("figure", {}, h("figcaption", {}, each[`${name}_how`] ? `${name}: ${each[`${name}_how`]}` : name),
    each[name] ? h("img", { src: each[name], alt: `${name} of ${trial}`, loading: "lazy" }) : h("p", { class: "empty" }, `No ${name} on disk.`))));
}

function againSection(trials) {
  return h("div", { class: "card" }, h("p", { class: "note" }, `The run folder, and the command that trains its configuration again. ${DATA.folder} stands for the sweep folder.`),
    trials.map(({ trial }) => [
    h("pre", {}, h("code", {}, `${DATA.folder}/trials/${trial}`)), h("pre", {}, h("code", {}, DATA.train_again.replaceAll("TRIAL", trial)))]));
}
