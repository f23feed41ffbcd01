import io

import pytest
from rich.console import Console

from iafsweep.cli import progress
from iafsweep.cli.progress import Rate, ScoringProgress, UnitsProgress
from iafsweep.cli.tables import sandwich_lines, search_lines
from iafsweep.records import Estimate, Round, SandwichEstimate, UntilErrorReport
from iafsweep.report.verdict import verdict_of
from iafsweep.sweep.cluster.actor_pool import UnitsDone


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_rate_counts_from_the_first_update(clock):
    rate = Rate()
    rate.update(500, 10_000)  # done by an earlier call
    assert (rate.speed, rate.left) == ("", "?")
    clock[0] = 2.0
    rate.update(1_500, 10_000)
    assert (rate.speed, rate.left) == ("500 evaluations/s", "0:00:17")
    assert str(rate) == "15%, 500 evaluations/s, 0:00:17 left"
    clock[0] = 4000.0
    rate.update(2_500, 10_000_000)
    assert rate.left == "5554:10:00"
    rate.update(10, 10)
    assert rate.left == "0:00:00"


def test_a_tiny_beginning_says_nothing_of_the_time_left(clock):
    rate = Rate()
    rate.update(0, 10_000)
    clock[0] = 3.0
    rate.update(99, 10_000)
    assert str(rate) == "1%, ? left"
    rate.update(100, 10_000)
    assert rate.left == "0:04:57"
    rate = Rate()
    rate.update(0, 10_000)
    clock[0] += 20.0
    rate.update(50, 10_000)  # slow, and by now known to be
    assert rate.left == "1:06:20"


def plain():
    return Console(force_terminal=False, record=True, width=200, file=io.StringIO())


def test_scoring_prints_a_line_now_and_then(clock):
    console = plain()
    shown = ScoringProgress(console)
    shown("hais test", 0, 1000)
    clock[0] = 20.0
    shown("hais test", 400, 1000)
    assert console.export_text() == "scoring hais test: 40%, 20 evaluations/s, 0:00:30 left\n"


def test_a_rerun_prints_shards_speed_and_time_left(clock):
    console = plain()
    shown = UnitsProgress(console, "Scoring")
    shown(UnitsDone(2, 4, 200, 1000, ""))
    clock[0] = 20.0
    shown(UnitsDone(3, 4, 600, 1000, "a"))
    shown(UnitsDone(3, 5, 600, 2000, ""))  # a search goes on: nothing was found done, so the speed stays known
    clock[0] = 40.0
    shown(UnitsDone(4, 5, 1000, 2000, "b"))
    assert console.export_text().splitlines() == [
        "  3/4 shards, 60%, 20 evaluations/s, 0:00:20 left",
        "  4/5 shards, 50%, 20 evaluations/s, 0:00:50 left",
    ]


def estimate(stopped_by):
    rounds = (
        Round(effort=100, nll=90.0, half_nll=90.5, estimator_error=0.2),
        Round(effort=200, nll=89.5, half_nll=89.51, estimator_error=0.015),
    )
    found = UntilErrorReport(target=0.02, stopped_by=stopped_by, rounds=rounds, network_evaluations=12_300)
    return Estimate(
        method="importance_sampling", split="test", images=10, nll=89.5, standard_error=1.0, settings="200 samples",
        samples=200, seed=0, binarisation_seeds=(0,), network_evaluations=200, gradient_evaluations=0, seconds=1.0,
        until_error=found,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stopped_by", "text"), [("target", "reached"), ("budget", "NOT reached, the budget has ended")]
)
def test_searches_say_how_they_ended(stopped_by, text):
    assert search_lines([estimate(stopped_by), estimate(stopped_by).model_copy(update={"until_error": None})]) == [
        f"IS, 200 samples: 0.02 nats {text} with 200 samples after 2 round(s): estimator 0.015, all against half "
        f"0.010, 12,300 evaluations an image in all"
    ]


@pytest.mark.parametrize(("share", "text"), [(0.05, ""), (0.051, ", but not to be trusted,"), (1.0, ", but not to be")])
@pytest.mark.parametrize(("method", "remedy"), [("importance_sampling", "HAIS"), ("hais", "a smaller target")])
def test_a_target_reached_with_uneven_weights_is_not_just_reached(share, text, method, remedy):
    (line,) = search_lines([estimate("target").model_copy(update={"untrusted_share": share, "method": method})])
    assert f"0.02 nats reached{text}" in line
    assert (f"{share:.0%} of the images are untrusted" in line) == (remedy in line) == bool(text)


def test_few_chains_are_named_as_what_may_be_the_matter():
    few = estimate("target").model_copy(update={"untrusted_share": 0.5, "method": "hais", "samples": 4})
    enough = few.model_copy(update={"samples": 8})
    assert "ask for at least 8 chains, and a smaller target" in search_lines([few])[0]
    assert "chains, and" not in search_lines([enough])[0]
    assert "vary too much (chains: 4; fewer than 8 hardly show it). In" in verdict_of(few).text
    assert "vary too much. In" in verdict_of(enough).text


def test_who_asked_for_hais_is_sent_to_it_and_samples_are_written_one_way():
    untrusted = estimate("target").model_copy(
        update={"untrusted_share": 1.0, "settings": "16000 samples", "samples": 16_000}
    )
    hais = untrusted.model_copy(update={"method": "hais", "settings": "prior 9x1x2", "until_error": None})
    (alone,) = search_lines([untrusted])
    assert alone.startswith("IS, 16,000 samples: ")
    assert alone.endswith("ask for HAIS, which shows it")
    (beside,) = search_lines([untrusted, hais])
    assert beside.endswith("the bias may be far larger: see HAIS beside it")


def test_a_search_of_one_round_has_nothing_to_compare_with():
    found = estimate("budget").until_error
    first = found.model_copy(update={"rounds": (found.rounds[0].model_copy(update={"half_nll": None}),)})
    (line,) = search_lines([estimate("budget").model_copy(update={"until_error": first})])
    assert "after 1 round(s): estimator 0.200, all against half nothing yet, " in line


def test_sandwiches_in_a_line():
    sandwich = SandwichEstimate(
        start="posterior", images=100, lower=-104.4, lower_error=1.1, upper=-104.2, upper_error=0.9, gap=0.2,
        gap_error=0.05, untrusted_share=0.03, settings="20x4x16", seed=0, acceptance_rate=0.9, step_size=0.3,
        gradient_evaluations=1232, seconds=3.0,
    )  # fmt: skip
    assert sandwich_lines([sandwich]) == [
        "Sandwich from the posterior (20x4x16) on 100 simulated images: mean log p(x) bounded, in expectation, by "
        "-104.400 ± 1.100 and -104.200 ± 0.900, gap 0.200 ± 0.050 nats, 3% untrusted"
    ]
