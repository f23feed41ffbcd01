import io

import pytest
from rich.console import Console

from iafsweep.api.shown import progress
from iafsweep.api.shown.progress import Rate, ScoringProgress, TrainingProgress, UnitsProgress
from iafsweep.cli.single import RunOutput
from iafsweep.cli.tables import sandwich_lines, search_lines
from iafsweep.records import EpochMetrics, Estimate, Round, SandwichEstimate, UntilErrorReport
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
    assert (rate.speed, rate.left) == ("", "time left unknown")
    clock[0] = 2.0
    rate.update(1_500, 10_000)
    assert (rate.speed, rate.left) == ("500 evaluations/s", "about 17 s left")
    assert str(rate) == "15%, 500 evaluations/s, about 17 s left"
    clock[0] = 4000.0
    rate.update(2_500, 10_000_000)
    assert rate.left == "about 231.4 days left"
    rate.update(10, 10)
    assert rate.left == ""


def test_a_tiny_beginning_says_little_of_the_time_left(clock):
    rate = Rate()
    rate.update(0, 10_000)
    clock[0] = 3.0
    rate.update(99, 10_000)
    assert str(rate) == "1%, time left unknown"
    rate.update(200, 10_000)
    assert rate.left == "74 s to 5 min left"
    rate = Rate()
    rate.update(0, 10_000)
    clock[0] += 20.0
    rate.update(50, 10_000)  # slow, and by now known to be
    assert rate.left == "33 min to 2.2 h left"
    clock[0] += 50.0
    rate.update(175, 10_000)
    assert rate.left == "about 66 min left"
    clock[0] += 3000.0
    assert rate.left == "about 16 min left"  # time goes on while nothing is heard
    clock[0] += 1000.0
    assert rate.left == "time left unknown"  # it was wrong


def plain():
    return Console(force_terminal=False, record=True, width=200, file=io.StringIO())


def test_scoring_prints_a_line_now_and_then(clock):
    console = plain()
    shown = ScoringProgress(console)
    shown("hais test", 0, 1000)
    clock[0] = 20.0
    shown("hais test", 400, 1000)
    assert console.export_text() == "scoring HAIS test: 40%, 20 evaluations/s, about 30 s left\n"


def test_a_bar_goes_on_while_a_piece_of_work_takes_long(clock):
    console = Console(force_terminal=True, width=80, file=io.StringIO(), color_system=None, _environ={})
    shown = scoring(console)
    shown("importance_sampling validation", 1200, 2000)
    clock[0] = 100.0
    shown("importance_sampling validation", 1600, 2000)
    clock[0] = 140.0
    with console.capture() as captured:
        console.print(shown._bar.get_renderable())
    bar, below = captured.get().splitlines()
    assert bar.endswith("80% about 27 s left")
    assert below.endswith("2 min so far")


def test_a_rerun_prints_its_share_speed_and_time_left(clock):
    console = plain()
    shown = UnitsProgress(console, "Scoring")
    shown(UnitsDone(2, 4, 200, 1000, ""))
    clock[0] = 20.0
    shown(UnitsDone(3, 4, 600, 1000, "a"))
    shown(UnitsDone(3, 5, 600, 2000, ""))  # a search goes on: nothing was found done, so the speed stays known
    clock[0] = 40.0
    shown(UnitsDone(4, 5, 1000, 2000, "b"))
    assert console.export_text().splitlines() == [
        "  60%, 20 evaluations/s, about 20 s left",
        "  50%, 20 evaluations/s, about 50 s left",
    ]


def test_who_stops_scoring_hears_what_is_kept():
    console = plain()
    output = RunOutput(console, lambda: None)
    with output.scoring():
        output.stopping()
    assert console.export_text() == "\nStopping: the trained model is kept\n"


def test_the_start_of_a_process_is_no_speed_of_a_rerun(clock):
    console = plain()
    shown = UnitsProgress(console, "Scoring")
    shown(UnitsDone(0, 100, 0, 1000, ""))
    clock[0] = 60.0  # until Ray has started a process
    shown(UnitsDone(1, 100, 10, 1000, "a"))
    clock[0] = 71.0
    shown(UnitsDone(12, 100, 120, 1000, "b"))
    assert console.export_text().splitlines() == [
        "  1%, time left unknown",
        "  12%, 10 evaluations/s, about 88 s left",
    ]


