"""A second signal raises wherever the program is; what is kept then is a whole epoch, with its own best."""

import sys

import pytest

from iafsweep.config import RunConfig
from iafsweep.run_files import metrics_file
from iafsweep.training import RunFolder, Trainer, checkpoint, load_trained_model, trainer
from iafsweep.training.checkpoint import load_last
from iafsweep.training.run_log import RunLog

KEEPING = {"run_epoch", "_keep", "_checkpoint", "_reached", "_write_kept", "save", "_write", "_begin", "_postpone"}
"""The functions that keep an epoch, in these files:"""
FILES = {module.__file__ for module in (trainer, checkpoint)}


def every(config, epochs):
    values = config.model_dump()
    values["training"]["checkpoint_every_epochs"] = epochs
    return RunConfig.model_validate(values)


def trained_once(config, images, path, cpu):
    """A trainer whose second epoch will be its best."""
    made = Trainer.start(config, images, RunFolder(path), cpu)
    made.run_epoch()
    return made


def check_that_it_goes_on(config, images, folder, cpu):
    last = load_last(folder, cpu)
    state = folder.read_state()
    assert (state.status, state.epochs, state.best) == ("interrupted", last.epoch, last.best)
    assert last.epoch in (1, 2)
    assert load_trained_model(folder, "best", cpu).epoch == last.best.epoch == last.epoch
    Trainer.resume(config, images, folder, cpu).close()


def interrupt(*arguments):
    raise KeyboardInterrupt


def train_and_save(made):
    made.run_epoch()
    made.save()


@pytest.mark.parametrize("epochs", [1, 4])
@pytest.mark.parametrize("place", [(RunLog, "add_epoch"), (checkpoint, "_write")], ids=["kept", "written"])
def test_an_interrupt_while_an_epoch_is_kept_or_written(config, images, tmp_path, cpu, monkeypatch, place, epochs):
    recipe = every(config, epochs)
    made = trained_once(recipe, images, tmp_path / "run", cpu)
    with monkeypatch.context() as patched:
        patched.setattr(*place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_and_save(made)
    made.interrupt()
    check_that_it_goes_on(recipe, images, made.folder, cpu)


def interrupted_before(line, call):
    """Call it, and interrupt it before so many lines of keeping; return whether it had as many."""
    seen = 0

    def trace(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename not in FILES or frame.f_code.co_name not in KEEPING:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 4])
def test_an_interrupt_before_any_line(config, images, tmp_path, cpu, epochs):
    recipe, line = every(config, epochs), 1
    while True:
        made = trained_once(recipe, images, tmp_path / str(line), cpu)
        if not interrupted_before(line, made.run_epoch):
            break
        made.interrupt()
        check_that_it_goes_on(recipe, images, made.folder, cpu)
        line += 1
    made.close()
    assert line > 40


def test_an_epoch_that_could_not_be_written_is_written_before_the_next(config, images, tmp_path, cpu, monkeypatch):
    def full(path, content):
        raise OSError("No space left on device")

    made = trained_once(config, images, tmp_path / "run", cpu)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "_write", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                made.run_epoch()
    assert made.epochs_done == 2
    assert made.run_epoch().epoch == 3
    made.close()
    assert [row.epoch for row in metrics_file.read(made.folder.metrics)] == [1, 2, 3]
