"""Figures as data: what they show, what they leave out, and whether they say so."""

import math
import random

import pandas as pd
import pytest

from iafsweep import load_sweep
from iafsweep.records import EpochMetrics, LeaderboardRow
from iafsweep.report.curves import best_epochs, learning_curves, thinned
from iafsweep.report.importance import FEWEST_TRIALS
from iafsweep.report.variance import explained_variance
from iafsweep.report.words import tiles
from iafsweep.training import RunFolder
from tests.report.sweeps import SweepMaker, contents_of, epoch_metrics, space


def test_thinning_keeps_the_ends_and_the_best():
    bounds = [abs(epoch - 777) + 80.0 for epoch in range(1, 2001)]
    kept = thinned(bounds, 20)
    assert len(kept) <= 21
    assert (kept[0], kept[-1]) == (0, 1999)
    assert 776 in kept
    assert kept == sorted(kept)
    assert thinned(bounds[:5], 20) == [0, 1, 2, 3, 4]
    assert len(thinned([None] * 100, 20)) == 20


def test_a_curve_leaves_out_what_is_not_finite():
    rows = [LeaderboardRow(trial=trial, status="diverged") for trial in ("t1", "t2", "t3")]
    metrics = {"t1": [epoch_metrics(1, 120.0), epoch_metrics(2, math.nan)], "t2": [epoch_metrics(1, math.inf)]}
    series, curves, note = learning_curves(rows, metrics)
    assert curves["t1"]["validation_negative_elbo"] == (120.0, None)
    assert curves["t1"]["elapsed"] == (1.0, 2.0)
    assert "validation_negative_elbo" not in curves["t2"]
    assert curves["t2"]["train_kl"] == (1.0,)
    assert next(iter(series)) == "validation_negative_elbo"
    assert series["train_kl"] == "training KL (nats per image)"
    assert "1 of 3 trials have no curve" in note
    assert "No trial has finished an epoch" in learning_curves(rows[2:], {})[2]


def test_metrics_that_are_new_become_curves_of_their_own():
    class Later(EpochMetrics):
        effective_rank: float

    known = epoch_metrics(1, 100.0).model_dump() | {"active_units": 12, "gradient_norm": 0.25, "validation_kl": 5.0}
    rows = [LeaderboardRow(trial="t1", status="completed", best_epoch=1)]
    metrics = {"t1": [Later(**known, effective_rank=3.5)]}
    series, curves, _ = learning_curves(rows, metrics)
    assert (series["active_units"], curves["t1"]["active_units"]) == ("active units", (12.0,))
    assert curves["t1"]["gradient_norm"] == (0.25,)
    assert (series["effective_rank"], curves["t1"]["effective_rank"]) == ("effective rank", (3.5,))
    assert best_epochs(rows, metrics).rows == (("t1", "1", "–", "5.00", "5%", "12", "0.25", "–", "0.001"),)


def test_images_of_levels_have_bits_per_dimension_too():
    best = LeaderboardRow(trial="t1", status="completed", validation_negative_elbo=6000.0, dimensions=3072)
    (bound, _) = tiles(best, None, ())
    assert f"{6000 / 3072 / math.log(2):.3f} bits/dim" in bound.foot
    assert (
        "2,129.35 nats per image are 1 bit per dimension" in learning_curves([best], {"t1": [epoch_metrics(1, 1.0)]})[2]
    )


def test_many_trials_have_the_curves_of_the_best():
    rows = [LeaderboardRow(trial=f"t{number}", status="completed") for number in range(700)]
    _, curves, note = learning_curves(rows, {row.trial: [epoch_metrics(1, 90.0)] for row in rows})
    assert list(curves) == [row.trial for row in rows[:500]]
    assert "the best 500 of 700 trials" in note


def test_trials_keep_values_off_where_they_were(full):
    found = contents_of(full)
    place = [parameter.name for parameter in found.parameters].index("width")
    depth = [parameter.name for parameter in found.parameters].index("depth")
    assert {(trial.values[depth] == 0) == (trial.values[place] is None) for trial in found.trials} == {True}
    assert found.parameters[place].options == ("64", "128")
    assert (found.parameters[depth].low, found.parameters[depth].high, found.parameters[depth].whole) == (0, 4, True)
    assert found.parameters[-1].log