def training(console):
    shown = TrainingProgress(console, epochs=200, done=80, batches=100)
    for _ in range(100):
        shown.batch_done(100)
    shown.epoch_done(EpochMetrics(
        epoch=81, kl_weight=1.0, learning_rate=0.1, train_loss=1.0, train_negative_elbo=1234.56, train_reconstruction=1,
        train_kl=1, validation_negative_elbo=1234.56, images_per_second=123_456.0, seconds=1.0,
    ))  # fmt: skip
    return shown


def scoring(console):
    shown = ScoringProgress(console)
    shown("importance_sampling validation", 1000, 2000)
    return shown


def units(console):
    shown = UnitsProgress(console, "Scoring t0001")
    shown(UnitsDone(2, 4, 0, 100_000, ""))
    shown(UnitsDone(3, 4, 60_000, 100_000, "a"))
    return shown


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (training, ["epoch 82/200", "%", "left", "train 1234.56", "validation 1234.56 nats", "so far"]),
        (scoring, ["scoring", "IS validation", "50%", "left", "so far"]),
        (units, ["scoring", "60%", "left", "so far"]),
    ],
)
def test_bars_fit_a_narrow_terminal(make, told, width):
    console = Console(force_terminal=True, width=width, file=io.StringIO(), color_system=None, _environ={})
    shown = make(console)
    with console.capture() as captured:
        console.print(shown._bar.get_renderable())
    lines = captured.get().splitlines()
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    assert "…" not in captured.get()
    for text in told:
        assert text in captured.get()
    assert "━━━━" in lines[0]


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
    ("stopped_by", "text"), [("target", "reached"), ("budget", "NOT reached before the budget ran out,")]
)
def test_searches_say_how_they_ended(stopped_by, text):
    assert search_lines([estimate(stopped_by), estimate(stopped_by).model_copy(update={"until_error": None})]) == [
        f"IS, 200 samples: target of 0.02 nats {text} after 2 rounds with 200 samples: estimator's standard error "
        f"0.015, difference from half the samples 0.010, 12,300 network evaluations per image in all"
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
    assert "use at least 8 chains and a smaller target" in search_lines([few])[0]
    assert "chains and" not in search_lines([enough])[0]
    assert "vary too much (chains: 4; fewer than 8 hardly show the variance). Such" in verdict_of(few).text
    assert "vary too much. Such" in verdict_of(enough).text


def test_who_asked_for_hais_is_sent_to_it_and_samples_are_written_one_way():
    untrusted = estimate("target").model_copy(
        update={"untrusted_share": 1.0, "settings": "16000 samples", "samples": 16_000}
    )
    hais = untrusted.model_copy(update={"method": "hais", "settings": "prior 9x1x2", "until_error": None})
    (alone,) = search_lines([untrusted])
    assert alone.startswith("IS, 16,000 samples: ")
    assert alone.endswith("score with HAIS too, which reveals it")
    (beside,) = search_lines([untrusted, hais])
    assert beside.endswith("the bias may be far larger: see the HAIS figure")


def test_a_search_of_one_round_has_nothing_to_compare_with():
    found = estimate("budget").until_error
    first = found.model_copy(update={"rounds": (found.rounds[0].model_copy(update={"half_nll": None}),)})
    (line,) = search_lines([estimate("budget").model_copy(update={"until_error": first})])
    assert (
        "after 1 round with 100 samples: estimator's standard error 0.200, difference from half the samples not known"
        in line
    )


def test_sandwiches_in_a_line():
    sandwich = SandwichEstimate(
        start="posterior", images=100, lower=-104.4, lower_error=1.1, upper=-104.2, upper_error=0.9, gap=0.2,
        gap_error=0.05, untrusted_share=0.03, settings="20x4x16", seed=0, acceptance_rate=0.9, step_size=0.3,
        gradient_evaluations=1232, seconds=3.0,
    )  # fmt: skip
    assert sandwich_lines([sandwich]) == [
        "Sandwich from the posterior (20x4x16) on 100 simulated images: in expectation, mean log p(x) lies between "
        "-104.400 ± 1.100 and -104.200 ± 0.900; gap 0.200 ± 0.050 nats, 3% of the images untrusted"
    ]
