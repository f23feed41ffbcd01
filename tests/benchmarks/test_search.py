"""The comparison of searches in miniature."""

import json
import math
import random
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer

from benchmarks.part import WHOLE, Part
from benchmarks.search import compare, pbt, record, two_objectives
from benchmarks.search.rows import add_row, read_rows
from benchmarks.search.trees import Trees
from iafsweep.rehearsal.curves import Curve
from iafsweep.rehearsal.surrogate import Surrogate
from iafsweep.rehearsal.sweep import RehearsedSweep
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.sweep.storage.events import Finished, Header, Proposed, Reopened
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.tune.driver import SweepOutcome
from iafsweep.training import Trainer


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trained(cache, part=WHOLE):
    record.train("mnist", cache, part=part, quick=True)
    return (cache / "mnist.jsonl").read_text()


@pytest.mark.slow
def test_a_space_is_recorded_once_in_parts_and_kept_in_order(tmp_path, monkeypatch):
    half = trained(tmp_path, part=Part(2, 2))
    (tmp_path / "mnist.jsonl").write_text(half + '{"number": 1, "se')  # cut off; the next row stands right behind it
    trained(tmp_path, part=Part(1, 2))
    text = trained(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "run_epoch", lambda *_: pytest.fail("trained again"))
        assert trained(tmp_path) == text

    record.keep("mnist", tmp_path, to=tmp_path / "tables", quick=True)
    head, *rows = map(json.loads, (tmp_path / "tables" / "mnist.jsonl").read_text().splitlines())
    assert (head["configurations"], head["missing"]) == (3, 0)
    assert [(row["number"], row["seed"]) for row in rows] == [(1, 0), (1, 1), (2, 0), (3, 0)]
    assert rows[0]["parameters"] == rows[1]["parameters"]
    assert rows[0]["bounds"] != rows[1]["bounds"]
    assert all(len(row["bounds"]) == len(row["seconds"]) == 5 for row in rows)
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith("mnist")]


@pytest.mark.slow
def test_what_the_surrogate_takes_for_the_best_is_trained_and_kept_behind_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "QUICK", record.Extent(12, 400, 100))
    trained(tmp_path)
    for _ in range(2):
        record.refine("mnist", tmp_path, 2, quick=True)
    record.keep("mnist", tmp_path, to=tmp_path / "tables", quick=True)
    head, *rows = map(json.loads, (tmp_path / "tables" / "mnist.jsonl").read_text().splitlines())
    assert (head["configurations"], head["missing"], head["refined"]) == (12, 0, 4)
    assert [(row["number"], row["seed"]) for row in rows[-4:]] == [(number, 0) for number in (13, 14, 15, 16)]
    assert len({json.dumps(row["parameters"]) for row in rows}) == 16

    space = record.the_space("mnist", quick=True)
    surrogate = Surrogate(space, [record.curve_of(row) for row in rows[:-4]])
    foretold = surrogate.bounds([row["parameters"] for row in rows[-4:-2]]).min(1)
    of_all = surrogate.bounds(surrogate.ranked(space)).min(1)
    assert foretold[0] <= foretold[1] < np.quantile(of_all, 0.01)


def bound(values, epoch):
    """Nats of the recorded space's configurations, made up."""
    away = math.log(values["training.learning_rate"] / 0.003)
    return 100 + 4 * away**2 + abs(values["model.flow.depth"] - 3) + 50 / epoch


