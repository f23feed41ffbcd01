"""Several sweeps over the same images and split, combined: a leaderboard of all their trials."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from iafsweep.config.meaning import flattened
from iafsweep.config.problems import UNSET
from iafsweep.errors import SweepError
from iafsweep.leaderboard import ranked
from iafsweep.records import Evaluation, Fingerprint, LeaderboardRow, Split
from iafsweep.results.leaderboard_rows import scored_rows_of_each
from iafsweep.results.publish import missing_checkpoints
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import active_values
from iafsweep.sweep.scoring.selection import best_trials
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import StoredSweep, read_sweep
from iafsweep.texts import value_text

_TELLING = ("model.", "training.", "data.binarisation")
"""Prefixes of fields in which trials of sweeps over the same images may differ."""


@dataclass(frozen=True)
class Several:
    """Sweeps over the same images and split, and all their trials.

    A trial is named by its sweep and its own name, such as ``quick-1/t0003``; if two sweeps have the same name, parent
    folders precede it.

    Attributes:
        sweeps: the sweeps by name.
        rows: rows of all trials, ranked together by the validation bound.
        parameters: paths of the columns: fields that a sweep searches, and those whose fixed values differ.
        evaluations: the full figures of each scored trial, by its name here.
        problems: what could not be read, one sentence each.
        missing: checkpoints that rows name but that do not exist.
        notes: what else differs between the sweeps.
    """

    sweeps: Mapping[str, StoredSweep]
    rows: tuple[LeaderboardRow, ...]
    parameters: tuple[str, ...]
    evaluations: Mapping[str, Evaluation]
    problems: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def bests(self) -> dict[str, LeaderboardRow]:
        """The best ranked trial of each sweep that has one, the best of all first."""
        found: dict[str, LeaderboardRow] = {}
        for row in self.rows:
            if row.rank is not None:
                found.setdefault(row.trial.rpartition("/")[0], row)
        return found

    def place(self, trial: str) -> tuple[StoredSweep, str]:
        """Return the sweep of a trial, and the trial's name within it."""
        sweep, _, own = trial.rpartition("/")
        return self.sweeps[sweep], own


def read_several(folders: Iterable[Path], show: Sequence[str] = ()) -> Several:
    """Read sweeps that can be compared; a folder that is named twice is read once.

    Args:
        folders: the sweep folders.
        show: settings of the test figures to show, see :meth:`~iafsweep.records.Estimate.is_shown`; a sweep without
            figures of these settings shows none.

    Raises:
        SweepError: a sweep cannot be read, or the sweeps differ in images, split or binarisation.
        UserError: no figure was measured with the settings to show.
    """
    if not (folders := list(folders)):
        raise SweepError("no sweep is named; name at least one sweep folder")
    once = {os.path.realpath(path): path for path in (_place(path.expanduser()) for path in folders)}
    names = _names(list(once.values()))
    sweeps = {name: read_sweep(SweepFolder(path)) for name, path in zip(names, once.values(), strict=True)}
    _refuse_unlike(sweeps)
    scored = dict(zip(names, scored_rows_of_each(list(sweeps.values()), show), strict=True))
    values = {
        f"{name}/{trial.trial}": _values(sweep, trial.trial)
        for name, sweep in sweeps.items()
        for trial in sweep.state.trials
    }
    paths = _paths(sweeps, values)
    return Several(
        sweeps=sweeps,
        rows=ranked(_named(row, name, values, paths) for name in names for row in scored[name].rows),
        parameters=paths,
        evaluations={f"{name}/{trial}": each for name in names for trial, each in scored[name].evaluations.items()},
        problems=tuple(
            f"{name}: {problem}" for name in names for problem in (*sweeps[name].damage, *scored[name].problems)
        ),
        missing=tuple(
            f"{name}/{path}" for name in names for path in missing_checkpoints(sweeps[name].folder, scored[name].rows)
        ),
        notes=tuple(_notes(sweeps)),
    )


