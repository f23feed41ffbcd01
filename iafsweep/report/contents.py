"""All that a page says of a sweep, as one record: Python decides what is said, the page's script how it is drawn."""

from iafsweep.records import FigureCell, Latents, PairedDifference, Record, TextTable, TrialStatus
from iafsweep.records.trust import Level

Value = bool | int | float | str | None


class Searched(Record):
    """A searched parameter, or a field that trials differ in.

    Attributes:
        path: of the field.
        name: the shortest that tells it from the others.
        options: the values it may take, as text, of a choice.
        low: smallest value, of a range.
        high: largest value.
        log: whether the search, and so the axis, is logarithmic.
        whole: whether all values are whole numbers.
    """

    path: str
    name: str
    options: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False


class Tried(Record):
    """A trial: what :class:`~iafsweep.records.LeaderboardRow` has of it that the page shows.

    Attributes:
        trial: its name.
        status: how it stands.
        rank: among completed trials.
        values: of the searched parameters, in their order; None where it was inactive.
        figures: in the order of :attr:`Contents.figures`.
        bound: best validation bound, nats per image; None without a finite one.
        epochs: done.
        best_epoch: of the bound.
        seconds_per_epoch: median, wall clock.
        seconds: of training.
        weights: trainable parameters.
        seed: of training.
        pareto: whether it is on the front of bound and seconds of an epoch.
        error: one line that says what went wrong.
        decoder: ``autoregressive decoder`` if it has one.
        latents: what they carry of the bound in the best epoch.
    """

    trial: str
    status: TrialStatus
    rank: int | None
    values: tuple[Value, ...]
    figures: tuple[FigureCell | None, ...]
    bound: float | None
    epochs: int
    best_epoch: int | None
    seconds_per_epoch: float | None
    seconds: float | None
    weights: int | None
    seed: int | None
    pareto: bool | None
    error: str | None
    decoder: str | None = None
    latents: Latents | None = None


class Shares(Record):
    """How much each parameter matters, in one sense.

    Attributes:
        bars: paths and shares, the largest first.
        note: what is measured.
        empty: why there is nothing to show; empty if there is.
    """

    bars: tuple[tuple[str, float], ...]
    note: str
    empty: str

    @staticmethod
    def none(why: str) -> "Shares":
        """Return that there is nothing to show, and why."""
        return Shares(bars=(), note="", empty=why)


class Pictures(Record):
    """What a trial draws, as data URIs; None where there is none on disk.

    ``samples_how`` and ``reconstructions_how`` say what they show, where that is not what others show.
    """

    samples: str | None
    reconstructions: str | None
    samples_how: str = ""
    reconstructions_how: str = ""


class Judged(Record):
    """A word that is judged good or bad, and the sentence behind it."""

    level: Level
    word: str
    text: str


class Tile(Record):
    """A figure of the headline with what it rests on.

    Attributes:
        label: what it is.
        value: as text.
        error: one standard error as text.
        foot: what it rests on.
        untrusted: share of untrusted images.
    """

    label: str
    value: str
    error: str | None = None
    foot: tuple[str, ...]
    untrusted: float | None = None


class Contents(Record):
    """A sweep as its page shows it.

    Attributes:
        name: of the sweep folder.
        title: what the search space asks.
        made: when this was read, UTC.
        standing: how the sweep stands.
        running: whether a driver is at work.
        best: the trial of rank 1.
        verdict: whether its test figures can be trusted; without a best trial why there is none.
        doubts: what speaks against its bound, and by how much it is too good for having been chosen.
        tiles: its figures.
        facts: how far the sweep is, in short pieces.
        asked: trials asked for.
        parameters: what was searched.
        figures: names of the columns of figures.
        trials: the best first.
        notes: what the leaderboard cannot say in its cells.
        population: what to keep in mind of trials that went on from copies; empty in other sweeps.
        failures: the last lines of errors, each with the trials that it ended.
        series: what curves there are: their names and labels; ``epoch`` and ``elapsed`` are axes.
        curves: a column a series, by trial.
        curves_note: which trials have no curve, and why.
        best_epochs: what training said in the best epochs of the best trials.
        importance: which parameters tell the best trials from the rest.
        variance: which parameters explain the differences between all.
        diagnostics: of every test figure.
        sandwiches: bounds on simulated images.
        estimators_note: how to read them.
        pairs: paired differences between scored trials.
        pairs_note: between which.
        configuration: the fields that all trials share, by path.
        defaults: the program's own values of these fields.
        pictures: by trial.
        environment: what the sweep ran on: names and texts.
        problems: what could not be read.
        levels: up to which share of untrusted images a figure is trusted, and doubtful.
        commands: what makes the page again, and what is left to do: for what, and a line to paste.
        folder: of the sweep, as commands name it.
        load: what loads the best model in Python.
        train_again: what trains a trial's configuration again; ``TRIAL`` stands for its name.
        compare: what compares trials, likewise.
    """

    name: str
    title: str
    made: str
    standing: Judged
    running: bool
    best: str | None
    verdict: Judged
    doubts: tuple[str, ...]
    tiles: tuple[Tile, ...]
    facts: tuple[str, ...]
    asked: int
    parameters: tuple[Searched, ...]
    figures: tuple[str, ...]
    trials: tuple[Tried, ...]
    notes: tuple[str, ...]
    population: str
    failures: tuple[tuple[str, tuple[str, ...]], ...]
    series: dict[str, str]
    curves: dict[str, dict[str, tuple[float | None, ...]]]
    curves_note: str
    best_epochs: TextTable
    importance: Shares
    variance: Shares
    diagnostics: TextTable
    sandwiches: TextTable
    estimators_note: str
    pairs: tuple[PairedDifference, ...]
    pairs_note: str
    configuration: dict[str, Value]
    defaults: dict[str, Value]
    pictures: dict[str, Pictures]
    environment: dict[str, str]
    problems: tuple[str, ...]
    levels: tuple[float, float]
    folder: str
    commands: tuple[tuple[str, str], ...]
    load: str
    train_again: str
    compare: str
