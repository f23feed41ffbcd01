"""Where a run keeps its files."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, dump_config
from iafsweep.config.files import read_stored_config
from iafsweep.errors import RunFolderError
from iafsweep.records import Evaluation, RunState

# Temporary files as iafsweep.atomic names them, of the files that stand in a run folder and of no others.
_LEFTOVER = re.compile(r"\.(?:[a-z_]+\.)+(?:toml|jsonl|json|pt|png|parquet)\.\d+\.tmp")

StateOrEvaluation = TypeVar("StateOrEvaluation", RunState, Evaluation)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run: names and paths of its files.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The configuration as trained, every field written out."""
        return self.path / "config.toml"

    @property
    def metrics(self) -> Path:
        """One JSON line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """What happened, with times."""
        return self.path / "run.log"

    @property
    def state(self) -> Path:
        """How far the run is."""
        return self.path / "state.json"

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch by validation."""
        return self.path / "best.pt"

    @property
    def pending_best(self) -> Path:
        """A newer best checkpoint, until ``last.pt`` knows of it."""
        return self.path / "best.next.pt"

    @property
    def last(self) -> Path:
        """The newest checkpoint, from which a run goes on."""
        return self.path / "last.pt"

    @property
    def evaluation(self) -> Path:
        """The figures measured at the end."""
        return self.path / "evaluation.json"

    @property
    def per_image(self) -> Path:
        """The figures of each image, as Parquet."""
        return self.path / "per_image.parquet"

    @property
    def simulated(self) -> Path:
        """The bounds of each image simulated from the model, as Parquet."""
        return self.path / "simulated.parquet"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard event files."""
        return self.path / "tensorboard"

    @property
    def samples(self) -> Path:
        """New images from the prior."""
        return self.path / "samples.png"

    @property
    def reconstructions(self) -> Path:
        """Inputs beside their reconstructions."""
        return self.path / "reconstructions.png"

    @property
    def data(self) -> Path:
        """Binarised images, as the model sees them."""
        return self.path / "data.png"

    @property
    def lock(self) -> Path:
        """There while a process trains or scores the run, or was killed doing so."""
        return self.path / ".run.lock"

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
            raise RunFolderError(
                f"{self.path} is not empty; add --resume to go on with the run in it, or name another folder"
            )

    def remove_leftovers(self) -> None:
        """Remove what processes that were killed in the middle of a write have left here."""
        for path in self.path.iterdir():
            if _LEFTOVER.fullmatch(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the files of a run that never trained an epoch."""
        self.remove_leftovers()
        for path in (self.config, self.metrics, self.data, self.log, self.state, self.last):
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
        again = f"going on with the run (run_single.py --run {self.path} --resume) writes it anew"
        return _read_record(self.state, RunState, again)

    def read_evaluation(self) -> Evaluation:
        """Return the figures measured at the end.

        Raises:
            RunFolderError: the file is missing or damaged.
        """
        return _read_record(self.evaluation, Evaluation, _how_to_score(self.path))

    def write_state(self, state: RunState) -> None:
        """Replace ``state.json``."""
        write_text(self.state, state.model_dump_json(indent=2) + "\n")

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Replace ``evaluation.json``."""
        write_text(self.evaluation, evaluation.model_dump_json(indent=2) + "\n")


def _how_to_score(run: Path) -> str:
    """What makes the figures in a folder again; of a trial its sweep does, which keeps what they came from."""
    if (run / "model.safetensors").exists():
        return "export the model again from its run"
    sweep = run.absolute().parent.parent
    if run.absolute().parent == sweep / "trials" and (sweep / "trials.jsonl").exists():
        return f"score it again: {shlex.join(['iafsweep-sweep', 'rerun', str(sweep), '--trial', run.name])}"
    return f"score the run again: {shlex.join(['iafsweep-run', '--run', str(run), '--evaluate-only'])}"


def _read_record(path: Path, record: type[StateOrEvaluation], remedy: str) -> StateOrEvaluation:
    try:
        return record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing; has this run got so far?") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise RunFolderError(f"{path} is damaged, or was written by another version ({said}); {remedy}") from None
