"""Figures as data: what they show, what they leave out, and whether they say so."""

import math
import random

import pytest

from iafsweep.records import LeaderboardRow
from iafsweep.report.curves import learning_curves, thinned
from iafsweep.report.findings import read_findings
from iafsweep.report.importance import FEWEST_TRIALS
from iafsweep.report.scales import bounded, linear, logarithmic, of_range, position
from iafsweep.report.searched import bound_against_cost
from iafsweep.report.variance import explained_variance
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.sweep.storage.stored_sweep import read_sweep
from tests.report.sweeps import SweepMaker, epoch_metrics, space


def test_thinning_keeps_the_ends_and_the_best():
    points = [(float(epoch), abs(epoch - 777) + 80.0) for epoch in range(1, 2001)]
    kept = thinned(points, 20)
    assert len(kept) <= 21
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert min(kept, key=lambda point: point[1]) == (777.0, 80.0)
    assert kept == sorted(kept)
    assert thinned(points[:5], 20) == points[:5]


def test_a_curve_leaves_out_what_is_not_finite():
    rows = [LeaderboardRow(trial="t1", status="diverged"), LeaderboardRow(trial="t2", status="diverged")]
    metrics = {"t1": [epoch_metrics(1, 120.0), epoch_metrics(2, math.nan)], "t2": [epoch_metrics(1, math.inf)]}
    found = learning_curves(rows, metrics)
    assert [(curve.trial, curve.x, curve.y) for curve in found.curves] == [("t1", (1.0,), (120.0,))]
    assert "1 of 2 trials have no curve" in found.note
    assert "diverged" in learning_curves(rows[1:], metrics).empty


@pytest.mark.parametrize(
    "axis",
    [linear("", []), linear("", [3.0]), linear("", [-1.0, math.nan, math.inf]), logarithmic("", [0.2]),
     logarithmic("", [0.5, 0.5]), logarithmic("", [1e-9, 1e9]), bounded("", [])[0], bounded("", [100.0] * 9)[0],
     of_range("", IntRange(3, 3)), of_range("", FloatRange(1e-3, 1e-3, None, True)), of_range("", Choice(("a",)))],
)  # fmt: skip
def test_every_axis_has_a_length(axis):
    assert axis.high > axis.low
    assert not axis.log or axis.low > 0


def test_a_wild_value_does_not_rule_an_axis():
    axis, above = bounded("", [*(100 + value / 10 for value in range(20)), 1e9])
    assert above == 1
    assert axis.high < 110
    assert bounded("", [100.0, 101.0, 102.0])[1] == 0


def test_the_axis_is_made_for_telling_values():
    values = [100.0, 101.0, 102.0, 103.0, 104.0, *[160.0] * 30]
    assert bounded("", values)[0].high > 150
    axis, above = bounded("", values, values[:5])
    assert (above, axis.high < 110) == (30, True)


def test_axes_are_logarithmic_where_the_search_is():
    rate, size = of_range("rate", FloatRange(1e-4, 1e-2, None, True)), of_range("size", Choice(((300, 300), (100,))))
    assert rate.log
    assert rate.low < 1e-4 < 1e-2 < rate.high
    assert size.categories == ("[300, 300]", "[100]")
    assert position(Choice(((300, 300), (100,))), "[100]") == 1.0
    assert position(Choice(("a", "b")), "never offered") is None
    assert position(FloatRange(1e-4, 1e-2, None, True), -1.0) is None
    assert position(IntRange(0, 4), "4") is None


def test_slices_hold_every_trial_in_which_a_parameter_was_active(full):
    found = read_findings(read_sweep(full))
    with_bound = {row.trial for row in found.rows if row.validation_negative_elbo is not None}
    by_name = {figure.name: figure for figure in found.slices}
    depth = by_name["slice-model.flow.depth"]
    assert {point.trial for point in depth.points} == with_bound
    width = by_name["slice-model.flow.made.width"]
    active = {row.trial for row in found.rows if "model.flow.made.width" in row.parameters} & with_bound
    assert {point.trial for point in width.points} == active < with_bound
    assert f"Inactive in {len(with_bound - active)} of {len(with_bound)} trials" in width.note
    for point in width.points:  # spread, but each nearest to its own value
        row = next(row for row in found.rows if row.trial == point.trial)
        assert width.x.categories[round(point.x)] == str(row.parameters["model.flow.made.width"])
    assert all(depth.x.low < point.x < depth.x.high for point in depth.points)
    for line in found.parallel.lines:
        assert (line.at[3] is None) == (line.trial not in active)


def test_the_front_is_the_leaderboards(full):
    found = read_findings(read_sweep(full))
    front = {row.trial for row in found.rows if row.pareto}
    assert set(found.cost.front) == front
    assert len(front) > 1
    places = {point.trial: (point.x, point.y) for point in found.cost.points}
    costs = [places[trial] for trial in found.cost.front]
    assert costs == sorted(costs)
    assert [y for _, y in costs] == sorted((y for _, y in costs), reverse=True)


