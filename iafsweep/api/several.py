"""Several sweeps: load all in a folder, put them on one leaderboard, compare their trials image by image."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from iafsweep.api.results import (
    ComparedTrials,
    chosen_trials,
    compared,
    images_of,
    more_to_compare,
    not_written,
    refuse_ours,
    too_few,
)
from iafsweep.atomic import writing
from iafsweep.errors import UserError
from iafsweep.leaderboard import leaderboard_frame, write_csv
from iafsweep.results.listing import sweeps_in
from iafsweep.results.several import Several, read_several

if TYPE_CHECKING:  # it imports PyTorch, which is slow and not needed to compare figures
    from iafsweep.api.sweep import LoadedSweep

AnySweep: TypeAlias = "LoadedSweep | str | Path"
"""A loaded sweep, or its folder."""


def load_sweeps(folder: str | Path = "runs") -> list[LoadedSweep]:
    """Load the sweeps directly in a folder, in the order in which they began; other folders are ignored.

    A sweep that cannot be read is left out, and a warning says why. Nothing is written, and Ray is not needed.

    Args:
        folder: the folder that holds sweeps; if it is itself a sweep folder, that sweep is loaded. ``~`` is the home
            folder.

    Raises:
        SweepError: the folder does not exist, or cannot be read.

    Example:
        >>> import iafsweep
        >>> [(sweep.path.name, sweep.title) for sweep in iafsweep.load_sweeps("runs")]
        [('quick-1', 'Which depth?')]
    """
    from iafsweep.api.sweep import load_sweep

    found = sweeps_in(Path(folder).expanduser())
    for problem in found.problems:
        warnings.warn(problem, stacklevel=2)
    return [load_sweep(sweep.folder.path) for sweep in found.sweeps]


def combined_leaderboard(sweeps: Iterable[AnySweep], show: str | Sequence[str] = ()) -> pd.DataFrame:
    """Return one leaderboard of the trials of several sweeps in their current state, ranked by the validation bound.

    The columns are those of :attr:`LoadedSweep.leaderboard`, with ``sweep`` before ``trial``. Fields that no sweep
    searches, but whose values differ between sweeps, follow the searched ones. For a field that its sweep does not
    search, a trial shows the fixed value if the field has an effect on it.

    Args:
        sweeps: sweeps over the same images, split and binarisation.
        show: settings of the test figures to show, as in :func:`load_sweep`.

    Raises:
        SweepError: the sweeps differ in images, split or binarisation, or one cannot be read.
        UserError: no trial has a test figure with these settings.

    Example:
        >>> import iafsweep
        >>> board = iafsweep.combined_leaderboard(iafsweep.load_sweeps("runs"))
        >>> board[["rank", "sweep", "trial"]].head(1).to_dict("records")
        [{'rank': 1, 'sweep': 'quick-1', 'trial': 't0001'}]
    """
    found = _read(sweeps, show)
    frame = leaderboard_frame(found.rows, found.parameters)
    frame.insert(frame.columns.get_loc("trial"), "sweep", frame["trial"].str.replace("/[^/]*$", "", regex=True))
    frame["trial"] = frame["trial"].str.replace("^.*/", "", regex=True)
    return frame


def compare_sweeps(sweeps: Iterable[AnySweep], show: str | Sequence[str] = ()) -> ComparedTrials:
    """Compare all trials of several sweeps that have per-image figures with the best of them by validation bound.

    Args:
        sweeps: sweeps over the same images, split and binarisation.
        show: settings of the figures to compare; none: all that both trials were scored with.

    Returns:
        Paired differences of test figures; trials are named by sweep and trial, such as ``quick-1/t0003``.

    Raises:
        SweepError: the sweeps differ in images, split or binarisation, or one cannot be read.
        UserError: fewer than two trials have figures, or a trial's figures cannot be read.
    """
    return compare_several(_read(sweeps, show), show=_texts(show))


def compare_several(
    several: Several,
    named: Sequence[tuple[Path, Sequence[str]]] = (),
    csv: Path | None = None,
    show: Sequence[str] = (),
) -> ComparedTrials:
    """Compare trials of several sweeps with the first of them.

    Args:
        several: the sweeps.
        named: names of trials by the folder of their sweep; a sweep without any takes part with all trials that have
            figures. If no trial is named at all, they are in leaderboard order, otherwise in the order of the sweeps.
        csv: file to which the differences are also written.
        show: settings of the figures to compare.

    Raises:
        SweepError: there is no such trial.
        UserError: as :func:`compare_sweeps`, or the CSV cannot be written or would be written into a sweep folder.
    """
    if csv is not None:
        _refuse_any(several, csv, "differences.csv")
    asked = defaultdict[str, list[str]](list)
    for path, trials in named:
        asked[os.path.realpath(path.expanduser())] += trials
    chosen, unscored = list[str](), dict[str, str]()
    for name, sweep in several.sweeps.items():
        ranks = [own for whose, own in (several.place(row.trial) for row in several.rows) if whose is sweep]
        own = chosen_trials(sweep, asked[os.path.realpath(sweep.folder.path)], ranks)
        chosen += [f"{name}/{trial}" for trial in own]
        if not own:
            unscored[name] = f"{name} has no trial with per-image figures; {more_to_compare(sweep, 1)}"
    if not any(asked.values()):
        ranks = [row.trial for row in several.rows]
        chosen.sort(key=ranks.index)
    if len(set(chosen)) < 2:  # noqa: PLR2004 - a pair
        raise too_few(chosen, "; ".join(unscored.values()) or "name another sweep or trial")
    tables = {trial: _images(several, trial, show) for trial in chosen}
    found = compared(tables, csv, several.problems, {row.trial for row in several.rows if row.autoregressive})
    return replace(found, unscored=unscored)


def export_several(several: Several, csv: Path) -> None:
    """Write the leaderboard of several sweeps as CSV.

    Raises:
        UserError: it cannot be written, or would be written into a sweep folder.
    """
    _refuse_any(several, csv, "leaderboard.csv")
    try:
        with writing(csv) as temporary:
            write_csv(several.rows, temporary, several.parameters)
    except OSError as error:
        raise not_written("the leaderboard", csv, error) from error


def _read(sweeps: Iterable[AnySweep], show: str | Sequence[str]) -> Several:
    given = sweeps if isinstance(sweeps, Iterable) and not isinstance(sweeps, str) else [sweeps]
    return read_several([Path(each) if isinstance(each, str | Path) else each.path for each in given], _texts(show))


def _texts(show: str | Sequence[str]) -> Sequence[str]:
    return (show,) if isinstance(show, str) else show


def _refuse_any(several: Several, csv: Path, name: str) -> None:
    for sweep in several.sweeps.values():
        refuse_ours(sweep.folder, csv, "--csv", name)


def _images(several: Several, trial: str, show: Sequence[str]) -> pd.DataFrame:
    sweep, own = several.place(trial)
    try:
        return images_of(sweep, own, several.evaluations.get(trial), show)
    except UserError as error:
        raise UserError(f"{trial.removesuffix(f'/{own}')}: {error}") from None
