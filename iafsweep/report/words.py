"""The sentences of the page: the state of the sweep, the basis of the best trial's figures, what the sweep ran on."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from iafsweep.records import Estimate, Evaluation, Figure, LeaderboardRow, details_of
from iafsweep.records.trust import DOUBTFUL_SHARE, TRUSTED_SHARE, UNEVEN
from iafsweep.report.contents import Judged, Tile
from iafsweep.report.scored import METHODS, MOST_TRIALS, nats_note, number, test_estimates
from iafsweep.results.publish import what_to_retrain
from iafsweep.results.status import Status
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import why_exhausted
from iafsweep.sweep.storage.environment import Environment
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.stored_sweep import StoredSweep, resume_options
from iafsweep.texts import counted, duration, readable_settings

_MOST_NAMED = 8
_MOST_ERRORS = 12
_ENDED = ("completed", "stopped", "diverged", "failed", "oom")


def how_it_stands(stands: Status, space: SearchSpace, began: bool) -> Judged:
    """Return the state of the sweep: a level, a word and a sentence.

    Args:
        stands: the status read from its folder.
        space: its search space.
        began: whether any trial was proposed.
    """
    left = stands.trials - stands.ended
    if stands.driver is not None:
        scoring = "" if left else " All trials have ended; the best are being scored."
        text = f"A driver is running the sweep; the report shows its state when it was made.{scoring}"
        return Judged(level="unknown", word="running", text=text)
    unscored = _unscored(stands)
    if stands.was_killed:
        how = f"; {_left(left)}. Use resume to continue." if left else ", after the last trial."
        text = f"The driver disappeared without recording why{how}{unscored}"
        return Judged(level="doubtful", word="killed", text=text)
    if stands.ended_as is None:
        word = "not begun" if not began else "unfinished"
        return Judged(level="doubtful", word=word, text="No driver has recorded how it ended.")
    outcome, reason = stands.ended_as.outcome, stands.ended_as.reason
    because = f": {reason}" if reason else ""
    if outcome in ("completed", "exhausted"):
        text = "All trials have ended." if outcome == "completed" else why_exhausted(space)
        return Judged(level="doubtful" if unscored else "good", word=outcome, text=f"{text}{unscored}")
    if outcome == "aborted":
        return Judged(level="bad", word=outcome, text=f"It was aborted{because}. {_left(left)}.{unscored}")
    if not left:
        return Judged(level="doubtful", word=outcome, text=f"It ended after its last trial{because}.{unscored}")
    how = f"{_left(left)}; use resume to continue."
    return Judged(level="doubtful", word=outcome, text=f"It ended before its last trial{because}. {how}{unscored}")


def _left(count: int) -> str:
    return f"{counted(count, 'trial')} {'is' if count == 1 else 'are'} left"


def _unscored(stands: Status) -> str:
    """Return a sentence on the finalists without figures; empty if there are none."""
    if not stands.unscored:
        return ""
    some = ", ".join(stands.unscored) if len(stands.unscored) <= _MOST_NAMED else f"{len(stands.unscored):,}"
    return f" Best trials not scored yet: {some}; rerun scores them."


def why_no_best(rows: Sequence[LeaderboardRow]) -> Judged:
    """Return why there is no best trial."""
    statuses = Counter(row.status for row in rows)
    if not rows:
        why = "No trial has been proposed: the ledger contains only its header."
    elif statuses["running"] or statuses["pending"] or statuses["interrupted"]:
        why = "No trial has completed yet."
    elif statuses["completed"]:
        why = "No completed trial has a finite validation bound."
    else:
        why = "No trial completed. The leaderboard shows how each one ended, and its error."
    return Judged(level="unknown", word="There is no best trial", text=why)


def tiles(best: LeaderboardRow, evaluation: Evaluation | None, show: Sequence[str]) -> list[Tile]:
    """Return the figures of the best trial with what each is based on."""
    expected = best.expected_negative_elbo
    bound = (
        *details_of(best.validation_bits_per_dim, autoregressive=best.autoregressive),
        f"{best.validation_images or 0:,} images",
        f"epoch {best.best_epoch} of {best.epochs}",
        *([] if expected is None else [f"expected with another seed: {number(expected)}"]),
    )
    found = [Tile(label="validation −ELBO", value=number(best.validation_negative_elbo), foot=bound)]
    if best.autoregressive and best.latents is not None:
        active = best.latents.active_units
        known = () if active is None else (f"{active:,} active units",)
        foot = (f"{best.latents.share:.0%} of the bound", *known)
        found.append(Tile(label="KL of the latent variables", value=number(best.latents.kl), foot=foot))
    estimates = {} if evaluation is None else test_estimates(evaluation, show)
    beside = best.nll_importance_sampling_on_hais_images
    found += [
        _estimate_tile(name, estimates[method], beside if method == "hais" else None)
        for method, name in METHODS.items()
        if method in estimates
    ]
    if not estimates:
        found.append(Tile(label="test NLL", value="–", foot=("not scored on test images",)))
    sampled = None if best.retrained is None else best.retrained.nll_importance_sampling
    if sampled is not None:
        foot = (
            *sampled.details,
            f"mean over {sampled.seeds} seeds, ± standard deviation across seeds",
            f"{sampled.images or 0:,} images",
            f"{sampled.samples or 0:,} samples",
        )
        error = None if sampled.error is None else number(sampled.error)
        found.append(Tile(label="retrained test NLL, IS", value=number(sampled.value), error=error, foot=foot))
    return found


def _estimate_tile(name: str, estimate: Estimate, sampled: Figure | None) -> Tile:
    """Return a figure as a tile, with ``sampled``, that of importance sampling on the same images, if there is one."""
    foot = [*estimate.details, f"{estimate.images:,} images", readable_settings(estimate.settings)]
    if sampled is not None:
        foot.append(f"IS on the same images: {number(sampled.value)}")
    return Tile(
        label=name,
        value=number(estimate.nll),
        error=number(estimate.standard_error),
        foot=tuple(foot),
        untrusted=estimate.untrusted_share,
    )


def facts(rows: Sequence[LeaderboardRow], asked: int, gpu_seconds: float, scored: int) -> list[str]:
    """Return the progress of the sweep, in short pieces."""
    ended = sum(row.status in _ENDED for row in rows)
    seconds = sum(row.training.seconds for row in rows if row.training is not None)
    found = [f"{ended:,} of {asked:,} trials have ended", f"{duration(seconds)} of training"]
    if gpu_seconds:
        found.append(f"{gpu_seconds / 3600:.2f} GPU-hours")
    return [*found, f"{scored:,} scored on test images"]


def failures(rows: Sequence[LeaderboardRow]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the last line of each error, once, with the trials that it ended."""
    by_error: dict[str, list[str]] = {}
    for row in rows:
        if row.error and row.status in ("failed", "oom", "diverged"):
            by_error.setdefault(row.error, []).append(row.trial)
    shown = [(error, tuple(trials)) for error, trials in list(by_error.items())[:_MOST_ERRORS]]
    if len(by_error) > _MOST_ERRORS:
        shown.append((f"{len(by_error) - _MOST_ERRORS:,} other errors", ()))
    return shown