def test_bounds_above_the_axis_stay_on_it():
    known = [{"trial": f"t{n}", "validation_negative_elbo": 100 + n / 9, "seconds_per_epoch": n} for n in range(1, 9)]
    rows = [LeaderboardRow(status="completed", **each) for each in known]
    wild = LeaderboardRow(trial="t9", status="stopped", validation_negative_elbo=1e6, seconds_per_epoch=1)
    figure = bound_against_cost([*rows, wild])
    assert {point.trial: point.y for point in figure.points}["t9"] == pytest.approx(figure.y.high, rel=1e-5)
    assert "1 trials above the axis" in figure.note


def test_importance_finds_the_parameters_that_matter(tmp_path):
    maker, draw = SweepMaker(tmp_path / "s", trials=200).began(), random.Random(3)
    for _ in range(200):
        values = {
            "model.encoder.kind": draw.choice(["resnet", "mlp"]),
            "model.latent_size": draw.choice([16, 32, 64]),
            "model.flow.depth": 0,
            "training.learning_rate": 10 ** draw.uniform(-4, -2),
        }
        maker.add(parameters=values)
    bars = read_findings(read_sweep(maker.ended().folder)).importance.bars
    assert sum(bar.value for bar in bars) == pytest.approx(1, abs=1e-3)
    # The latent size does nothing to these bounds; of the depth, which has one value, nothing can be said.
    assert [bar.label for bar in bars][-1] == "model.latent_size"
    assert {bar.label for bar in bars[:2]} == {"model.encoder.kind", "training.learning_rate"}
    assert len(bars) == 3
    assert [bar.value for bar in bars] == sorted((bar.value for bar in bars), reverse=True)


def test_importance_says_when_trials_are_too_few(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add(count=FEWEST_TRIALS - 1).add("stopped", count=20)
    few = read_findings(read_sweep(maker.folder)).importance
    assert "9 trials completed" in few.empty
    assert not few.bars
    assert read_findings(read_sweep(maker.add().folder)).importance.bars


def variance_of(bound_of, count=60):
    draw, rows, metrics = random.Random(5), [], {}
    for number in range(1, count + 1):
        values = {
            "model.encoder.kind": draw.choice(["resnet", "gated_conv", "mlp"]),
            "model.latent_size": draw.choice([16, 32, 64]),
            "model.flow.depth": draw.randint(0, 4),
            "training.learning_rate": 10 ** draw.uniform(-4, -2),
        }
        if values["model.flow.depth"]:
            values["model.flow.made.width"] = draw.choice([64, 128])
        bound = bound_of(values, draw)
        trial, epochs = f"t{number:04d}", 4 if bound > 130 else 10
        status = "stopped" if epochs == 4 else "completed"
        rows.append(LeaderboardRow(trial=trial, status=status, parameters=values, validation_negative_elbo=bound))
        metrics[trial] = [epoch_metrics(epoch, bound + 10 - epoch) for epoch in range(1, epochs + 1)]
    return rows, metrics


def gated_is_worse(values, draw):
    return 100 + draw.uniform(0, 5) + (draw.uniform(30, 60) if values["model.encoder.kind"] == "gated_conv" else 0)


def test_what_makes_every_trial_worse_explains_the_variance_though_the_best_have_none_of_it():
    rows, metrics = variance_of(gated_is_worse)
    found = explained_variance(space(), rows, metrics)
    assert found.bars[0].label == "model.encoder.kind"
    assert found.bars[0].value > 0.7
    assert sum(bar.value for bar in found.bars[1:]) < 0.2
    assert "all 60 trials" in found.note
    assert "at epoch 4" in found.note


def test_a_broken_bound_does_not_rule_what_is_explained():
    rows, metrics = variance_of(gated_is_worse)
    calm = explained_variance(space(), rows, metrics).bars[0].value
    metrics["t0001"] = [epoch_metrics(epoch, 1e6) for epoch in range(1, 5)]
    found = explained_variance(space(), rows, metrics)
    assert found.bars[0].label == "model.encoder.kind"
    assert found.bars[0].value > calm / 2


def test_being_inactive_is_a_value_of_its_own():
    def off_is_worse(values, draw):
        return 100 + draw.uniform(0, 2) + (0 if "model.flow.made.width" in values else 20)

    rows, metrics = variance_of(off_is_worse)
    bars = {bar.label: bar.value for bar in explained_variance(space(), rows, metrics).bars}
    assert bars["model.flow.made.width"] + bars["model.flow.depth"] > 0.8
    assert bars["model.flow.made.width"] > 0.2


def test_noise_explains_nothing_and_few_trials_neither():
    rows, metrics = variance_of(lambda values, draw: 100 + draw.uniform(0, 5))
    assert sum(bar.value for bar in explained_variance(space(), rows, metrics).bars) < 0.2
    few = explained_variance(space(), rows[:9], metrics)
    assert few.empty == "Too few trials: 9 trials with a finite bound, a forest needs at least 10."
    assert not few.bars
    assert explained_variance(space(), [], {}).empty


def test_a_wild_value_among_few_does_not_rule_an_axis():
    axis, above = bounded("", [100.0, 101.0, 102.0, 111.76, 1356.57])
    assert (above, axis.high < 130) == (1, True)


def test_test_figures_say_which_to_trust(full):
    found = read_findings(read_sweep(full))
    trusted = {row.trial: {span.trusted for span in row.spans if span.series} for row in found.tested.rows}
    assert trusted == {"t0001": {True}, "t0002": {True}, "t0003": {False}}
    assert {span.trusted for row in found.tested.rows for span in row.spans if span.series == 0} == {None}
