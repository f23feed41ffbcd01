"""A trial's share of the device's memory holds, and a lack of memory is told as one, not as a fault of the device."""

from __future__ import annotations

import gc
import shutil

import torch
from torch import Tensor

from benchmarks.gpu.context import Context, run_step
from benchmarks.gpu.images import data_config, root
from benchmarks.gpu.share import ON_A_CPU, SHARE, take_quarter
from benchmarks.train import MODELS
from iafsweep.config import RunConfig
from iafsweep.data import load_training_images
from iafsweep.sweep.cluster.device import is_gpu_fault, is_transient
from iafsweep.training import RunFolder, Trainer
from iafsweep.training.device import device_memory, is_out_of_memory

PIECES = 40
"""The share is filled in so many pieces."""


def main(context: Context) -> None:
    """Fill the share, then train what does not fit, then what does."""
    config = too_large(context)
    images = load_training_images(config.data, root())
    device = take_quarter(SHARE)
    share = int(0.95 * SHARE * (device_memory(device) or 0)) if device.type == "cuda" else ON_A_CPU
    error, taken = _fill(device, share // PIECES)
    context.record(share=share, taken=taken, filling=_first_line(error))
    context.check("memory taken, of the share", taken / share, 1.0)
    context.check("memory left, of the share", 1 - taken / share, 0.5)
    _told_as_lack(context, "filling the share", error)
    del error
    _give_back()
    try:
        folder = context.work / "gpu-too-large"
        shutil.rmtree(folder, ignore_errors=True)
        Trainer.start(config, images, RunFolder(folder), device).run_epoch()
    except (MemoryError, RuntimeError) as found:
        context.record(training=_first_line(found))
        _told_as_lack(context, "training with too large a batch", found)
    else:
        context.require("training with too large a batch ends", holds=False)
    _give_back()
    smaller = torch.rand((1000, 1000), device=device)
    context.require("the process computes on after it", torch.isfinite(smaller @ smaller).all())


def too_large(context: Context) -> RunConfig:
    """Return a configuration whose batch does not fit into the share."""
    config = RunConfig(data=data_config(context), model=MODELS[context.sizes.model])
    changes = {"batch_size": context.sizes.too_large, "precision": "float32", "compile": "off", "epochs": 1}
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def _fill(device: torch.device, piece: int) -> tuple[Exception, int]:
    """Take memory until there is no more; return what is raised then, and the bytes that were had."""
    held: list[Tensor] = []
    while len(held) < 2 * PIECES:
        try:
            held.append(torch.empty(piece, dtype=torch.uint8, device=device))
        except (MemoryError, RuntimeError) as error:
            return error.with_traceback(None), piece * len(held)
    return RuntimeError("there is no limit"), piece * len(held)


def _told_as_lack(context: Context, when: str, error: BaseException) -> None:
    context.require(f"{when}: out of memory", is_out_of_memory(error))
    context.require(f"{when}: no fault of the device", not is_gpu_fault(error) and not is_transient(error))


def _give_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:300]


if __name__ == "__main__":
    run_step(main)