def test_the_front_is_the_leaderboards(full):
    found = contents_of(full)
    rows = {row.trial for row in load_sweep(full.path).rows if row.pareto}
    assert {trial.trial for trial in found.trials if trial.pareto} == rows
    assert len(rows) > 1


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
    bars = contents_of(maker.ended().folder).importance.bars
    assert sum(value for _, value in bars) == pytest.approx(1, abs=1e-3)
    # The latent size does nothing to these bounds; of the depth, which has one value, nothing can be said.
    assert bars[-1][0] == "model.latent_size"
    assert {path for path, _ in bars[:2]} == {"model.encoder.kind", "training.learning_rate"}
    assert len(bars) == 3
    assert [value for _, value in bars] == sorted((value for _, value in bars), reverse=True)


def test_importance_says_when_trials_are_too_few(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add(count=FEWEST_TRIALS - 1).add("stopped", count=20)
    few = contents_of(maker.folder).importance
    assert "9 trials completed" in few.empty
    assert not few.bars
    assert contents_of(maker.add().folder).importance.bars


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
    assert found.bars[0][0] == "model.encoder.kind"
    assert found.bars[0][1] > 0.7
    assert sum(value for _, value in found.bars[1:]) < 0.2
    assert "all 60 trials" in found.note
    assert "at epoch 4" in found.note


def test_a_broken_bound_does_not_rule_what_is_explained():
    rows, metrics = variance_of(gated_is_worse)
    calm = explained_variance(space(), rows, metrics).bars[0][1]
    metrics["t0001"] = [epoch_metrics(epoch, 1e6) for epoch in range(1, 5)]
    found = explained_variance(space(), rows, metrics)
    assert found.bars[0][0] == "model.encoder.kind"
    assert found.bars[0][1] > calm / 2


def test_being_inactive_is_a_value_of_its_own():
    def off_is_worse(values, draw):
        return 100 + draw.uniform(0, 2) + (0 if "model.flow.made.width" in values else 20)

    rows, metrics = variance_of(off_is_worse)
    bars = dict(explained_variance(space(), rows, metrics).bars)
    assert bars["model.flow.made.width"] + bars["model.flow.depth"] > 0.8
    assert bars["model.flow.made.width"] > 0.2


def test_noise_explains_nothing_and_few_trials_neither():
    rows, metrics = variance_of(lambda values, draw: 100 + draw.uniform(0, 5))
    assert sum(value for _, value in explained_variance(space(), rows, metrics).bars) < 0.2
    few = explained_variance(space(), rows[:9], metrics)
    assert few.empty == "Too few trials: 9 trials with a finite bound; a random forest needs at least 10."
    assert not few.bars
    assert explained_variance(space(), [], {}).empty


def test_scored_trials_are_compared_image_by_image(tmp_path):
    maker = SweepMaker(tmp_path / "s", trials=3).began().add(count=3).ended().score("t0001", "t0002", "t0003")
    for trial, nats in (("t0001", -90.0), ("t0002", -91.0)):
        table = pd.DataFrame({"image": range(4), "log_likelihood": [nats, nats - 1, nats - 2, nats - 3.5]})
        common = {"method": "importance_sampling", "split": "test", "settings": "5 samples", "binarisation_seed": 0}
        table.assign(**common).to_parquet(RunFolder(maker.folder.trial(trial)).per_image)
    found = contents_of(maker.folder)
    (pair,) = found.pairs
    expected = {"t0001": -1.0, "t0002": 1.0}[pair.first]
    assert (pair.difference, pair.standard_error, pair.images) == (expected, 0.0, 4)
    assert "`compare` compares any scored trials" in found.pairs_note
    RunFolder(maker.folder.trial("t0001")).per_image.write_bytes(b"cut off")
    assert contents_of(maker.folder).pairs == ()