def population(state: LedgerState) -> str:
    """Return how to read trials that continued from copies of others; empty if there are none."""
    copies = sum(len(trial.donors) for trial in state.trials)
    if not copies:
        return ""
    return (
        f"A population: trials continued from copies of others, with new settings, {counted(copies, 'time')} in all. "
        "A trial's values are those it ended with, and its curve is the history of its final weights, so single values "
        "say less about the bound than in other sweeps."
    )


def estimators_note(evaluations: Mapping[str, Evaluation]) -> str:
    """Return how to read test figures and diagnostics."""
    if not evaluations:
        return "No trial has been scored on test images yet."
    said = [
        f"A figure is trusted if at most {TRUSTED_SHARE:.0%} of its images are untrusted (their {UNEVEN}), and not to "
        f"be trusted above {DOUBTFUL_SHARE:.0%}. “Half the effort” is the figure from half of the samples or chains, "
        "minus the figure itself: a value far from 0 means bias; a value near 0 does not rule it out.",
        "Error bars show one standard error over images; hollow marks are figures that are not trusted. Methods may "
        "use different numbers of images, so compare only figures of the same method.",
    ]
    if not any(evaluation.sandwiches for evaluation in evaluations.values()):
        said.append("hais_gap has not been measured; the command is under Environment.")
    if len(evaluations) > MOST_TRIALS:
        said.append(f"The best {MOST_TRIALS} of {len(evaluations):,} scored trials are shown.")
    dimensions = next((each.dimensions for found in evaluations.values() for each in found.estimates), None)
    return " ".join(said) + nats_note(dimensions)


