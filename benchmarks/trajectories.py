"""Find how long HMC trajectories should be: `python -m benchmarks.trajectories CACHE`, minutes on one core.

CACHE is the folder of `benchmarks.estimators`, with its trained model. Each setting gives the step size that a pilot
finds for the target acceptance, the angle (leapfrog steps x step size), and the variance of log-weights on test images
0 to 49, which no table of docs/estimators.md uses. The figures stand there, in "What each estimator computes".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.estimators import HERE
from iafsweep.config import EvaluationConfig, HaisConfig, load_config
from iafsweep.data import fixed_binarisation, load_test_images
from iafsweep.data_root import default_data_root
from iafsweep.estimators import annealed_importance_sampling, gradient_evaluations, linear_schedule
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.scoring import tune_on_test_images
from iafsweep.seeds import generator
from iafsweep.training import RunFolder, load_trained_model

IMAGES, CHAINS = 50, 64
# Temperatures, leapfrog steps, target acceptance. The costs are about equal, but a third higher for 160x2 and 100x3.
SETTINGS = ((80, 3, 0.87), (80, 3, 0.8), (120, 2, 0.8), (120, 2, 0.7), (160, 2, 0.7), (100, 3, 0.7), (60, 4, 0.8),
            (240, 1, 0.8))  # fmt: skip


def main(
    cache: Annotated[Path, typer.Argument(help="CACHE of benchmarks.estimators, with its trained model.")],
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of data sets; default: $IAFSWEEP_DATA, else a cache folder.")
    ] = None,
) -> None:
    """Measure each setting and print a table."""
    torch.set_num_threads(1)
    config = load_config(str(HERE / "mnist_mlp.toml"), [])
    trained = load_trained_model(RunFolder(cache / "model"), config.evaluation.checkpoint, torch.device("cpu"))
    model = trained.model.requires_grad_(requires_grad=False)
    test = load_test_images(config.data, (data_root or default_data_root()).expanduser().absolute())
    x = fixed_binarisation(test[:IMAGES], "test", config.data.binarisation_seed, 0)
    bridge = BRIDGES["posterior"](model, x, encode(model, x))
    print("| setting | step size | angle | acceptance | gradients per chain | variance of log-weights |")
    print("|---|---:|---:|---:|---:|---:|")
    for temperatures, steps, target in SETTINGS:
        # The default limit of the step size is itself under test here.
        hais = HaisConfig(
            chains=16, temperatures=20, leapfrog_steps=steps, target_acceptance=target, maximum_step_size=1.0,
            pilot_images=20,
        )  # fmt: skip
        pilot = tune_on_test_images(
            model,
            test[IMAGES:1000],
            config.model_copy(update={"evaluation": EvaluationConfig(hais=hais)}),
            config.data.binarisation_seed,
        )
        name = f"{temperatures},{steps},{target}"
        run = annealed_importance_sampling(
            bridge,
            CHAINS,
            linear_schedule(temperatures),
            step_size=pilot.step_size,
            leapfrog_steps=steps,
            generator=[generator("cpu", 0, name, 0, image) for image in range(IMAGES)],
            rows_per_chunk=400,
        )
        print(
            f"| {temperatures}x{steps} | {pilot.step_size:.3f} | {steps * pilot.step_size:.2f} | "
            f"{run.mean_acceptance_rate:.2f} | {gradient_evaluations(temperatures, steps)} | "
            f"{float(run.log_weights.var(0).mean()):.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
