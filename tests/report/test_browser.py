"""The page as a browser shows it: every figure drawn, nothing said on the console, no text that becomes more."""

import json

import pytest

from iafsweep.report import write_report
from iafsweep.sweep.storage.stored_sweep import read_sweep
from tests.report.hostile import MARKUP, ODD
from tests.report.sweeps import SweepMaker

COMMAND = ["python", "run_sweep.py", "report", "runs/full"]
DRAWN = """[...document.querySelectorAll('.plot')].map((plot) => [
  plot.dataset.figure, plot.querySelectorAll('svg path, svg circle, svg rect').length])"""
FIGURES = {"learning-curves", "importance", "variance", "parallel", "cost", "test-figures", "slice-model.encoder.kind",
           "slice-model.latent_size", "slice-model.flow.depth", "slice-model.flow.made.width",
           "slice-training.learning_rate"}  # fmt: skip


@pytest.fixture(scope="module")
def page(full):
    return write_report(read_sweep(full), COMMAND)


def overflow(browser):
    return browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_figure_is_drawn_and_fits(browser, page, width, scheme):
    browser.open(page, width, scheme=scheme)
    drawn = dict(browser.run(DRAWN))
    assert set(drawn) == FIGURES
    assert all(marks > 3 for marks in drawn.values()), drawn
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
      const looked = ['.note', '.pill', 'h1', 'nav a', 'td', 'button.trial', '.facts dt', '.legend li', '.eyebrow'];
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


def test_headings_sort_and_say_so(browser, page):
    browser.open(page)
    heading = "[...document.querySelectorAll('#leaderboard thead th')].find((th) => th.textContent.startsWith('{}'))"
    column = "[...document.querySelectorAll('#leaderboard tbody tr')].map((tr) => tr.cells[{}].textContent)"
    for name in ("validation −ELBO", "learning_rate", "s/epoch"):
        place = browser.run(f"{heading.format(name)}.cellIndex")
        for direction, sign in (("ascending", 1), ("descending", -1)):
            browser.run(f"{heading.format(name)}.querySelector('button').click()")
            assert browser.run(f"{heading.format(name)}.getAttribute('aria-sort')") == direction
            shown = browser.run(column.format(place))
            values = [sign * float(text.split()[0]) for text in shown if text != "–"]
            assert values == sorted(values)
            assert set(shown[len(values) :]) <= {"–"}  # what is missing stays at the end either way
            assert len(values) > 10
    assert browser.run("document.querySelectorAll('#leaderboard th[aria-sort]').length") == 1


def test_filter_leaves_rows_that_match(browser, page):
    browser.open(page)
    left = browser.run("""(() => {
      const input = document.getElementById('filter');
      input.value = 'stopped early';
      input.dispatchEvent(new Event('input'));
      return [...document.querySelectorAll('#leaderboard tbody tr')].filter((row) => !row.hidden).length; })()""")
    assert left == 5
    assert browser.run("document.getElementById('filtered').textContent") == "5 of 24 trials"


def test_a_trial_is_shown_in_all_figures(browser, page):
    browser.open(page)
    shown = (
        "[...document.querySelectorAll('.plot')].filter((plot) => plot.querySelector('.overlay')?.childElementCount)"
    )
    browser.run("document.querySelector('#leaderboard button.trial[data-trial=t0001]').click()")
    data = json.loads(browser.run("document.getElementById('data').textContent"))
    having = {name for name, figure in data["figures"].items() if '"t0001"' in json.dumps(figure)}
    assert len(having) >= 8
    assert set(browser.run(f"{shown}.map((plot) => plot.dataset.figure)")) == having
    assert browser.run("document.querySelector('button.trial[aria-pressed=true]').dataset.trial") == "t0001"
    browser.key("Escape")
    assert browser.run(f"{shown}.length") == 0


def test_pointer_and_keyboard_tell_of_a_trial(browser, page):
    browser.open(page)
    place = browser.run("""(() => {
      document.documentElement.style.scrollBehavior = 'auto';
      const mark = document.querySelector('[data-figure=cost] .best .mark');
      mark.scrollIntoView({block: 'center'});
      const {left, top, width, height} = mark.getBoundingClientRect();
      return [left + width / 2, top + height / 2]; })()""")
    browser.settle()
    browser.hover(*place)
    best = browser.run("document.querySelector('#result button.trial').dataset.trial")
    assert browser.run("document.getElementById('tell').hidden") is False
    assert f"{best}, rank 1" in browser.run("document.getElementById('tell').textContent")
    browser.run("document.querySelector('[data-figure=learning-curves]').focus()")
    browser.key("ArrowRight")
    first = browser.run("document.querySelector('tr.shown').dataset.trial")
    browser.key("ArrowRight")
    assert browser.run("document.querySelector('tr.shown').dataset.trial") != first
    browser.key("Escape")
    assert browser.run("document.querySelector('tr.shown')") is None


def test_figures_follow_the_width(browser, page):
    browser.open(page, 1280)
    widths = (
        "[...document.querySelectorAll('[data-figure=learning-curves] svg')].map((svg) => svg.viewBox.baseVal.width)"
    )
    (wide,) = browser.run(widths)
    browser.resize(400)
    browser.settle()
    browser.settle()
    (narrow,) = browser.run(widths)
    assert narrow < 400 < wide


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
        assert browser.run("document.querySelectorAll('script:not([type])').length") == 1
        assert (
            browser.run("document.querySelectorAll('img, iframe, object, embed, link, style').length") == 1
        )  # its style
        assert browser.run("[...document.querySelectorAll('*')].some((each) => each.onerror || each.onload)") is False
        assert MARKUP[2] in browser.run("document.querySelector('h1').textContent")
        assert browser.run("document.querySelectorAll('[data-figure=learning-curves] .curve').length") == len(
            MARKUP + ODD
        )


@pytest.mark.parametrize("how", ["<img src='https://example.org/x.png'>", "<script>window.pwned = 1</script>",
                                 "<style>body { background: url(https://example.org/y) }</style>"])  # fmt: skip
def test_the_policy_would_stop_what_got_in(browser, page, tmp_path, how):
    """Were there a hole in the escaping, the policy still lets nothing out and runs nothing."""
    changed = tmp_path / "report.html"
    changed.write_text(page.read_text(encoding="utf-8").replace("<main>", f"<main>{how}"), encoding="utf-8")
    browser.open(changed)
    assert browser.run("window.pwned ?? null") is None
    assert any("Content Security Policy" in str(text) for _, text in browser.complaints)
