"""A trial of a sweep that runs out of memory ends as `oom`, in the class that Ray drives, without Ray running."""

from __future__ import annotations

import shutil

from benchmarks.gpu.context import Context, run_step
from benchmarks.gpu.images import root
from benchmarks.gpu.memory import too_large
from benchmarks.gpu.share import SHARE, take_quarter
from iafsweep.data import load_training_images
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.tune.trainable import SweepTrial
from iafsweep.sweep.tune.trial_run import TrialSettings, open_trainer


def main(context: Context) -> None:
    """Train one epoch of a trial that does not fit into its share."""
    path = context.work / "gpu-trial"
    shutil.rmtree(path, ignore_errors=True)
    folder = SweepFolder(path)
    folder.create()
    config = too_large(context)
    images = load_training_images(config.data, root())
    settings = TrialSettings(folder.path, 1, (), open_trainer, take_quarter)
    trial = SweepTrial.__new__(SweepTrial)
    values = {"trial": "t0001", "config": config.model_dump_json(), "gpus": SHARE}
    trial.setup(values, images.training.numpy(), images.validation.numpy(), settings)
    report = trial.step()
    trial.cleanup()
    context.record(status=report["status"], error=str(report["error"])[:300])
    context.require("a trial without memory ends as oom", report["status"] == "oom")


if __name__ == "__main__":
    run_step(main)
