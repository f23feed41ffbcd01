"""List the sweeps in a folder from their spaces and ledgers alone, without opening run folders."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iafsweep.errors import SweepError, UserError
from iafsweep.sweep.storage.events import Ended
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import StoredSweep, read_sweep


@dataclass(frozen=True)
class FoundSweeps:
    """The sweeps in a folder.

    Attributes:
        sweeps: the readable sweeps, in the order in which they began.
        problems: which sweeps are unreadable and why, and what is damaged in the ledgers of others; one sentence each.
    """

    sweeps: tuple[StoredSweep, ...]
    problems: tuple[str, ...]


def sweeps_in(folder: Path) -> FoundSweeps:
    """Read the sweeps directly in a folder, or the folder itself if it is a sweep's; ignore everything else.

    Raises:
        SweepError: the folder does not exist, or cannot be read.
    """
    sweeps, problems = list[StoredSweep](), list[str]()
    for path in _paths(folder):
        try:
            if not _is_sweep(path):
                continue
            found = read_sweep(SweepFolder(path))
        except (UserError, OSError) as error:
            problems.append(f"{path.name} is left out: {error}")
        else:
            sweeps.append(found)
            problems += [f"{path.name}: {problem}" for problem in found.damage]
    return FoundSweeps(tuple(sorted(sweeps, key=lambda each: each.state.header.created)), tuple(problems))


def _paths(folder: Path) -> Iterator[Path]:
    try:
        if _is_sweep(folder):
            yield folder.absolute()
        else:
            yield from sorted(folder.iterdir())
    except OSError as error:
        raise SweepError(f"cannot read {folder}: {error.strerror}; name the folder that holds sweeps") from error


def _is_sweep(path: Path) -> bool:
    """Return whether a folder has a sweep's space or ledger; if one of them is lost, reading the sweep says so."""
    folder = SweepFolder(path)
    return folder.space.exists() or folder.ledger.exists()


def state_of(sweep: StoredSweep) -> str:
    """Return the state of a sweep in a word or two: what its driver does, or how its last driver ended."""
    state = sweep.state
    last = state.sessions[-1] if state.sessions else None
    if sweep.driver is not None:
        return "training" if state.is_open else "scoring" if last else "starting"
    if isinstance(last, Ended) and last.outcome != "completed":
        return last.outcome
    if state.is_open:
        return "killed"
    if len(state.finished) >= sweep.space.sweep.trials:
        return "completed"
    return "unfinished" if state.trials else "not begun"