def what_is_left(
    stands: Status, sweep: StoredSweep, evaluations: Mapping[str, Evaluation], rows: Sequence[LeaderboardRow]
) -> Iterator[tuple[str, list[str]]]:
    """Yield what is left to do for a sweep without a driver: purposes, and the words of the commands."""
    if stands.driver is not None:
        return
    is_exhausted = stands.ended_as is not None and stands.ended_as.outcome == "exhausted"
    if stands.ended < stands.trials and not is_exhausted:
        yield "Continue the sweep", ["resume", *resume_options(sweep.space, sweep.state)]
    if stands.unscored:
        yield "Score the best trials that are not scored yet", ["rerun"]
    if evaluations and not any(evaluation.sandwiches for evaluation in evaluations.values()):
        yield "Measure hais_gap", ["rerun", "--sandwich", "100"]
    if again := what_to_retrain(sweep, rows):
        yield "Find out which trial is truly the best: train the top trials again with other seeds", ["retrain", *again]


def environment(
    name: str, space: SearchSpace, state: LedgerState, environments: Sequence[Environment]
) -> dict[str, str]:
    """Return what the sweep searched and ran on: names and texts."""
    header, data = state.header, space.base.data
    return {
        "sweep": f"{name}, started {header.created}",
        "search": f"sampler {space.sweep.sampler}, scheduler {space.sweep.scheduler}, {space.sweep.trials:,} trials",
        "data": f"{data.told}; {data.held_out:,} held out for validation",
        "seeds": f"sweep {header.seed}, split {data.split_seed}, binarisation {data.binarisation_seed}, evaluation "
        f"{space.base.evaluation.seed}; the seed of each trial is in its view and in leaderboard.csv",
        "devices": _devices(state),
        **_recorded(environments),
    }


def _devices(state: LedgerState) -> str:
    devices = Counter(trial.finished.device for trial in state.finished if trial.finished and trial.finished.device)
    if not devices:
        return "not recorded: no trial has ended"
    return ", ".join(f"{device} ({count:,} trials)" for device, count in devices.most_common())


def _recorded(environments: Sequence[Environment]) -> dict[str, str]:
    if not environments:
        why = "not recorded: an earlier version of the program started the sweep, or it never reached training"
        return {"versions": why}
    last = environments[-1]
    versions = ", ".join(f"{name} {version}" for name, version in last.packages.items())
    commit = "not in a git repository" if last.commit is None else last.commit[:12]
    if last.changed:
        commit += ", with uncommitted changes"
    found = {
        "versions": f"Python {last.python}, {versions}" + (f", CUDA {last.cuda}" if last.cuda else ""),
        "machine": f"{last.system}, {last.cpus} CPU cores",
        "git commit": commit,
    }
    kinds = {each.model_copy(update={"time": ""}).model_dump_json() for each in environments}
    if len(environments) > 1:
        same = "all in this environment" if len(kinds) == 1 else "in different environments; this is the last"
        found["drivers"] = f"{len(environments)}, {same}"
    return found
