"""The page as a browser shows it: charts that zoom, brush and tell, a table that filters, no text that becomes more."""

import csv
import io
import time

import pandas as pd
import pytest

from iafsweep import load_sweep
from iafsweep.errors import UserError
from iafsweep.report import write_report
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.training import RunFolder
from tests.report.hostile import MARKUP, ODD
from tests.report.sweeps import COMMAND, SweepMaker, contents_of

CHARTS = {"learning-curves", "importance", "variance", "parallel", "contour", "cost", "test-figures",
          "slice-model.encoder.kind", "slice-model.latent_size", "slice-model.flow.depth",
          "slice-model.flow.made.width", "slice-training.learning_rate"}  # fmt: skip
ROWS = "[...document.querySelectorAll('#board .tabulator-row:not(.tabulator-group) a.trial')].map((a) => a.textContent)"


@pytest.fixture(scope="module")
def page(full):
    return write_report(read_sweep(full), COMMAND)


def overflow(browser):
    return browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def option(browser, name):
    return f"echarts.getInstanceByDom(document.querySelector('[id=\"{name}\"] .plot')).getOption()"


def zoom(browser, name):
    """Limits of both axes as they are seen."""
    found = browser.run(f"{option(browser, name)}.dataZoom.map((each) => [each.id, each.startValue, each.endValue])")
    return {axis: limits for axis, *limits in found if axis in ("x", "y")}


