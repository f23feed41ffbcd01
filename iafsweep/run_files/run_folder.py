"""The folder of a run and its files."""

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

# Names that iafsweep.atomic gives to temporary files, only for the kinds of files found in a run folder.
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
    """One JSON line per epoch."""
    log = _File("run.log")
    """Log with times."""
    state = _File("state.json")
    """Progress of the run."""
    best = _File("best.pt")
    """The checkpoint of the best epoch by validation."""
    pending_best = _File("best.next.pt")
    """A newer best checkpoint that ``last.pt`` does not refer to yet."""
    last = _File("last.pt")
    """The newest checkpoint, from which a run resumes."""
    step = _File("step.pt")
    """The checkpoint inside an unfinished epoch, from which that resumes; ``last.pt`` is of the epoch before."""
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
    """Exists while a process trains or scores the run, or after it was killed doing so."""

    def locked(self, seconds: float = 0.0) -> AbstractContextManager[str | None]:
        """Lock the folder as its only writer, for a single run or a trial; yields None, or the present holder.

        The folder is created if missing, and removed again if it is still empty.

        Raises:
            OSError: it cannot be written.
        """
        return locked(self.lock, seconds, leaves_nothing=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock of the folder as its only writer.

        Raises:
            RunFolderError: another process holds it, or it cannot be written.
        """
        with ExitStack() as stack:
            try:
                self.refuse_file()
                holder = stack.enter_context(self.locked())
            except OSError as error:
                raise RunFolderError(
                    f"cannot write the run folder {self.path}: {error}; name another folder with --run"
                ) from error
            if holder is not None:
                raise RunFolderError(
                    f"{self.path} is in use by another process that trains or scores it; wait until it ends, or name "
                    f"another folder with --run"
                )
            yield

    def create(self, config: RunConfig) -> None:
        """Create the folder and write the configuration into it.

        Raises:
            RunFolderError: it already contains files, or cannot be written.
        """
        self.refuse_used()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.config, dump_config(config))
        except OSError as error:
            raise RunFolderError(f"cannot write the run folder {self.path}: {error}; name another folder") from error

    def refuse_file(self) -> None:
        """Check that the folder's path is not a file.

        Raises:
            RunFolderError: it is.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file, but a run needs a folder; name another path with --run")

    def refuse_used(self) -> None:
        """Check that a run may start here: the folder has at most files that a run writes before its first checkpoint.

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
            go_on = "add --resume (in Python resume=True) to continue the run in it, or " if self.last.exists() else ""
            raise RunFolderError(f"{self.path} is not empty; {go_on}name another folder with --run")

    def remove_leftovers(self) -> None:
        """Remove temporary files of processes that were killed while writing."""
        for path in self.path.iterdir():
            if _LEFTOVER.fullmatch(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)

    def clear(self) -> bool:
        """Remove everything in the folder except its lock; return whether there was anything."""
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
        """Replace ``config.toml`` with the configuration of a resumed run."""
        write_text(self.config, dump_config(config))

    def read_config(self) -> RunConfig:
        """Return the configuration of the run.

        Raises:
            RunFolderError: this is not a run folder.
            ConfigError: its configuration breaks a rule.
        """
        try:
            if not self.config.is_file():
                self.refuse_file()
                raise RunFolderError(f"{self.path} is not a run folder: it has no {self.config.name}")
        except OSError as error:
            raise RunFolderError(f"cannot read the run folder {self.path}: {error}") from error
        return read_stored_config(self.config)

    def read_state(self) -> RunState:
        """Return the progress of the run.

        Raises:
            RunFolderError: the file is missing or damaged.
        """
        again = f"continue the run to write it again: {run_command('--run', self.path, '--resume')}"
        return _read_record(self.state, RunState, again)

    def read_fingerprints(self) -> dict[Split, Fingerprint]:
        """Return the fingerprints of the images it was trained, validated and tested on, as far as recorded."""
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
        """Record the fingerprint of the test images, unless one is recorded already."""
        with suppress(RunFolderError):
            state = self.read_state()
            if "test" not in state.images:
                self.write_state(state.model_copy(update={"images": state.images | {"test": images}}))

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Replace ``evaluation.json``."""
        write_text(self.evaluation, with_stamp(evaluation))


def sweep_of(run: Path) -> Path | None:
    """Return the folder of the sweep that a run folder belongs to; None if it is not a trial."""
    trials = run.absolute().parent
    return trials.parent if trials.name == "trials" and (trials.parent / "trials.jsonl").exists() else None


def _how_to_score(run: Path) -> str:
    """Return how to measure a run's figures again; for a trial, through its sweep, which keeps the shard results."""
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
        raise RunFolderError(f"{path} is missing; the run may not have got this far") from None
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
    """Return the absolute path of a new folder to write a model to.

    Raises:
        RunFolderError: it is a file or a folder that is not empty.
    """
    to = Path(os.path.expanduser(to)).absolute()
    try:
        if to.exists() and not to.is_dir():
            raise RunFolderError(f"{to} is a file; name a new folder for the model")
        if not to.name or (to.exists() and any(to.iterdir())):  # "/" has no parent for the temporary folder
            raise RunFolderError(f"{to} is not empty; name a new folder for the model")
    except OSError as error:
        raise RunFolderError(f"cannot write the model folder {to}: {error}; name another folder") from error
    return to
