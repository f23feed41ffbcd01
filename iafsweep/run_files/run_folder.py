"""Where a run keeps its files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, dump_config
from iafsweep.config.files import read_stored_config
from iafsweep.errors import RunFolderError
from iafsweep.locks import locked
from iafsweep.records import Evaluation, Fingerprint, RunState, Split, with_stamp, without_stamp
from iafsweep.shown_command import run_command, sweep_command
from iafsweep.version import FORMAT, VERSION, Writer

# Temporary files as iafsweep.atomic names them, of the files that stand in a run folder and of no others.
_LEFTOVER = re.compile(r"\.(?:[a-z_]+\.)+(?:toml|jsonl|json|pt|png|parquet)\.\d+\.tmp")
StateOrEvaluation = TypeVar("StateOrEvaluation", RunState, Evaluation)


class _File:
    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: RunFolder, owner: type[RunFolder]) -> Path:
        return folder.path / self._name


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: names and paths of its files."""

    path: Path

    config = _File("config.toml")
    """The configuration as trained, every field written out."""
    metrics = _File("metrics.jsonl")
    """One JSON line an epoch."""
    log = _File("run.log")
    """What happened, with times."""
    state = _File("state.json")
    """How far the run is."""
    best = _File("best.pt")
    """The checkpoint of the best epoch by validation."""
    pending_best = _File("best.next.pt")
    """A newer best checkpoint, until ``last.pt`` knows of it."""
    last = _File("last.pt")
    """The newest checkpoint, from which a run goes on."""
    step = _File("step.pt")
    """In the middle of an epoch, the checkpoint from which that goes on; ``last.pt`` is of the epoch before."""
    evaluation = _File("evaluation.json")
    """The figures measured at the end."""
    per_image = _File("per_image.parquet")
    """The figures of each image, as Parquet."""
    simulated = _File("simulated.parquet")
    """The bounds of each image simulated from the model, as Parquet."""
    tensorboard = _File("tensorboard")
    """TensorBoard event files."""
    samples = _File("samples.png")
    """New images from the prior."""
    reconstructions = _File("reconstructions.png")
    """Inputs beside their reconstructions."""
    data = _File("data.png")
    """Binarised images, as the model sees them."""
    lock = _File(".run.lock")
    """There while a process trains or scores the run, or was killed doing so."""

    def locked(self, seconds: float = 0.0) -> AbstractContextManager[str | None]:
        """Take the folder as its one writer, a run of its own or a sweep's trial; gives None, or who has it.

        The folder is made if it is not there, and removed again if nothing has been put into it.

        Raises:
            OSError: it cannot be written.
        """
        return locked(self.lock, seconds, leaves_nothing=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder as its one writer.

        Raises:
            RunFolderError: another process holds it, or it cannot be written.
        """
        with ExitStack() as stack:
            try:
                self.refuse_file()
                holder = stack.enter_context(self.locked())
            except OSError as error:
                raise RunFolderError(
                    f"cannot write the run folder {self.path}: {error}; name another with --run"
                ) from error
            if holder is not None:
                raise RunFolderError(
                    f"{self.path} is in use by another process that trains or scores it; wait until it ends, or name "
                    f"another folder with --run"
                )
            yield

    def create(self, config: RunConfig) -> None:
        """Make the folder and write the configuration into it.

        Raises:
            RunFolderError: there are files in it already, or it cannot be written.
        """
        self.refuse_used()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.config, dump_config(config))
        except OSError as error:
            raise RunFolderError(f"cannot write the run folder {self.path}: {error}; name another folder") from error

    def refuse_file(self) -> None:
        """Check that there is no file where the folder should be.

        Raises:
            RunFolderError: there is.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file, and a run needs a folder; name another with --run")

    def refuse_used(self) -> None:
        """Check that a run may start here: there is nothing, or only what a run writes before its first checkpoint.

        Raises:
            RunFolderError: there are other files, or the folder cannot be read.
        """
        try:
            self.refuse_file()
            if not self.path.exists():
                return
            names = {path.name for path in self.path.iterdir()}
        except OSError as error:
            raise RunFolderError(f"cannot read the run folder {self.path}: {error}; name another folder") from error
        written = {self.config.name, self.metrics.name, self.data.name, self.lock.name}
        if not all(name in written or _LEFTOVER.fullmatch(name) for name in names):
            go_on = (
                "add --resume (in Python resume=True) to go on with the run in it, or " if self.last.exists() else ""
            )
            raise RunFolderError(f"{self.path} is not empty; {go_on}name another folder with --run")

    def remove_leftovers(self) -> None:
        """Remove what processes that were killed in the middle of a write have left here."""
        for path in self.path.iterdir():
            if _LEFTOVER.fullmatch(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)

    def clear(self) -> bool:
        """Remove all that is in the folder but its lock; return whether there was anything."""
        left = [path for path in self.path.glob("*") if path != self.lock]
        for path in left:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        return bool(left)

    def discard(self) -> None:
        """Remove the files of a run that never trained an epoch."""
        self.remove_leftovers()
        for path in (self.config, self.metrics, self.data, self.log, self.state, self.last, self.step):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.tensorboard, ignore_errors=True)

    def rewrite_config(self, config: RunConfig) -> None:
        """Replace ``config.toml`` by the configuration a resumed run goes on with."""
        write_text(self.config, dump_config(config))

    def read_config(self) -> RunConfig:
        """Return the configuration of the run.

        Raises:
            RunFolderError: this is no run folder.
            ConfigError: the file in it breaks a rule.
        """
        try:
            if not self.config.is_file():
                self.refuse_file()
                raise RunFolderError(f"{self.path} is not a run folder: it has no {self.config.name}")
        except OSError as error:
            raise RunFolderError(f"cannot read the run folder {self.path}: {error}") from error
        return read_stored_config(self.config)

    def read_state(self) -> RunState:
        """Return how far the run is.

        Raises:
            RunFolderError: the file is missing or damaged.
        """
        again = f"going on with the run writes it anew: {run_command('--run', self.path, '--resume')}"
        return _read_record(self.state, RunState, again)

    def read_fingerprints(self) -> dict[Split, Fingerprint]:
        """Return those of the images it was trained, validated and tested on, as far as it says."""
        try:
            return self.read_state().images
        except RunFolderError:
            return {}

    def read_evaluation(self) -> Evaluation:
        """Return the figures measured at the end.

        Raises:
            RunFolderError: the file is missing or damaged.
        """
        return _read_record(self.evaluation, Evaluation, _how_to_score(self.path))

    def write_state(self, state: RunState) -> None:
        """Replace ``state.json``."""
        write_text(self.state, with_stamp(state))

    def tested_on(self, images: Fingerprint) -> None:
        """Keep which images it is scored on, if it does not say."""
        with suppress(RunFolderError):
            state = self.read_state()
            if "test" not in state.images:
                self.write_state(state.model_copy(update={"images": state.images | {"test": images}}))

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Replace ``evaluation.json``."""
        write_text(self.evaluation, with_stamp(evaluation))


def sweep_of(run: Path) -> Path | None:
    """Return the folder of the sweep that a run folder is a trial of; None if it is none."""
    trials = run.absolute().parent
    return trials.parent if trials.name == "trials" and (trials.parent / "trials.jsonl").exists() else None


def _how_to_score(run: Path) -> str:
    """What makes the figures in a folder again; of a trial its sweep does, which keeps what they came from."""
    if (run / "model.safetensors").exists():
        return "export the model again from its run"
    if (sweep := sweep_of(run)) is not None:
        return f"score it again: {sweep_command('rerun', sweep, '--trial', run.name)}"
    return f"score the run again: {run_command('--run', run, '--evaluate-only')}"


def _read_record(path: Path, record: type[StateOrEvaluation], remedy: str) -> StateOrEvaluation:
    writer = Writer()
    try:
        content, writer = without_stamp(path.read_bytes())
        if writer.newer:
            raise RunFolderError(f"{path} {writer.newer}")
        return record.model_validate_json(content)
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing; has this run got so far?") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = f"{where}: {first['msg']}" if where else first["msg"]
        if first["type"] == "extra_forbidden" and writer not in (Writer(), Writer(FORMAT, VERSION)):
            raise RunFolderError(f"{path} {writer.unknown(f'`{where}`')}; or {remedy}") from None
        raise RunFolderError(f"{path} is damaged, or was written by another version ({said}); {remedy}") from None


def new_folder(to: Path) -> Path:
    """Return the absolute path of a folder that a model is to be written to.

    Raises:
        RunFolderError: it is a file, or there is something in it.
    """
    to = Path(os.path.expanduser(to)).absolute()
    try:
        if to.exists() and not to.is_dir():
            raise RunFolderError(f"{to} is a file; name a new folder for the model")
        if not to.name or (to.exists() and any(to.iterdir())):  # the root: nothing can be written beside it first
            raise RunFolderError(f"{to} is not empty; name a new folder for the model")
    except OSError as error:
        raise RunFolderError(f"cannot write the model folder {to}: {error}; name another folder") from error
    return to