def scroll_through(browser):
    browser.run("""(async () => {
      document.documentElement.style.scrollBehavior = 'auto';
      for (let y = 0; y < document.documentElement.scrollHeight; y += 600) {
        scrollTo(0, y);
        for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);
      }
      scrollTo(0, 0); })()""")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_chart_is_drawn_and_fits(browser, page, width, scheme):
    browser.open(page, width, scheme=scheme)
    scroll_through(browser)
    drawn = browser.run("""[...document.querySelectorAll('figure')].filter((each) => each.querySelector('.plot')).map(
      (each) => [each.id, echarts.getInstanceByDom(each.querySelector('.plot'))?.getZr().storage.getDisplayList().length
        ?? 0])""")
    assert {name for name, _ in drawn} == CHARTS
    assert all(marks > 10 for _, marks in drawn), drawn
    assert overflow(browser) == 0
    assert browser.complaints == []
    back = browser.run("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, back.removeprefix("rgb(").removesuffix(")").split(","))) > 384
    assert light == (scheme == "light")


def test_texts_have_contrast(browser, page):
    ratios = """(() => {
      const light = (text) => {
        const parts = text.match(/[\\d.]+/g).slice(0, 3).map((part) => Number(part) / 255);
        const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const colour = getComputedStyle(at).backgroundColor;
          if (!/(, 0\\)|transparent|color)/.test(colour)) return light(colour);
        }
        return light(getComputedStyle(document.body).backgroundColor);
      };
      const looked = ['.note', '.pill', 'h1', 'nav a', 'td', 'a.trial', '.facts dt', '.legend li', '.eyebrow',
        '.tools button', '.tabulator-cell', '.heading', 'label'];
      return looked.flatMap((which) =>
        [...document.querySelectorAll(which)].map((element) => {
          const [one, other] = [light(getComputedStyle(element).color), behind(element)].sort((a, b) => b - a);
          return [which, (one + 0.05) / (other + 0.05)];
        }));
    })()"""
    for scheme in ("light", "dark"):
        browser.open(page, scheme=scheme)
        for which, ratio in browser.run(ratios):
            assert ratio >= 4.5, (scheme, which, ratio)


def test_headings_sort(browser, page):
    browser.open(page)
    for name in ("bound", "training/learning_rate"):
        heading = f'#board .tabulator-col[tabulator-field="{name}"]'
        cells = f"#board .tabulator-cell[tabulator-field='{name}']"
        texts = f"[...document.querySelectorAll({cells!r})].map((cell) => cell.textContent)"
        for direction, sign in (("ascending", 1), ("descending", -1)):
            browser.click(f"{heading} .heading")
            assert browser.run(f"document.querySelector({heading!r}).getAttribute('aria-sort')") == direction
            values = [sign * float(text) for text in browser.run(texts) if text not in ("–", "off")]
            assert values == sorted(values)
            assert len(values) > 10


def test_searched_parameters_stand_before_figures(browser, page):
    browser.open(page)
    headings = browser.run(
        "[...document.querySelectorAll('#board .heading')].map((each) => each.firstChild.textContent)"
    )
    assert headings[:9] == ["rank", "trial", "status", "encoder.kind", "latent_size", "depth", "width",
                            "learning_rate", "validation −ELBO"]  # fmt: skip


FILTERS = {
    "depth = 0": lambda row: row.parameters["model.flow.depth"] == 0,
    "latent_size > 16": lambda row: row.parameters["model.latent_size"] > 16,
    "status = stopped early": lambda row: row.status == "stopped",
    "status = stopped": lambda row: row.status == "stopped",
    "width = off": lambda row: "model.flow.made.width" not in row.parameters,
    "kind = mlp|resnet, validation -ELBO < 100": lambda row: (
        row.parameters["model.encoder.kind"] != "gated_conv" and (row.validation_negative_elbo or 999) < 100
    ),
    "model.flow.depth >= 3 and kind != mlp": lambda row: (
        row.parameters["model.flow.depth"] >= 3 and row.parameters["model.encoder.kind"] != "mlp"
    ),
    "t0007": lambda row: row.trial == "t0007",
    "encoder.kind = mlp, depth ≥ 2": lambda row: (
        row.parameters["model.encoder.kind"] == "mlp" and row.parameters["model.flow.depth"] >= 2
    ),
    "completed, test NLL, IS (1,000 images) < 90, depth ≤ 4": lambda row: row.trial in SCORED,
    "test NLL, HAIS < 90": lambda row: row.trial in SCORED,
}
SCORED = ("t0001", "t0002", "t0003")


def test_a_filter_goes_by_values(browser, page, full):
    browser.open(page)
    for words, holds in FILTERS.items():
        browser.set("#filter", words)
        expected = {row.trial for row in load_sweep(full.path).rows if holds(row)}
        assert expected, words
        assert set(browser.run(ROWS)) == expected, words
        assert browser.text("#filtered") == f"{len(expected)} of 24 trials"
        assert browser.text("#filter-problem") == ""


def test_a_filter_that_cannot_be_says_what_there_is(browser, page):
    browser.open(page)
    browser.set("#filter", "lr > 3, depth > deep, depth = 0 or depth = 1")
    said = browser.text("#filter-problem")
    assert "“depth = 0|1”" in said
    assert "there is no column “lr”" in said
    assert "“deep” is not a number" in said
    assert "learning_rate" in said
    assert browser.run("document.getElementById('filter').getAttribute('aria-invalid')") == "true"


def test_groups_tell_their_best_and_mean(browser, page, full):
    browser.open(page)
    browser.set("#leaderboard select", "model.encoder.kind")
    heads = browser.run("[...document.querySelectorAll('.tabulator-group')].map((each) => each.textContent)")
    rows = [row for row in load_sweep(full.path).rows if row.parameters["model.encoder.kind"] == "mlp"]
    bounds = [row.validation_negative_elbo for row in rows if row.status == "completed"]
    (said,) = [head for head in heads if "encoder.kind = mlp" in head]
    assert f"{len(rows)} trials" in said
    assert f"best {min(bounds):.2f}, mean {sum(bounds) / len(bounds):.2f} of {len(bounds)} completed" in said


def downloaded(browser, tmp_path, selector):
    """The file that a press on a button saves."""
    browser.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click(selector)
    end = time.monotonic() + 20
    while not (found := [path for path in tmp_path.iterdir() if path.suffix in (".csv", ".svg", ".png")]):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found[0]


def test_what_is_shown_is_saved(browser, page, full, tmp_path):
    browser.open(page)
    browser.set("#filter", "depth > 0")
    browser.click("#columns summary")
    browser.until("document.querySelectorAll('#columns li').length > 10")
    browser.run("""(() => {
      const rows = [...document.querySelectorAll('#columns li')];
      const row = (name) => rows.find((li) => li.textContent.startsWith(` ${name}`));
      row('status').querySelector('input').click();
      row('seed').querySelector('input').click();
      row('depth').querySelector('[data-by="-1"]').click(); })()""")
    path = downloaded(browser, tmp_path, "#csv")
    lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    header = list(lines[0])
    assert "status" not in header
    assert "seed" in header
    assert header.index("model.flow.depth") == header.index("model.latent_size") - 1
    rows = {row.trial: row for row in load_sweep(full.path).rows if row.parameters["model.flow.depth"] > 0}
    assert {line["trial"] for line in lines} == set(rows)
    for line in lines:
        bound = rows[line["trial"]].validation_negative_elbo
        assert line["bound"] == ("" if bound is None else str(bound))


@pytest.mark.parametrize(("kind", "begins"), [("svg", b"<svg"), ("png", b"\x89PNG")])
def test_a_chart_is_saved_as_it_is_seen(browser, page, tmp_path, kind, begins):
    browser.open(page)
    browser.box("#learning-curves .plot")
    saved = downloaded(browser, tmp_path, f"#learning-curves [data-download={kind}]").read_bytes()
    assert saved.startswith(begins)
    assert len(saved) > 5000
    if kind == "svg":
        assert b"Learning curves" in saved
    assert browser.complaints == []


def test_axes_start_where_the_good_trials_are(browser, page, full):
    browser.open(page)
    bounds = sorted(row.validation_negative_elbo for row in load_sweep(full.path).rows if row.validation_negative_elbo)
    browser.box("#learning-curves .plot")
    low, high = zoom(browser, "learning-curves")["y"]
    assert low < bounds[0]
    assert bounds[len(bounds) // 2 - 1] < high < bounds[-1]
    left_out = sum(bound > high for bound in bounds)
    assert f"{left_out + 1} trials lie above the axis: “All” shows them." in browser.text("#learning-curves .said")
    browser.click("#learning-curves [data-limits=all]")
    assert zoom(browser, "learning-curves")["y"][1] > 170
    assert "above the axis" not in browser.text("#learning-curves .said")


def test_a_chart_zooms_by_dragging_and_by_keys_and_moves(browser, page):
    browser.open(page)
    left, top, width, height = browser.box("#learning-curves .plot")
    before = zoom(browser, "learning-curves")
    browser.drag((left + width / 2, top + height / 2), (left + 0.8 * width, top + 0.8 * height))
    dragged = zoom(browser, "learning-curves")
    assert all(before[axis][0] < dragged[axis][0] < dragged[axis][1] < before[axis][1] for axis in "xy")
    browser.click("#learning-curves [data-toggle=pans]")
    left, top, width, height = browser.box("#learning-curves .plot")
    browser.drag((left + width / 2, top + height / 2), (left + 0.6 * width, top + height / 2))
    moved = zoom(browser, "learning-curves")
    assert moved["x"][0] < dragged["x"][0]
    assert moved["x"][1] - moved["x"][0] == pytest.approx(dragged["x"][1] - dragged["x"][0])
    browser.run("document.querySelector('#learning-curves .plot').focus()")
    browser.key("-")
    assert zoom(browser, "learning-curves")["x"][0] < moved["x"][0]
    browser.click("#learning-curves [data-toggle=isLog]")
    assert browser.run(f"{option(browser, 'learning-curves')}.yAxis[0].type") == "log"
    browser.click("#learning-curves [data-limits=good]")
    assert zoom(browser, "learning-curves")["y"] == pytest.approx(before["y"])


def test_limits_can_be_typed(browser, page):
    browser.open(page)
    browser.box("#cost .plot")
    browser.set("#cost [aria-label='Axis from']", "91")
    browser.set("#cost [aria-label='Axis to']", "97.5")
    assert zoom(browser, "cost")["y"] == [91, 97.5]


AXIS = """(() => {
  const chart = echarts.getInstanceByDom(document.querySelector('#parallel .plot'));
  const parallel = chart.getModel().getComponent('parallel').coordinateSystem, {y, height} = parallel.getRect();
  return [parallel.getAxisLayout('dim%d').position[0], y, height]; })()"""


def test_brushing_an_axis_leaves_the_trials_inside_everywhere(browser, page, full):
    browser.open(page)
    left, top, *_ = browser.box("#parallel .plot")
    x, y, height = browser.run(AXIS % 2)  # the depth, from 0 at the bottom to 4
    browser.drag((left + x, top + y + 2), (left + x, top + y + 0.4 * height))
    inside = {row.trial for row in load_sweep(full.path).rows
              if row.parameters["model.flow.depth"] >= 3 and row.validation_negative_elbo is not None}  # fmt: skip
    browser.until(f"document.getElementById('filtered').textContent === '{len(inside)} of 24 trials'")
    assert set(browser.run(ROWS)) == inside
    browser.box("#cost .plot")
    assert len(browser.run(f"{option(browser, 'cost')}.series.at(-1).data")) == len(inside)
    browser.box("#parallel .plot")
    browser.click("#unbrush")
    assert browser.text("#filtered") == "24 trials"


def test_axes_change_their_order_and_whole_numbers_stand_at_whole_numbers(browser, page):
    browser.open(page)
    browser.box("#parallel .plot")
    names = f"{option(browser, 'parallel')}.parallelAxis.map((axis) => axis.name)"
    before = browser.run(names)
    browser.click("#parallel [aria-label='Move depth left']")
    after = browser.run(names)
    assert (before[1:3], after[1:3]) == (["latent_size", "depth"], ["depth", "latent_size"])
    assert browser.run("document.activeElement.getAttribute('aria-label')") == "Move depth left"
    assert browser.run(f"{option(browser, 'parallel')}.parallelAxis[1].axisLabel.customValues") == [0, 1, 2, 3, 4]
    axis = f"{option(browser, 'parallel')}.parallelAxis[3].axisLabel"
    labels = browser.run(f"((label) => label.customValues.map(label.formatter))({axis})")
    assert labels == ["off", "64", "128"]


def test_pointer_and_keyboard_tell_of_a_trial_with_all_its_parameters(browser, page, full):
    browser.open(page)
    left, top, width, height = browser.box("#cost .plot")
    x, y = browser.run("""(() => {
      const chart = echarts.getInstanceByDom(document.querySelector('#cost .plot'));
      const series = chart.getOption().series.length - 1;
      const best = chart.getOption().series[series].data.reduce((a, b) => (b.value[1] < a.value[1] ? b : a));
      return chart.convertToPixel({seriesIndex: series}, best.value); })()""")
    browser.hover(left + x, top + y)
    browser.until("!document.getElementById('told').hidden")
    best = load_sweep(full.path).rows[0]
    told = browser.text("#told")
    assert f"{best.trial}, rank 1" in told
    for name in ("kind", "latent_size", "depth", "width", "learning_rate", "seconds per epoch"):
        assert name in told
    box = browser.run("(({top, bottom}) => [top, bottom])(document.getElementById('told').getBoundingClientRect())")
    assert box[1] <= top or box[0] >= top + height  # it hides none of the chart
    browser.box("#learning-curves .plot")
    browser.run("document.querySelector('#learning-curves .plot').focus()")
    browser.key("ArrowRight")
    assert f"{best.trial}, rank 1" in browser.text("[aria-live]")
    browser.key("ArrowRight")
    assert "rank 2" in browser.text("[aria-live]")
    browser.key("Enter")
    browser.until("!document.getElementById('trial').hidden")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A sweep whose scored trials have figures of each image."""
    maker = (
        SweepMaker(tmp_path_factory.mktemp("sweeps") / "compared", trials=8).began().add(count=8, pictures=True).ended()
    )
    maker.score("t0001", "t0002")
    for trial, nats in (("t0001", -90.0), ("t0002", -91.0)):
        figures = [nats + 0.1 * image + 0.01 * (nats % 7) * (image % 3) for image in range(40)]
        table = pd.DataFrame({"image": range(40), "log_likelihood": figures})
        common = {"method": "importance_sampling", "split": "test", "settings": "5 samples", "binarisation_seed": 0}
        table.assign(**common).to_parquet(RunFolder(maker.folder.trial(trial)).per_image)
    return maker.folder


def test_a_trial_has_its_own_view(browser, compared):
    page = write_report(read_sweep(compared), COMMAND)
    browser.open(page)
    browser.run("location.hash = 't0001'")
    browser.until("!document.getElementById('trial').hidden")
    text = browser.text("#trial")
    for expected in ("Trial t0001", "model.flow.depth", "default", "best: ", "training.seed", "1,000 samples",
                     "runs/quick-1/trials/t0001",
                     "python run_single.py runs/quick-1/trials/t0001/config.toml"):  # fmt: skip
        assert expected in text
    assert browser.run("document.querySelectorAll('#trial img').length") == 2
    assert browser.run("document.querySelectorAll('#trial figure .plot').length") == 7
    assert browser.run("document.getElementById('sweep').hidden")
    fields = "document.querySelectorAll('#trial .fields tbody tr').length"
    few = browser.run(fields)
    browser.click("#only-differing")
    assert browser.run(fields) > few + 20
    browser.run("location.hash = 'leaderboard'")
    browser.until("document.getElementById('trial').hidden")
    assert browser.complaints == []


def test_two_trials_are_compared(browser, compared):
    page = write_report(read_sweep(compared), COMMAND)
    browser.open(page)
    for trial in ("t0002", "t0001"):
        browser.click(f"[data-pick={trial}]")
    browser.click("#compare")
    browser.until("!document.getElementById('trial').hidden")
    text = browser.text("#trial")
    pair = contents_of(compared).pairs[0]
    sign = 1 if pair.first == "t0002" else -1
    shown = f"{sign * pair.difference:+.3f} ± {pair.standard_error:.3f}".replace("-", "−")
    assert "Trials t0002 and t0001" in text
    assert shown in text
    assert "t0001 is better" in text
    lines = f"{option(browser, 'curve-validation_negative_elbo')}.series.filter(({{type}}) => type === 'line').length"
    browser.box("#curve-validation_negative_elbo .plot")
    assert browser.run(lines) == 2
    browser.resize(400)
    browser.settle()
    assert overflow(browser) == 0


def test_paper_has_the_whole_table(browser, page):
    browser.open(page)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    printed = browser.run("[...document.querySelectorAll('#board-printed tbody tr')].length")
    assert printed == 24
    assert browser.run("getComputedStyle(document.getElementById('board')).display") == "none"
    assert browser.run("document.querySelectorAll('canvas.on-paper').length") == len(CHARTS)
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run("document.querySelectorAll('canvas.on-paper').length") == 0
    browser.ask("Emulation.setEmulatedMedia", media="")


def test_a_sweep_grows_while_one_looks(browser, growing):
    maker, address = growing
    browser.open(address)
    assert "running" in browser.text("#head")
    browser.set("#filter", "depth > 0")
    left, top, width, height = browser.box("#learning-curves .plot")
    browser.drag((left + width / 2, top + height / 2), (left + 0.8 * width, top + 0.8 * height))
    top_of_plot = "document.querySelector('#learning-curves .plot').getBoundingClientRect().top"
    seen, place = zoom(browser, "learning-curves"), browser.run(top_of_plot)
    before = {"model.encoder.kind": "mlp", "model.latent_size": 16, "training.learning_rate": 1e-3}
    maker.add(count=2, parameters=before | {"model.flow.depth": 0})
    maker.add(count=3, parameters=before | {"model.flow.depth": 2, "model.flow.made.width": 64})
    browser.until("document.getElementById('filtered').textContent.endsWith('of 35 trials')")
    assert browser.run("document.getElementById('filter').value") == "depth > 0"
    assert {"t0033", "t0034", "t0035"} <= set(browser.run("tabulator.Tabulator.findTable('#board')[0]"
                                                         ".getData('active').map(({id}) => id)"))  # fmt: skip
    now = zoom(browser, "learning-curves")
    assert all(now[axis] == pytest.approx(seen[axis]) for axis in "xy")
    assert browser.run(top_of_plot) == pytest.approx(place, abs=40)  # what is above it may have grown
    drawn = browser.run(f"{option(browser, 'learning-curves')}.series.map(({{id}}) => id)")
    assert "t0035" in drawn
    assert "t0031" not in drawn
    assert browser.complaints == []


def test_a_trial_that_is_looked_at_grows_without_losing_the_place(browser, growing):
    maker, address = growing
    browser.open(address + "#t0005")
    curve = "curve-validation_negative_elbo"
    left, top, width, height = browser.box(f"#{curve} .plot")
    browser.drag((left + width / 2, top + height / 2), (left + 0.8 * width, top + 0.8 * height))
    browser.click("#only-differing")
    browser.run(f"document.querySelector('#{curve} .plot').focus()")
    seen, place = zoom(browser, curve), browser.run("scrollY")
    maker.add(count=2)
    browser.until("document.getElementById('headline').textContent.includes('32 of 40 trials')")
    browser.settle()
    assert zoom(browser, curve) == {axis: pytest.approx(limits) for axis, limits in seen.items()}
    assert browser.run("scrollY") == pytest.approx(place, abs=40)
    assert not browser.run("document.getElementById('only-differing').checked")
    assert browser.run("document.activeElement.className") == "plot"
    assert browser.complaints == []


def test_an_address_may_name_trials_that_there_are_not_and_any_twice(browser, page):
    for names, trials in (("t9999", []), ("t0001,t9999", ["t0001"]), ("t0002,t0002", ["t0002"]), ("%", None)):
        browser.open(page.absolute().as_uri() + f"#{names}")
        scroll_through(browser)
        assert browser.run("document.getElementById('trial').hidden") == (trials is None)
        heading = browser.run("[...document.querySelectorAll('#trial .fields th')].map((each) => each.textContent)")
        assert [each for each in heading if each in ("t0001", "t0002")] == (trials or [])
        assert ("There is no trial t9999" in browser.text("#trial")) == ("t9999" in names)
        assert browser.complaints == []


@pytest.mark.slow
def test_500_trials_are_drawn_in_time(browser, tmp_path):
    """By the seconds of a core that the page's main thread takes, whatever else runs on the machine."""
    maker = SweepMaker(tmp_path / "s", trials=500, epochs=50).began().add(count=500).ended()
    page = write_report(read_sweep(maker.folder), COMMAND)

    def seconds():
        return next(each["value"] for each in browser.ask("Performance.getMetrics")["metrics"]
                    if each["name"] == "TaskDuration")  # fmt: skip

    browser.open(page)
    browser.ask("Performance.enable", timeDomain="threadTicks")
    browser.open(page)
    browser.box("#learning-curves .plot")
    assert browser.run(f"{option(browser, 'learning-curves')}.series.length") == 501
    assert seconds() < 2.0
    before = seconds()
    browser.run("""(async () => {
      const rows = document.querySelector('#board .tabulator-tableholder');
      for (let y = 0; y < 6000; y += 100) {
        rows.scrollTop = y;
        await new Promise(requestAnimationFrame);
      } })()""")
    assert seconds() - before < 60 * 0.05  # of a frame, drawn without a GPU


def test_a_chart_that_there_is_not_is_refused_with_those_that_there_are(full):
    with pytest.raises(UserError, match="no chart 'depth'; it has learning-curves, .*slice-depth"):
        load_sweep(full.path).figure("depth")


def test_one_chart_stands_alone(browser, full, tmp_path):
    found = load_sweep(full.path).figure("parallel")
    assert found._repr_html_().startswith("<iframe srcdoc=")
    browser.open(found.save(tmp_path / "chart.html"))
    assert browser.run("[...document.querySelectorAll('figure')].map((each) => each.id)") == ["parallel"]
    assert browser.run(f"{option(browser, 'parallel')}.series[0].data.length") == 19
    assert browser.complaints == []


def test_hostile_texts_stay_texts(browser, tmp_path):
    maker = SweepMaker(tmp_path / "x<img src=x onerror=pwned=1>", trials=40, title=MARKUP[1] + MARKUP[2]).began()
    for text in MARKUP + ODD:
        values = {"model.encoder.kind": text, "model.latent_size": 16, "model.flow.depth": 0, text: text,
                  "training.learning_rate": 1e-3}  # fmt: skip
        maker.add("completed", parameters=values)
        maker.add("failed", parameters=values, error=f"Traceback\nValueError: {text}")
    maker.ended("stopped", MARKUP[2])
    page = write_report(read_sweep(maker.folder), ["python", "run_sweep.py", "report", MARKUP[2]])
    for width in (1280, 400):
        browser.open(page, width)
        assert browser.run("window.pwned ?? null") is None
        assert browser.complaints == []
        assert overflow(browser) == 0
        assert browser.run("document.querySelectorAll('script:not([type])').length") == 3
        assert (
            browser.run("document.querySelectorAll('img, iframe, object, embed, link, style').length") == 1
        )  # its style
        assert browser.run("[...document.querySelectorAll('*')].some((each) => each.onerror || each.onload)") is False
        assert MARKUP[2] in browser.run("document.querySelector('h1').textContent")
        browser.box("#learning-curves .plot")
        lines = browser.run(f"{option(browser, 'learning-curves')}.series.length")
        assert lines == len(MARKUP + ODD) + 1  # and the marks at their ends
        browser.run("location.hash = 't0001'")
        browser.until("!document.getElementById('trial').hidden")
        browser.set("#leaderboard select", "status")
        assert browser.run("window.pwned ?? null") is None
        assert browser.complaints == []


@pytest.mark.parametrize("how", ["<img src='https://example.org/x.png'>", "<script>window.pwned = 1</script>",
                                 "<style>body { background: url(https://example.org/y) }</style>"])  # fmt: skip
def test_the_policy_would_stop_what_got_in(browser, page, tmp_path, how):
    """Were there a hole in the escaping, the policy still lets nothing out and runs nothing."""
    changed = tmp_path / "report.html"
    changed.write_text(
        page.read_text(encoding="utf-8").replace('<div id="page">', f'{how}<div id="page">'), encoding="utf-8"
    )
    browser.open(changed)
    assert browser.run("window.pwned ?? null") is None
    assert any("Content Security Policy" in str(text) for _, text in browser.complaints)
