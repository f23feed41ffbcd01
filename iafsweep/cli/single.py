"""`run_single.py`: train one configuration and score it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from iafsweep.api.news import StepNews
from iafsweep.api.scoring.asked import refuse_budget_alone
from iafsweep.api.shown.faults import faults_in_words
from iafsweep.api.shown.progress import ScoringProgress
from iafsweep.api.shown.runs import RunShown
from iafsweep.cli import errors
from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.options.groups import VersionOption, with_groups, with_plugins
from iafsweep.cli.options.ray import TrackerName, TrackerOption
from iafsweep.cli.options.scoring import UntilError
from iafsweep.cli.options.sweep import configurations, fields
from iafsweep.cli.tracking import tracked
from iafsweep.config import RunConfig, load_config
from iafsweep.config.files import find_config
from iafsweep.data_root import absolute_data_root
from iafsweep.errors import UserError
from iafsweep.records import DeviceChoice
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.shown_command import run_command, this_command
from iafsweep.signals import leaving_at_once

if TYPE_CHECKING:
    from iafsweep.data import TrainingImages
    from iafsweep.training import Trainer

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command()
@with_plugins
@with_groups
def single(
    *,
    config: Annotated[
        str | None,
        typer.Argument(
            help="TOML file without [search], or the name of a shipped configuration such as `reference`; default: "
            "the configuration of the run in --run.",
            autocompletion=configurations,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a field, for example `--set model.latent_size=32`. Repeatable.",
            autocompletion=fields,
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option("--run", help="Run folder; default: `runs/NAME-OF-CONFIG`.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --run, for more epochs if you ask for them.")
    ] = False,
    evaluate_only: Annotated[
        bool,
        typer.Option(
            "--evaluate-only", help="Score the run again without training; you may change `evaluation.*` fields."
        ),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="Write the model of the run in --run to this new folder, without training or scoring."),
    ] = None,
    tracker: TrackerOption = None,
    until: UntilError,
    device: Annotated[DeviceChoice, typer.Option(help="Device to compute on; `auto`: a GPU if there is one.")] = "auto",
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of data sets; default: $IAFSWEEP_DATA, else a cache folder.")
    ] = None,
    data_path: Annotated[
        Path | None, typer.Option(help="Path of your own images, instead of data.path (for data.source = 'file').")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all available cores.")] = None,
    version: VersionOption = False,
) -> None:
    """Train one configuration, score it, and print its figures.

    Examples:
    - train the reference recipe into `runs/reference`:
      `run_single.py reference`
    - train your own file with one field changed:
      `run_single.py my.toml --set training.epochs=50 --run runs/short`
    - continue that run for more epochs:
      `run_single.py --run runs/short --resume --set training.epochs=100`
    - score it again with HAIS:
      `run_single.py --run runs/short --evaluate-only --set evaluation.hais.enabled=true`
    - score it until the estimator's error is small enough:
      `run_single.py --run runs/short --evaluate-only --until-error 0.02`
    - write weights, configuration and a card with the figures to one folder:
      `run_single.py --run runs/short --export models/short`
    - train a sweep's best configuration again:
      `run_single.py runs/my-sweep/best.toml`

    Ctrl-C, SIGTERM or SIGHUP saves after the current step and prints how to continue; a second one ends at once.

    Exit codes: 0 done (for a sweep also: ended early by a budget or a full disk); 1 an error in the program (for a
    sweep also: every trial failed, three in a row failed in the same way, or scoring failed); 2 a mistake in the
    request, or not enough memory or disk space; 3 training diverged; 130, 143, 129 ended by Ctrl-C, SIGTERM, SIGHUP.
    """
    if export is not None:
        _export(config, run, export, trains=resume or evaluate_only or bool(overrides))
        return
    if resume and evaluate_only:
        raise UserError("--resume continues training and --evaluate-only does not train; give one of them")
    asked = until.changes
    changes = [*(overrides or []), *(f"{key}={value}" for key, value in asked.items() if value is not None)]
    settings, folder = _settings(config, changes, run, is_old=resume or evaluate_only)
    refuse_budget_alone(asked, settings.evaluation.until_error.target)
    console = make_console()
    code = train_and_score(
        settings,
        folder,
        device=device,
        threads=threads,
        root=absolute_data_root(data_root),
        images=data_path,
        resume=resume,
        evaluate_only=evaluate_only,
        console=console,
        tracker=tracker,
    )
    raise typer.Exit(code)


class RunOutput(RunShown):
    """Shows the progress of a run, and before it starts a message that it is being prepared."""

    def __init__(self, console: Console, news: Callable[[], None], going_on: Callable[[], str] = this_command) -> None:
        super().__init__(console, news)
        self._loading = ExitStack()
        self._going_on = going_on

    def going_on(self, folder: Path) -> str:
        """The command that continues the run."""
        return self._going_on()

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Show that images and model are being loaded, until there is something else to show."""
        with self._loading:
            self._loading.enter_context(loading("images and model"))
            yield

    def stopping(self) -> None:
        """Say that a signal was received and what is still being done."""
        self._loading.close()
        super().stopping()

    def training(self, trainer: Trainer, images: TrainingImages, batches: int) -> AbstractContextManager[StepNews]:
        """Print what is trained, and show its progress."""
        self._loading.close()
        return super().training(trainer, images, batches)

    def note(self, text: str) -> None:
        """Print a note."""
        self._loading.close()
        super().note(text)

    def scoring(self) -> AbstractContextManager[ScoringProgress]:
        """Show the progress of scoring."""
        self._loading.close()
        return super().scoring()


