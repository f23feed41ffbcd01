"""The rows of a sweep's ledger: one versioned, typed schema, to and from JSON lines.

In every row, ``trial`` is the trial's name and ``time`` the time in UTC.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from iafsweep.records import Record, TrainingFacts
from iafsweep.version import Writer

LEDGER_SCHEMA = 3
"""Version of the rows below. Version 2, of 0.1.0, does not name its writer; newer ones are refused, never guessed at.

A new field of a row has a default: its meaning in rows of earlier versions, which lack the field.
"""

TrialId = Annotated[str, Field(pattern=r"^t\d{4,9}$")]
"""``t0001`` is the first proposal; the pattern also keeps paths made from names in files inside the sweep folder."""

ParameterValue = bool | int | float | str
"""A value that a sampler proposes."""

EndStatus = Literal["completed", "stopped", "diverged", "oom", "failed"]
"""How a trial ended: after all epochs, stopped early (by the scheduler, which may promote it later, or by a user), not
finite, out of memory, with an error in it."""

SweepStatus = Literal["completed", "exhausted", "stopped", "interrupted", "aborted"]
"""How a driver's training ended: all trials · nothing new to propose · a budget or a full disk · a signal or
``stop`` · trial after trial failed in the same way."""


def now() -> str:
    """Return the current time in UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def trial_name(number: int) -> str:
    """Return the name of the ``number``-th proposal, counted from 1."""
    return f"t{number:04d}"


class Header(Record):
    """First row: which sweep this ledger belongs to.

    Attributes:
        ledger: the schema's version.
        sweep: random name of the sweep, so that ledgers cannot be mixed up.
        created: time of creation, UTC.
        seed: the sweep's seed.
        space: hash of the search space.
        written_by: the package's version.
    """

    row: Literal["header"] = "header"
    ledger: int = LEDGER_SCHEMA
    sweep: str
    created: str
    seed: int
    space: str
    written_by: str = Writer().version


class Proposed(Record):
    """The sampler proposed a configuration.

    Attributes:
        number: number of the proposal, from 1.
        parameters: searched values by configuration path; inactive ones are absent.
        seed: the trial's own training seed.
        key: hash of the configuration without what has no effect; equal keys are not trained twice.
        repeat: which of several seeds of the same configuration, from 1; 0 if it has only one.
    """

    row: Literal["proposed"] = "proposed"
    trial: TrialId
    number: int = Field(ge=1)
    parameters: dict[str, ParameterValue]
    seed: int
    key: str
    repeat: int = Field(0, ge=0)
    time: str


class Started(Record):
    """A process began or continued a trial; more than one row means interruptions."""

    row: Literal["started"] = "started"
    trial: TrialId
    time: str


class Rung(Record):
    """A trial reached a rung of the scheduler and continued; kept so that rungs can be filled again.

    Attributes:
        epoch: the rung.
        value: validation bound there, nats per image.
    """

    row: Literal["rung"] = "rung"
    trial: TrialId
    epoch: int = Field(ge=1)
    value: float
    time: str


class _End(Record):
    """Fields that precede the training facts in the row of a trial that ended."""

    row: Literal["finished"] = "finished"
    trial: TrialId
    status: EndStatus
    epochs: int
    value: float | None = None
    best_epoch: int | None = None
    best_value: float | None = None


class Finished(TrainingFacts, _End):
    """A trial ended.

    Attributes:
        status: how it ended.
        epochs: epochs trained.
        value: validation bound of the last epoch; None if there is no finite one.
        best_epoch: the epoch with the best validation bound.
        best_value: that bound, nats per image; ranks the trial.
        gpu_seconds: training seconds times the trial's GPUs.
        device: where it trained.
        error: the traceback of a failed trial, or one line that says what went wrong.
    """

    compile_seconds: float = 0.0
    gpu_seconds: float
    device: str = ""
    error: str = ""
    time: str


class Reopened(Record):
    """A trial that had ended is to be trained further, because a user asked for it or the scheduler promotes it.

    Attributes:
        gpus: GPUs it gets from now on; None: as many as the other trials.
        afresh: whether it starts over with another training seed instead of continuing from its checkpoint.
    """

    row: Literal["reopened"] = "reopened"
    trial: TrialId
    gpus: float | None = Field(None, ge=0)
    afresh: bool = False
    time: str


class Began(Record):
    """A driver began to train.

    Attributes:
        at_a_time: how many trials run at once.
        format: format of the rows from here on, whichever version began the ledger.
        written_by: the package's version from here on.
    """

    row: Literal["began"] = "began"
    at_a_time: int
    format: int = Writer().format
    written_by: str = Writer().version
    time: str


class Ended(Record):
    """A driver's training ended in good order; after a kill this row is absent. Scoring follows, and writes no row.

    Attributes:
        outcome: how training ended.
        reason: why it ended before its last trial.
    """

    row: Literal["ended"] = "ended"
    outcome: SweepStatus
    reason: str = ""
    time: str


class Known(Record):
    """A trial of an earlier sweep, given to the sampler; not a trial of this sweep.

    Attributes:
        source: names of the earlier sweep and its trial.
        parameters: searched values by configuration path.
        status: how it ended; also ``stopped`` if it completed after fewer epochs than this sweep asks for.
        epochs: epochs trained.
        value: validation bound of the last epoch.
        best_value: best validation bound, nats per image.
        seconds: training seconds.
    """

    row: Literal["known"] = "known"
    source: str
    parameters: dict[str, ParameterValue]
    status: EndStatus
    epochs: int
    value: float | None = None
    best_value: float | None = None
    seconds: float = 0.0


class Exchange(Record):
    """One member of a population continues from a copy of another.

    Attributes:
        trial: the member.
        donor: the member whose run folder it copies, as of the end of the generation.
        parameters: its searched values from now on.
        seed: its training seed from now on.
        key: hash of its configuration from now on.
        repeat: a number that no other copy has, so that no two train with the same seed.
    """

    trial: TrialId
    donor: TrialId
    parameters: dict[str, ParameterValue]
    seed: int
    key: str
    repeat: int = Field(ge=0)


class Generation(Record):
    """A generation of a population has ended and its copies are decided: all of it in one row, or nothing.

    Attributes:
        epoch: its last epoch.
        exchanges: the copies to be made.
    """

    row: Literal["generation"] = "generation"
    epoch: int = Field(ge=1)
    exchanges: tuple[Exchange, ...]
    time: str


TrialEvent = Proposed | Started | Rung | Finished | Reopened
"""Rows of one trial."""

SessionEvent = Began | Ended
"""Rows of one driver."""

Event = TrialEvent | SessionEvent | Generation | Known
"""Every row but the header."""

Row = Annotated[Header | Event, Field(discriminator="row")]
_ADAPTER: TypeAdapter[Header | Event] = TypeAdapter(Row)


def parse_row(line: str | bytes) -> Header | Event:
    """Return the row that a ledger line holds.

    Raises:
        pydantic.ValidationError: the line is not JSON, or none of the rows.
    """
    return _ADAPTER.validate_json(line)
