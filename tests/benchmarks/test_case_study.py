"""The analysis of the case study, on trials whose truth is known, and the words that follow from it."""

import math
from dataclasses import asdict
from itertools import product

import numpy as np
import pandas as pd
import pytest

from benchmarks.case_study import (
    BOTH,
    CHANGES,
    DOUBLING,
    SPACE,
    Effect,
    _answer,
    _difference,
    effects_of,
    least_squares,
    text_of,
)
from iafsweep.api.results import compared
from iafsweep.records import LeaderboardRow, TrainingFacts
from iafsweep.search_space.files import load_space

TRUTH = dict(zip((*CHANGES, BOTH, DOUBLING), (-3.0, -0.5, -0.8, -0.2, -0.4, 0.3, -2.0), strict=True))
COST = dict(zip(CHANGES, (1.2, 1.3, 1.6, 1.5, 1.25), strict=True))


def trials(noise=0.0, seed=0):
    """Every combination of the space, with bounds and seconds that the truth gives."""
    generator, rows = np.random.default_rng(seed), []
    sizes = ("[300, 300]", "[600, 600]")
    for values in product(("standard_normal", "autoregressive"), (0, 2, 4), sizes, sizes, (6, 12)):
        prior, depth, encoder, decoder, epochs = values
        rate = float(np.exp(generator.uniform(math.log(7e-4), math.log(5e-3))))
        parameters = {
            "model.prior.kind": prior, "model.flow.depth": depth, "model.encoder.mlp.hidden_sizes": encoder,
            "model.decoder.mlp.hidden_sizes": decoder, "training.epochs": epochs, "training.learning_rate": rate,
        }  # fmt: skip
        made = [name for name, (path, value) in CHANGES.items() if parameters[path] == value]
        bound = 100.0 + sum(TRUTH[name] for name in made) + TRUTH[DOUBLING] * math.log2(epochs)
        bound += TRUTH[BOTH] * (prior == "autoregressive" and depth > 0) + 0.7 * math.log2(rate / 2e-3) ** 2
        rows.append(
            LeaderboardRow(
                trial=f"t{len(rows) + 1:04d}",
                status="completed",
                rank=len(rows) + 1,
                parameters=parameters,
                validation_negative_elbo=bound + noise * generator.normal(),
                training=TrainingFacts(seconds=60.0),
                seconds_per_epoch=10.0 * math.prod(COST[name] for name in made),
            )  # fmt: skip
        )
    return rows


def test_what_the_trials_were_made_with_is_found_again():
    found, rest = effects_of(trials())
    assert rest < 1e-9
    for each in found:
        assert each.bound == pytest.approx(TRUTH[each.name], abs=1e-8)
        if each.name in CHANGES:
            assert each.cost == pytest.approx(COST[each.name])
            assert each.net == pytest.approx(TRUTH[each.name] - TRUTH[DOUBLING] * math.log2(COST[each.name]))
    together = next(each for each in found if each.name == BOTH)
    assert (together.cost, together.net) == (1.0, together.bound)


def test_errors_cover_the_truth_as_often_as_they_should():
    inside = []
    for seed in range(60):
        for each in effects_of(trials(noise=0.5, seed=seed))[0]:
            net = TRUTH[each.name] - TRUTH[DOUBLING] * math.log2(COST.get(each.name, 1.0))
            inside.append(abs(each.bound - TRUTH[each.name]) < 2 * each.bound_error)
            if each.name != DOUBLING:
                inside.append(abs(each.net - net) < 2 * each.net_error)
    assert 0.92 < np.mean(inside) < 0.98  # 95 % by Student's t with 37 degrees of freedom


def test_least_squares_has_the_textbook_errors():
    x = np.arange(6.0)
    found, covariance, rest = least_squares({"x": x}, np.array([1.0, 3.0, 2.0, 5.0, 4.0, 6.0]))
    slope = 15.5 / 17.5
    assert found["x"] == pytest.approx(slope)
    assert covariance["x", "x"] == pytest.approx(rest**2 / 17.5)
    assert rest**2 == pytest.approx((17.5 - slope * 15.5) / 4)


