"""Everything that the page shows of a sweep, as one record: Python decides the content, the page's script the look."""

from iafsweep.records import FigureCell, Latents, PairedDifference, Record, TextTable, TrialStatus
from iafsweep.records.trust import Level

Value = bool | int | float | str | None


class Searched(Record):
    """A searched parameter, or another field in which trials differ.

    Attributes:
        path: path of the field.
        name: the shortest unambiguous name.
        options: the possible values as text, for a choice.
        low: smallest value, for a range.
        high: largest value, for a range.
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
    """A trial: the part of its :class:`~iafsweep.records.LeaderboardRow` that the page shows.

    Attributes:
        trial: name of the trial.
        status: status of the trial.
        rank: rank among completed trials.
        values: values of the searched parameters, in their order; None where inactive.
        figures: in the order of :attr:`Contents.figures`.
        bound: best validation bound, nats per image; None without a finite one.
        epochs: epochs done.
        best_epoch: epoch of the bound.
        seconds_per_epoch: median, wall clock.
        seconds: training seconds.
        weights: number of trainable parameters.
        seed: training seed.
        pareto: whether it is on the Pareto front of bound and seconds per epoch.
        error: one line that says what went wrong.
        decoder: ``autoregressive decoder`` if it has one.
        latents: how much of the bound the latent variables carry in the best epoch.
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
        empty: why there is nothing to show; otherwise empty.
    """

    bars: tuple[tuple[str, float], ...]
    note: str
    empty: str

    @staticmethod
    def none(why: str) -> "Shares":
        """Return a record without bars that says why there is nothing to show."""
        return Shares(bars=(), note="", empty=why)


class Pictures(Record):
    """Samples and reconstructions of a trial as data URIs; None if there is none on disk.

    ``samples_how`` and ``reconstructions_how`` say what they show, if it differs from those of other trials.
    """

    samples: str | None
    reconstructions: str | None
    samples_how: str = ""
    reconstructions_how: str = ""


class Judged(Record):
    """A judgement: how good something is, in a word, with a sentence that explains it."""

    level: Level
    word: str
    text: str


class Tile(Record):
    """A headline figure with what it is based on.

    Attributes:
        label: name of the figure.
        value: the figure as text.
        error: one standard error as text.
        foot: what the figure is based on.
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
        name: name of the sweep folder.
        title: title of the search space.
        made: when the folder was read, UTC.
        standing: state of the sweep.
        running: whether a driver is at work.
        best: the trial of rank 1.
        verdict: whether its test figures can be trusted; without a best trial, why there is none.
        doubts: reasons to doubt its bound, and by how much selection flatters it.
        tiles: its headline figures.
        facts: progress of the sweep, in short pieces.
        asked: number of trials requested.
        parameters: the searched parameters.
        figures: names of the figure columns.
        trials: the trials, the best first.
        notes: remarks below the leaderboard.
        population: how to read trials that continued from copies of others; empty if there are none.
        failures: the last lines of errors, each with the trials that it ended.
        series: names and labels of the curves; ``epoch`` and ``elapsed`` are axes.
        curves: one column per series, by trial.
        curves_note: which trials have no curve, and why.
        best_epochs: training metrics in the best epochs of the best trials.
        importance: which parameters tell the best trials from the rest.
        variance: which parameters explain the differences between all trials.
        diagnostics: diagnostics of every test figure.
        sandwiches: bounds on simulated images.
        estimators_note: how to read test figures and diagnostics.
        pairs: paired differences between scored trials.
        pairs_note: which trials were compared.
        configuration: the fields that all trials share, by path.
        defaults: default values of these fields.
        pictures: samples and reconstructions, by trial.
        environment: what the sweep ran on: names and texts.
        problems: what could not be read.
        levels: largest shares of untrusted images at which a figure is trusted, and doubtful.
        commands: how to make the page again, and what is left to do: purposes and lines to paste.
        folder: the sweep folder, as commands name it.
        load: the line that loads the best model in Python.
        train_again: the command that trains a trial's configuration again; ``TRIAL`` stands for its name.
        compare: the command that compares trials, without their names.
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