def write_table(folder, count=40, pace=lambda values: 1.0):
    space, generator = record.the_space("mnist", quick=True), random.Random(0)
    head = {"made": "by a formula", "training_images": 400, "refined": 0}
    rows = [head]
    for number in range(count):
        values = space.suggest(RandomSuggest(generator))
        bounds = [bound(values, epoch) for epoch in range(1, 6)]
        rows.append(
            {
                "number": number,
                "parameters": values,
                "status": "completed",
                "bounds": bounds,
                "seconds": [pace(values)] * 5,
            }
        )
    folder.mkdir()
    (folder / "mnist.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.parametrize("budgets", ["x", "8,", "0", "-1,8", "nan", "inf"])
def test_budgets_are_positive_numbers(tmp_path, budgets):
    with pytest.raises(typer.BadParameter, match="budgets is positive numbers, separated by commas; found "):
        compare.run("mnist", tmp_path, budgets=budgets)


@pytest.mark.slow
def test_searches_are_rehearsed_once_with_their_peers_and_shown(tmp_path, monkeypatch):
    write_table(tmp_path / "tables")
    names = ("random, none", compare.DEFAULT, *compare.PEERS)

    def run(seeds, part=WHOLE):
        compare.run("mnist", tmp_path, seeds, "16", part, "process", ";".join(names), tmp_path / "tables", quick=True)
        return (tmp_path / "compare-mnist-process.jsonl").read_text()

    run(1, Part(2, 2))
    text = run(2)
    with monkeypatch.context() as patched:
        patched.setattr(RehearsedSweep, "begin", lambda *_: pytest.fail("rehearsed again"))
        assert run(2) == text
    rows = [json.loads(line) for line in text.splitlines()]
    assert {(row["search"], row["seed"]) for row in rows} == {(name, seed) for name in names for seed in (1, 2)}
    for row in rows:
        assert all(0 < spent <= 16 and nats > 100 for spent, nats in row["trace"])
        assert row["trace"]
        assert row["epochs"] <= 80
    trials = {row["search"]: row["trials"] for row in rows}
    assert 16 <= trials["random, none"] <= trials[compare.DEFAULT] < trials[compare.PEERS[2]]

    compare.page(tmp_path, tmp_path / "tables", tmp_path / "docs", quick=True)
    page = (tmp_path / "docs" / "search.md").read_text()
    assert (tmp_path / "docs" / "figures" / "search-mnist-process-16.png").read_bytes().startswith(b"\x89PNG")
    shown = dict(re.findall(r"^\| ([^|]+) \| 2 \| ([\d.]+) \|", page, re.M))
    assert shown.keys() == trials.keys()
    others = dict(re.findall(r"^\| ([^|]+) \| (\d+) \| [^|]+ \| [^|]+ \|$", page, re.M))
    assert others == dict.fromkeys((compare.BASELINE, *compare.PEERS), "16")

    compare.run("mnist", tmp_path, 2, "32", WHOLE, "process", compare.BASELINE, tmp_path / "tables", quick=True)
    compare.page(tmp_path, tmp_path / "tables", tmp_path / "docs", quick=True)
    page = (tmp_path / "docs" / "search.md").read_text()
    assert f"| {compare.BASELINE} | 32 | " in page
    assert page.count("### Budget of") == 1

    three = f"{compare.BASELINE}; {compare.DEFAULT}; tpe, none"
    compare.run("mnist", tmp_path, 1, "8,12", WHOLE, "trees", three, tmp_path / "tables", quick=True)
    compare.page(tmp_path, tmp_path / "tables", tmp_path / "docs", quick=True)
    page = (tmp_path / "docs" / "search.md").read_text()
    assert re.findall(r"^## .* \(surrogate: (.*)\)$", page, re.M) == ["Gaussian process", "randomised trees"]
    assert (tmp_path / "docs" / "figures" / "search-mnist-trees-8.png").exists()
    assert page.count("### Budget of") == 3
    assert "Measured: 40 trainings of 5 epochs on 400 images; 0 failed to complete." in page


@pytest.mark.slow
def test_fronts_are_searched_once_and_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(two_objectives, "AFTER", (4, 12))
    write_table(tmp_path / "tables", pace=lambda values: 1.0 + values["model.flow.depth"])
    for part in ("2/2", "1/2", "1/1"):
        two_objectives.main("mnist", tmp_path, 1, part, tmp_path / "tables", quick=True)
    rows = list(read_rows(tmp_path / "two-mnist.jsonl"))
    assert sorted(row["sampler"] for row in rows) == sorted(two_objectives.SAMPLERS)
    for row in rows:
        assert 12 / 3 < row["cost"] < 12 * 3
        for points in row["fronts"].values():
            bounds, paces = zip(*points, strict=True)
            assert list(paces) == sorted(paces)
            assert all(nats > 100 for nats in bounds)

    page = "\n".join(two_objectives.two_objectives_section(tmp_path, "mnist", tmp_path / "tables", quick=True))
    shown = dict(re.findall(r"^\| (\w+) \| 1 \| .* \| (\d+)% \([^|]*\) \| [\d.]+ \|$", page, re.M))
    assert list(shown) == [row["sampler"] for row in rows]
    assert all(0 < int(share) <= 100 for share in shown.values())
    assert not list(two_objectives.two_objectives_section(tmp_path, "fashion"))


def test_a_front_is_of_those_whom_nobody_beats_in_both():
    seen = {1.0: 101.0, 2.0: 103.0, 3.0: 100.0, 4.0: 100.5, 0.5: 110.0, 0.6: 109.0, 5.0: 99.0, 6.0: 120.0}
    completed = [
        SimpleNamespace(trial=SimpleNamespace(pace=pace, proposed=SimpleNamespace(parameters=bound + 1)), bound=bound)
        for pace, bound in seen.items()
    ]
    table = SimpleNamespace(
        training=lambda trial: Curve({}, (0.0,) * 2, (trial.pace,) * 2, "completed"),
        surrogate=SimpleNamespace(bounds=lambda averages: np.array([[200.0, average] for average in averages])),
    )
    points = two_objectives.front(table, completed)
    assert [(bound, pytest.approx(math.exp(pace))) for bound, pace in points] == [
        (seen[pace] + 1, pace) for pace in (0.5, 0.6, 1.0, 3.0, 5.0)
    ]
    assert two_objectives.front(table, []) == []


def test_the_area_of_a_front_is_that_of_its_rectangles_together():
    points = [(1.0, 3.0), (2.0, 1.0), (2.5, 2.0), (9.0, 0.0), (0.0, 9.0)]
    assert two_objectives.dominated_area(points, (4.0, 4.0)) == (4 - 1) * (4 - 3) + (4 - 2) * (3 - 1)
    assert two_objectives.dominated_area([], (4.0, 4.0)) == 0
    generator = np.random.default_rng(0)
    cloud, many = generator.uniform(0, 1, (5, 2)), generator.uniform(0, 1, (100_000, 2))
    share = (many[:, None] >= cloud).all(2).any(1).mean()
    assert two_objectives.dominated_area([tuple(each) for each in cloud], (1.0, 1.0)) == pytest.approx(share, abs=0.005)


def test_a_row_that_was_cut_off_is_left_out_with_what_stands_behind_it(tmp_path):
    rows = tmp_path / "made" / "rows.jsonl"
    assert not list(read_rows(rows))
    add_row(rows, {"seed": 1})
    rows.write_text(rows.read_text() + '{"seed": 2, "bou')
    add_row(rows, {"seed": 3})
    add_row(rows, {"seed": 4})
    assert list(read_rows(rows)) == [{"seed": 1}, {"seed": 4}]


@pytest.mark.parametrize("count", [1, 3])
def test_trees_tell_what_they_were_told_and_nothing_of_what_is_held_out(count):
    generator = np.random.default_rng(0)
    points = generator.uniform(0, 1, (200, 3))
    figures = np.stack([points[:, 0] * (1 + place) for place in range(count)], axis=1)
    trees = Trees.fit(points, figures)
    assert trees.predict(points) == pytest.approx(figures)
    others = generator.uniform(0.1, 0.9, (100, 3))
    assert trees.predict(others)[:, -1] == pytest.approx(others[:, 0] * count, abs=0.15 * count)
    high = points[:, 0] > 0.5
    assert trees.without(high).predict(points[high]).max() <= 0.5 * count


def test_a_surrogate_or_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(typer.BadParameter, match="no surrogate is called 'forest'; known: process, trees"):
        compare.run("mnist", tmp_path, surrogate="forest")
    with pytest.raises(typer.BadParameter, match=r"has no table 'cifar.jsonl'; there are: fashion, mnist"):
        two_objectives.main("cifar", tmp_path)
    with pytest.raises(typer.BadParameter, match="there are: none"):
        compare.run("mnist", tmp_path, tables=tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_search_is_one_there_is():
    space = record.the_space("mnist", quick=True)
    assert record.the_space("fashion", quick=True).size is None
    for name in compare.contenders():
        assert isinstance(compare._search(name, compare._seeded(space, name, 1)).milestones, tuple)


@pytest.mark.parametrize("name", record.EXTENTS)
def test_a_kept_table_is_of_its_space(name):
    head, *rows = map(json.loads, (record.TABLES / f"{name}.jsonl").read_text().splitlines())
    space, extent = record.the_space(name), record.EXTENTS[name]
    seconds = range(1, extent.configurations + 1, record.SECOND_SEED_EVERY)
    assert head["missing"] == 0
    assert {key: head[key] for key in extent._fields} == extent._asdict()
    assert len(rows) == extent.configurations + len(seconds) + head["refined"]
    keys = {row["number"]: record.candidate_of(space, row["parameters"]).key for row in rows}
    assert len(set(keys.values())) == len(keys) == extent.configurations + head["refined"]
    for row in rows:
        assert len(row["seconds"]) == len(row["bounds"]) + (row["status"] != "completed")
        assert len(row["bounds"]) == space.most_epochs or row["status"] != "completed"


def test_a_ratio_of_costs_has_an_interval_and_is_a_limit_where_the_other_never_came_so_close():
    assert compare.ratio([2.0] * 30, [8.0] * 30, 64) == "0.25 (0.25 to 0.25)"
    low, high = map(float, re.findall(r"[\d.]+", compare.ratio([2.0, 3.0, 4.0] * 10, [8.0, 9.0] * 15, 64))[1:])
    assert 0.2 < low < 3 / 8.5 < high < 0.5
    assert compare.ratio([math.inf] * 3, [1.0] * 3, 64) == "-"
    assert compare.ratio([16.0] * 3, [math.inf] * 3, 64) == "< 0.25 (0.25 to 0.25)"
    assert compare.ratio([16.0] * 18 + [math.inf] * 12, [32.0] * 30, 64).endswith(" to -)")


@pytest.mark.parametrize(("status", "code"), [("interrupted", 130), ("aborted", 1), ("stopped", 1)])
def test_a_sweep_beside_a_population_that_was_cut_off_is_not_kept(tmp_path, monkeypatch, status, code):
    launched = []

    def launch(space, folder, *_):
        folder.path.mkdir(parents=True)
        launched.append(folder.path)
        state = replay(Header(sweep="s", created="t", seed=0, space="s"), [])
        return SweepOutcome(status, state, "a user asked it to stop")

    monkeypatch.setattr(pbt, "launch_sweep", launch)
    with pytest.raises(typer.Exit) as ended:
        pbt.run(tmp_path, 1, quick=True)
    assert ended.value.exit_code == code
    assert launched == [tmp_path / "random-pbt-1"]
    assert [path.name for path in tmp_path.iterdir()] == ["random-pbt-1"]


def test_of_a_sweep_beside_a_population_counts_what_completed_within_its_epochs():
    rows = []

    def end(number, epochs, bound, status="completed"):
        name = f"t{number:04d}"
        facts = {"epochs": epochs, "best_value": bound, "seconds": 1.0, "gpu_seconds": 0.0, "time": "t"}
        rows.append(Finished(trial=name, status=status, **facts))

    for number in range(1, 5):
        rows.append(Proposed(trial=f"t{number:04d}", number=number, parameters={}, seed=0, key=str(number), time="t"))
    end(1, 10, 100.0)
    end(2, 3, 80.0, "stopped")
    rows.append(Reopened(trial="t0002", time="t"))
    end(2, 9, 79.0, "stopped")
    end(3, 10, 95.0)
    end(4, 10, 90.0)
    state = replay(Header(sweep="s", created="t", seed=0, space="s"), rows)
    assert pbt.found(state, 39) == (90.0, 39)
    assert pbt.found(state, 38) == (95.0, 29)
    assert pbt.found(state, 28) == (100.0, 19)
    assert pbt.found(state, 9) == (math.inf, 0)