def test_the_space_holds_the_values_that_the_analysis_names():
    space = load_space(SPACE)
    options = {parameter.path: [str(each) for each in parameter.range] for parameter in space.parameters[:5]}
    assert all(str(value) in options[path] for path, value in CHANGES.values())


def scored(nll):
    """Figures of each of two images by both methods, whose mean NLL is that."""
    parts = product(("importance_sampling", "hais"), (0, 1))
    return pd.DataFrame(
        [{"method": method, "split": "test", "settings": "those", "binarisation_seed": 0, "image": image,
          "log_likelihood": -nll - image + 0.5} for method, image in parts]
    )  # fmt: skip


def test_what_is_worse_than_the_first_has_a_positive_difference():
    tables = dict(zip(("t1", "t2", "t3", "t4"), map(scored, (90.0, 90.4, 91.0, 92.4)), strict=True))

    class Again:
        def compare(self, *trials):
            found = compared({trial: tables[trial] for trial in trials}, None, (), ())
            return pd.DataFrame([each.model_dump() for each in found.differences])

    best, worse = ([LeaderboardRow(trial=trial, status="completed") for trial in pair]
                   for pair in (("t1", "t2"), ("t3", "t4")))  # fmt: skip
    for part in _difference(Again(), worse, best).values():
        assert part["difference"] == pytest.approx((1.0 + 2.0) / 2)
        assert part["error"] == pytest.approx(0.5)  # over seeds; over images it is none


def test_the_page_says_what_the_figures_carry():
    effects = [
        Effect("a", -3.0, 0.2, 1.2, 0.1, -2.5, 0.3), Effect("b", -0.1, 0.2, 1.5, 0.1, 1.5, 0.3),
        Effect("c", -0.5, 0.2, 1.1, 0.1, -0.2, 0.3), Effect(DOUBLING, -2.0, 0.1, 2.0, 0.0, 0.0, 0.0),
    ]  # fmt: skip
    said = _answer(effects).splitlines()
    assert [line.split(":**")[1].strip() for line in said] == [
        "a (-2.50 ± 0.30 nats).", "b (+1.50 ± 0.30 nats).", "c (-0.20 ± 0.30 nats)."
    ]  # fmt: skip
    for net, words in ((1.4, "less than the sum"), (-1.4, "more than the sum"), (0.4, "the sum of what each brings")):
        *_, said = _answer([*effects, Effect(BOTH, net, 0.5, 1.0, 0.0, net, 0.5)]).splitlines()
        assert f"bring {words}" in said
        assert f"{net:+.2f} ± 0.50 nats" in said
    figure = {"nll": 90.0, "spread": 0.1, "images": 500, "error": 1.0, "untrusted": 0.02}
    retrained = [
        {"values": name, "bound": 95.0, "bound_spread": 0.1, "is": figure, "hais": figure} for name in ("one", "two")
    ]
    part = {"difference": 0.5, "error": 0.1}
    page = text_of(
        {
            "machine": "a machine",
            "trials": 32,
            "bounds": [94.0, 110.0],
            "minutes": {"sweep": 100, "retraining": 50},
            "effects": [asdict(each) for each in effects],
            "rest": 0.5,
            "luck": 0.2,
            "leaders": [{"trial": "t0001", "values": "two", "bound": 94.0}],
            "retrained": retrained,
            "differences": [{"importance_sampling": part, "hais": part}],
        }  # fmt: skip
    )
    assert "The best of the sweep (two) is not the best again. By HAIS, 1 of the 1 others differ" in page
    assert "| two | 95.00 (sd 0.10) | 90.00 ± 1.00 (500), 2% untrusted | +0.50 ± 0.10 |" in page
