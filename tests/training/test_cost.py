"""An epoch costs what every other costs: its number, the epochs behind it and the length of the log do not matter."""

import os
import time
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from iafsweep.config import RunConfig
from iafsweep.training import RunFolder, Trainer
from iafsweep.training.step import TrainingStep

IO = Path("/proc/self/io")


class CountedOperations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def written_and_read():
    """Bytes this process has written and read so far, by system calls."""
    found = dict(line.split(": ") for line in IO.read_text().splitlines())
    return int(found["wchar"]), int(found["rchar"])


@pytest.mark.skipif(not IO.exists(), reason="counts bytes where Linux does")
def test_a_late_epoch_costs_what_an_early_one_does(config, images, tmp_path, cpu):
    values = config.model_dump()
    values["training"] |= {"epochs": 2000, "kl_warmup_epochs": 0}
    folder = RunFolder(tmp_path / "run")
    trainer = Trainer.start(RunConfig.model_validate(values), images, folder, cpu)
    costs = {}
    for _ in range(34):
        epoch = trainer.epochs_done + 1
        if epoch == 30:  # a log as of a run a hundred times as long
            for path in (folder.metrics, folder.log):
                path.write_bytes(path.read_bytes() * 100)
            trainer.best = trainer.best.model_copy(update={"validation_negative_elbo": -1e9})
        if epoch in (4, 34):  # pictures are drawn after 1, 2, 5, 10, 20, ...
            trainer.best = trainer.best.model_copy(update={"validation_negative_elbo": -1e9})
            before = written_and_read()
            with CountedOperations() as operations:
                trainer.run_epoch()
            after = written_and_read()
            files = len(os.listdir(folder.path))
            costs[epoch] = operations.count, after[0] - before[0], after[1] - before[1], files
        else:
            trainer.run_epoch()
    trainer.close()
    early, late = costs[4], costs[34]
    assert early[0] == late[0]  # operations of PyTorch
    assert late[1] == pytest.approx(early[1], abs=100)  # bytes written: numbers differ in their digits
    assert late[2] == pytest.approx(early[2], abs=1000)  # bytes read
    assert early[3] == late[3]


def test_nothing_in_an_epoch_waits_for_the_device(config, images, tmp_path, cpu):
    """Values cross to Python once, when the epoch's sums are read; on a GPU each crossing would wait for the queue."""
    trainer = Trainer.start(config, images, RunFolder(tmp_path / "run"), cpu)
    crossings = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
                crossings.append(func)
            return func(*args, **(kwargs or {}))

    with Watched():
        trainer._train(trainer._begin(), None)
    trainer.close()
    assert crossings == []


class Slow(torch.Tensor):
    """What a step returns on a device that is still at work: reading it takes a while."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.cpu, torch.Tensor.tolist, torch.Tensor.item):
            time.sleep(0.3)
            return func(args[0].as_subclass(torch.Tensor), *args[1:], **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs or {})


def test_images_a_second_are_counted_until_the_device_is_done(config, images, tmp_path, cpu, monkeypatch):
    step = TrainingStep.__call__
    monkeypatch.setattr(TrainingStep, "__call__", lambda *arguments: step(*arguments).as_subclass(Slow))
    trainer = Trainer.start(config, images, RunFolder(tmp_path / "run"), cpu)
    metrics = trainer.run_epoch()
    trainer.close()
    assert metrics.images_per_second < 350 / 0.3