def train_and_score(
    config: RunConfig,
    folder: RunFolder,
    *,
    device: DeviceChoice,
    threads: int | None,
    root: Path,
    resume: bool,
    evaluate_only: bool,
    console: Console,
    images: Path | None = None,
    tracker: TrackerName | None = None,
) -> int:
    """Train (unless ``evaluate_only``), score, print the figures, and return the exit code.

    After an interruption the last thing printed is the command that continues the run. ``images`` is the path of the
    user's own images; None: the path in the configuration. ``tracker`` is a tracker that also receives the run.
    """

    def going_on() -> str:
        """The command that resumes the run; this same command if it resumes already or nothing can be resumed."""
        if evaluate_only or resume or not folder.last.exists():
            return this_command()
        return run_command("--run", folder.path, "--resume")

    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api.scoring.score import score
        from iafsweep.api.train import train
        from iafsweep.cli import tables
        from iafsweep.training import DivergedError, resolve_device

    try:
        with faults_in_words(folder.path, going_on), ExitStack() as stack:
            news = stack.enter_context(tracked(tracker, config, folder, partial(say, console)))
            output = RunOutput(console, news, going_on)
            stack.enter_context(output.preparing())
            resolve_device(device, "--device")
            if evaluate_only:
                figures = score(config, folder, root, images=images, device=device, threads=threads, news=output)
            else:
                run = train(
                    config,
                    folder.path,
                    resume=resume,
                    images=images,
                    data_root=root,
                    device=device,
                    threads=threads,
                    progress=output,
                )
                assert run.evaluation is not None  # it was written just now
                figures = run.evaluation
            tables.print_figures(console, figures.estimates)
            if figures.autoregressive:
                say(console, tables.latents_line(metrics_file.read(folder.metrics), figures.epoch))
            for line in (*tables.search_lines(figures.estimates), *tables.sandwich_lines(figures.sandwiches)):
                say(console, line)
            say(console, f"Checkpoint {figures.checkpoint} (epoch {figures.epoch}). Run folder: {folder.path}")
    except errors.INTERRUPTS as interrupt:
        say(console, f"\nInterrupted. To go on:\n  {going_on()}")
        return errors.code_of(interrupt)
    except DivergedError as error:
        say(console, f"{error}; the last good checkpoint is {folder.last}")
        return errors.DIVERGED
    return 0


def main() -> None:
    """Entry point."""
    errors.run(app)


def _export(config: str | None, run: Path | None, to: Path, *, trains: bool) -> None:
    if run is None or config is not None or trains:
        earlier = run if run is not None or config is None else _folder_of(config)
        alone = "" if earlier is None else f": {run_command('--run', earlier, '--export', to)}"
        raise UserError(
            "--export only writes the model of an existing run; train or score it with a separate command, and name "
            f"that run alone with --run{alone}"
        )
    from iafsweep.cli.commands.reading.export_model import export_run

    export_run(run, to, make_console())


def _folder_of(config: str) -> Path:
    return Path("runs") / find_config(config).stem


def _settings(
    config: str | None, overrides: list[str], run: Path | None, *, is_old: bool
) -> tuple[RunConfig, RunFolder]:
    """Return configuration and run folder; either may be omitted and is then derived from the other."""
    if config is None:
        if run is None or not is_old:
            earlier = "an earlier run with --run, followed by --resume or --evaluate-only"
            if run is not None and RunFolder(run).last.exists():
                going_on, scoring = (run_command("--run", run, each) for each in ("--resume", "--evaluate-only"))
                earlier = f"go on with the run: {going_on}, or score it: {scoring}"
            raise UserError(
                "no configuration given; name a TOML file or a shipped configuration, as in "
                f"{run_command('reference')}; or {earlier}"
            )
        folder = RunFolder(run)
        folder.read_config()
        return load_config(folder.config.absolute(), overrides), folder
    settings = load_config(config, overrides)
    folder = RunFolder(run if run is not None else _folder_of(config))
    if is_old:
        folder.read_config()  # refuses what is not a run folder
    return settings, folder