def _place(path: Path) -> Path:
    """Return an absolute path without ``..``, which after a link leads elsewhere than the path suggests."""
    return Path(os.path.realpath(path)) if os.pardir in path.parts else path.absolute()


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest endings, with equally many parts of each path, that distinguish the paths."""
    ends = (["/".join(path.parts[-parts:]) for path in paths] for parts in count(1))
    return next(names for names in ends if len(set(names)) == len(paths))


def _refuse_unlike(sweeps: Mapping[str, StoredSweep]) -> None:
    """Refuse sweeps whose figures are not of the same images, split and bits.

    Raises:
        SweepError: they are not; the message says what each sweep measures on.
    """
    alike = defaultdict[str, list[str]](list)
    for name, sweep in sweeps.items():
        alike[sweep.space.base.data.measured_on].append(name)
    if len(alike) > 1:
        told = "; ".join(f"{', '.join(names)}: {data}" for data, names in alike.items())
        raise SweepError(
            f"these sweeps use different images, splits or bits, so their bounds and test figures cannot be compared: "
            f"{told}; name sweeps that use the same"
        )
    (first, known), *others = ((name, _fingerprints(sweep)) for name, sweep in sweeps.items())
    for name, found in others:
        for split in known.keys() & found.keys():
            if known[split] != found[split]:
                raise SweepError(
                    f"the {split} images of {name} are not those of {first}: {found[split]} instead of {known[split]}, "
                    f"so their figures cannot be compared; name sweeps over the same images"
                )


def _fingerprints(sweep: StoredSweep) -> dict[Split, Fingerprint]:
    """Return the fingerprints of a sweep's images, from the best run folder that has them: all trials share them."""
    completed = best_trials(sweep.state, len(sweep.state.trials))
    told = (RunFolder(sweep.folder.trial(each.trial)).read_fingerprints() for each in completed)
    return next(filter(None, told), {})


def _values(sweep: StoredSweep, trial: str) -> dict[str, object]:
    """Return the active fields of a trial's configuration by path; none if it does not fit the space any more."""
    found = sweep.state.named[trial].candidate(sweep.space)
    return {} if found is None else dict(flattened(active_values(found.config)))


def _paths(sweeps: Mapping[str, StoredSweep], values: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    """Return the fields that a sweep searches, in its order, then those fixed in each at differing values."""
    searched = dict.fromkeys(path for sweep in sweeps.values() for path in sweep.parameters)
    fixed = defaultdict[str, dict[str, set[str]]](lambda: defaultdict(set))
    for trial, found in values.items():
        for path, value in found.items():
            if path not in searched and path.startswith(_TELLING):
                fixed[path][trial.rpartition("/")[0]].add(value_text(value))
    # A field that varies within a sweep without being searched follows from a searched one.
    constant = {path: set.union(*each.values()) for path, each in fixed.items() if max(map(len, each.values())) == 1}
    told = (path for path, values_of_all in constant.items() if len(values_of_all) > 1)
    return (*searched, *told)


def _named(
    row: LeaderboardRow, sweep: str, values: Mapping[str, Mapping[str, object]], paths: Sequence[str]
) -> LeaderboardRow:
    """Return a row under its name among several sweeps, with the values of fields that its sweep does not search."""
    name = f"{sweep}/{row.trial}"
    found = values[name]
    fixed = {path: _scalar(found[path]) for path in paths if path in found and path not in row.parameters}
    return row.model_copy(
        update={
            "trial": name,
            "parameters": row.parameters | fixed,
            "checkpoint": row.checkpoint and f"{sweep}/{row.checkpoint}",
        }
    )


def _scalar(value: object) -> bool | int | float | str:
    return UNSET if value is None else value if isinstance(value, bool | int | float | str) else value_text(value)


def _notes(sweeps: Mapping[str, StoredSweep]) -> Iterable[str]:
    """Yield notes on differences between sweeps that no column shows."""
    checkpoints = {name: f"{sweep.space.base.evaluation.checkpoint}.pt" for name, sweep in sweeps.items()}
    if len(set(checkpoints.values())) > 1:
        yield f"Test figures come from different checkpoints: {_told(checkpoints)}."
    devices = {
        name: " and ".join(sorted({each.finished.device for each in sweep.state.finished if each.finished} - {""}))
        for name, sweep in sweeps.items()
    }
    if len(set(devices.values()) - {""}) > 1:
        yield f"Seconds, and the * of the Pareto front, come from different machines: {_told(devices)}."


def _told(values: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value or 'unknown'}" for name, value in values.items())
