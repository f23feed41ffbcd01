"""What a sweep folder stores of the sweep itself: its space, and a ledger that belongs to it."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from iafsweep.atomic import write_text
from iafsweep.errors import SweepError
from iafsweep.search_space.candidate import Candidate
from iafsweep.search_space.files import checked_space, dump_space, read_stored_space, space_identity
from iafsweep.search_space.space import SearchSpace
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.storage.events import Ended, EndStatus, Event, Header, Reopened, now
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger, read_ledger
from iafsweep.sweep.storage.state import LedgerState, TrialState
from iafsweep.version import VERSION

_EXTENT = frozenset(
    "trials max_concurrent top gpus_per_trial cpus_per_trial memory_per_trial free_disk gpu_hours target".split()
)
"""Settings that determine how far a sweep goes, and on what resources: they may change while it lasts."""


def space_hash(space: SearchSpace) -> str:
    """Return a hash of what identifies a search: everything except its extent and its resources."""
    return hashlib.sha256(space_identity(space, _EXTENT).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class StoredSweep:
    """A sweep as read once from disk; a driver may be working on it.

    ``driver`` is the driver that holds it, as returned by :meth:`SweepFolder.driver`; None: nobody.
    """

    folder: SweepFolder
    space: SearchSpace
    state: LedgerState
    driver: str | None = None

    @property
    def damage(self) -> tuple[str, ...]:
        """What is wrong with the ledger, one sentence each; none while a driver runs, which may be writing a row."""
        return self.state.problems if self.driver is None else ()

    @property
    def parameters(self) -> list[str]:
        """Paths of the searched fields, in their order."""
        return [parameter.path for parameter in self.space.parameters]

    def candidate_of(self, trial: TrialState) -> Candidate | None:
        """Return the configuration of a trial; None if it is no longer in the space."""
        return trial.candidate(self.space)


def read_sweep(folder: SweepFolder) -> StoredSweep:
    """Read a sweep, which may be in use; every reader of a sweep's figures calls this.

    Its space was checked at launch, and the ledger holds its hash: only the hash is compared, no rule is checked again.

    Raises:
        SweepError: the folder holds no sweep, or its ledger cannot be used or belongs to another space.
        ConfigError: the stored space is damaged.
    """
    refuse_no_sweep(folder)
    space = read_stored_space(folder.space)
    state = read_ledger(folder.ledger)
    if state.header.space != space_hash(space):
        raise SweepError(
            f"{folder.ledger} belongs to another search space than {folder.space.name} beside it; restore whichever "
            f"file was replaced"
        )
    return StoredSweep(folder, space, state, folder.driver())


def load_sweep_space(folder: SweepFolder) -> SearchSpace:
    """Return the space a sweep was launched with; if its ledger was not begun, check the space like a new one.

    Raises:
        SweepError: as :func:`read_sweep`.
        ConfigError: the stored space is damaged.
    """
    refuse_no_sweep(folder)
    if folder.ledger.exists():
        return read_sweep(folder).space
    return checked_space(read_stored_space(folder.space), folder.space)


def refuse_no_sweep(folder: SweepFolder) -> None:
    """Refuse a folder that no launch made.

    Raises:
        SweepError: it has no sweep.toml.
    """
    if not folder.space.exists():
        raise SweepError(
            f"{folder.path} is not a sweep folder: it has no {folder.space.name}; give a folder that launch created"
        )


def open_ledger(space: SearchSpace, folder: SweepFolder) -> Ledger:
    """Open the folder's ledger, or begin one; store the space beside it, since its extent may have changed.

    Raises:
        SweepError: the ledger cannot be used, or belongs to another space.
    """
    if not folder.ledger.exists():
        _store_space(space, folder)
        return Ledger.create(folder.ledger, _header(space))
    ledger = Ledger.open(folder.ledger)
    if ledger.state.header.space != space_hash(space):
        ledger.close()
        raise SweepError(
            f"{folder.path} holds a sweep of another search space; choose another folder, or continue that sweep as it "
            f"is: {sweep_command('resume', folder.path)}"
        )
    _store_space(space, folder)
    return ledger


def begin_with(space: SearchSpace, folder: SweepFolder, events: Sequence[Event]) -> None:
    """Begin the folder's ledger with earlier events, all of them or none.

    The space is stored last: a kill before that leaves no sweep in the folder, rather than one that lost what it knew.

    Raises:
        SweepError: the sweep has begun.
    """
    Ledger.create(folder.ledger, _header(space), events).close()
    _store_space(space, folder)


def _header(space: SearchSpace) -> Header:
    name, seed = uuid.uuid4().hex, space.sweep.seed
    return Header(sweep=name, created=now(), seed=seed, space=space_hash(space), written_by=VERSION)


def _store_space(space: SearchSpace, folder: SweepFolder) -> None:
    try:
        write_text(folder.space, dump_space(space))
    except OSError as error:
        raise SweepError(f"cannot write {folder.space}: {error}; fix the cause and try again") from error


def resume_command(folder: SweepFolder, space: SearchSpace, state: LedgerState) -> str:
    """Return the command that resumes a sweep; see :func:`resume_options`."""
    return sweep_command("resume", folder.path, *resume_options(space, state))


def resume_options(space: SearchSpace, state: LedgerState) -> list[str]:
    """Return the options with which ``resume`` can continue a sweep: a larger budget if one has stopped it."""
    last, sweep, words = state.sessions[-1] if state.sessions else None, space.sweep, list[str]()
    reason = last.reason if isinstance(last, Ended) and last.outcome == "stopped" else ""
    if sweep.gpu_hours is not None and "GPU-hours" in reason:
        words += ["--gpu-hours", f"{2 * max(sweep.gpu_hours, state.gpu_seconds / 3600):.3g}"]
    if sweep.target is not None and "target" in reason:
        words += ["--target", "0"]  # which no bound reaches
    return words


RETRIED: tuple[EndStatus, ...] = ("oom", "failed", "diverged")
"""Statuses of ended trials that can be reopened."""


def ended_as(state: LedgerState, statuses: Collection[EndStatus], folder: SweepFolder) -> list[TrialState]:
    """Return the trials that ended with one of ``statuses``.

    Raises:
        SweepError: there is none, so there is nothing to retry; the message counts how trials ended.
    """
    found = [trial for trial in state.finished if trial.finished and trial.finished.status in statuses]
    if not found:
        ends = Counter(trial.finished.status for trial in state.finished if trial.finished)
        some = ", ".join(f"{count} {status}" for status, count in ends.items()) or "none yet"
        raise SweepError(
            f"nothing to retry: no trial of {folder.path} ended as {' or '.join(sorted(statuses))}; those that ended: "
            f"{some}"
        )
    return found


def reopen_trials(folder: SweepFolder, statuses: Collection[EndStatus], gpus: float | None) -> tuple[str, ...]:
    """Reopen every trial that ended with one of ``statuses``; return their names.

    Out of memory and failed: the trial continues from its last checkpoint. Diverged: it would diverge again at the same
    step, so it starts over with another training seed; its old run folder is kept beside the new one. ``gpus`` is what
    these trials get from now on; None: as many as the others.

    Raises:
        SweepError: a driver holds the folder, its ledger cannot be used, or no trial ended with such a status.
    """
    with folder.lock(), Ledger.open(folder.ledger) as ledger:
        ended = ended_as(ledger.state, statuses, folder)
        for trial in ended:
            afresh = trial.finished is not None and trial.finished.status == "diverged"
            if afresh:
                folder.put_aside(trial.trial)
            folder.take_stop_request(trial.trial)  # left from before it ended
            ledger.append(Reopened(trial=trial.trial, gpus=gpus, afresh=afresh, time=now()))
        return tuple(trial.trial for trial in ended)
