"""Finished runs and sweeps in a second: networks of a few units, two epochs on 460 pictures, without Ray."""

from __future__ import annotations

from pathlib import Path

import torch

from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, dump_config
from iafsweep.config.sweep import SweepConfig
from iafsweep.data import TrainingImages, load_training_images
from iafsweep.records import Estimate, Evaluation
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.files import dump_space
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.seeds import generator
from iafsweep.sweep.storage.events import Finished, Header, Proposed, Started, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.stored_sweep import space_hash
from iafsweep.training import RunFolder, Trainer

CPU = torch.device("cpu")
BASE = RunConfig.model_validate(
    {
        "data": {"source": "mnist_mini"},
        "model": {
            "latent_size": 4,
            "batch_norm_momentum": 0.1,
            "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
            "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
            "flow": {"depth": 2, "made": {"width": 8, "hidden_layers": 1}},
        },
        "training": {"epochs": 2, "batch_size": 50, "kl_warmup_epochs": 0, "learning_rate": 2e-3},
    }
)
SPACE = SearchSpace(
    base=BASE.model_copy(update={"title": "Which depth?"}),
    parameters=(
        Parameter("model.flow.depth", IntRange(0, 3)),
        Parameter("model.flow.made.width", Choice((4, 8)), parse_condition("model.flow.depth > 0")),
        Parameter("training.learning_rate", FloatRange(1e-3, 1e-2, None, True)),
    ),
    sweep=SweepConfig.model_validate({"trials": 4, "scheduler": "none", "max_concurrent": 1}),
)
VALUES = (
    {"model.flow.depth": 1, "model.flow.made.width": 8, "training.learning_rate": 0.004},
    {"model.flow.depth": 0, "training.learning_rate": 0.002},
)


def blobs() -> TrainingImages:
    """Round spots at random places: enough to learn from, milliseconds an epoch."""
    rows = torch.arange(28)
    centres = torch.randint(6, 22, (460, 2), generator=generator("cpu", 7))
    squared = (rows[None, :, None] - centres[:, 0, None, None]) ** 2 + (rows - centres[:, 1, None, None]) ** 2
    spots = (255 * torch.exp(-squared / 18)).to(torch.uint8)[:, None]
    return TrainingImages(spots[:360], spots[360:])


def finish_run(path: Path, config: RunConfig = BASE) -> RunFolder:
    """Train a configuration in ``path``."""
    folder = RunFolder(path)
    trainer = Trainer.start(config, blobs(), folder, CPU)
    for _ in range(config.training.epochs):
        trainer.run_epoch()
    trainer.finish()
    return taken_for_mnist_mini(folder)


def taken_for_mnist_mini(folder: RunFolder) -> RunFolder:
    """Let a run say that it was trained on its data set, so that it may be scored there; the pictures are quicker."""
    state = folder.read_state()
    images = load_training_images(folder.read_config().data, folder.path).fingerprints
    folder.write_state(state.model_copy(update={"images": images}))
    return folder


def figures(epoch: int) -> Evaluation:
    """Figures as scoring writes them, made up."""
    common = {"split": "test", "images": 100, "standard_error": 0.8, "seed": 0, "binarisation_seeds": (0,)}
    cost = {"network_evaluations": 1000, "gradient_evaluations": 0, "seconds": 1.0}
    weights = {"estimator_error": 0.01, "effective_sample_size": 9.0, "untrusted_share": 0.97}
    return Evaluation(
        checkpoint="best",
        epoch=epoch,
        parameters=1,
        device="cpu (1 threads)",
        estimates=(
            Estimate(method="negative_elbo", nll=101.5, settings="1 sample", samples=1, **common, **cost),
            Estimate(
                method="importance_sampling",
                nll=98.25,
                settings="1000 samples",
                samples=1000,
                **common,
                **cost,
                **weights,
            ),
        ),
    )


def finish_sweep(path: Path, space: SearchSpace = SPACE) -> SweepFolder:
    """Two trained trials, the first better and scored, one that failed, and one that waits."""
    folder = SweepFolder(path)
    folder.create()
    write_text(folder.space, dump_space(space))
    header = Header(sweep="abc", created="2026-01-01T00:00:00+00:00", seed=0, space=space_hash(space))
    with Ledger.create(folder.ledger, header) as ledger:
        for number, values in enumerate([*VALUES, VALUES[1], VALUES[0]], start=1):
            found = candidate(space, values, repeat=number)
            assert found is not None
            name, config = trial_name(number), found.config
            seed = config.training.seed
            ledger.append(
                Proposed(trial=name, number=number, parameters=dict(values), seed=seed, key=found.key, time="t")
            )
            if number > len(VALUES) + 1:
                break
            ledger.append(Started(trial=name, time="t"))
            if number > len(VALUES):
                ledger.append(
                    Finished(trial=name, status="failed", epochs=0, seconds=0.0, gpu_seconds=0.0, error="E", time="t")
                )
                continue
            state = finish_run(folder.trial(name), config).read_state()
            assert state.best is not None
            ledger.append(
                Finished(
                    trial=name,
                    status="completed",
                    epochs=state.epochs,
                    value=100.0 + number,
                    best_epoch=state.best.epoch,
                    best_value=100.0 + number,
                    seconds=state.seconds,
                    gpu_seconds=0.0,
                    device="cpu",
                    parameters=state.parameters,
                    time="t",
                )
            )
    best = RunFolder(folder.trial("t0001"))
    last = best.read_state().best
    assert last is not None
    best.write_evaluation(figures(last.epoch))
    return folder


def config_text(config: RunConfig) -> str:
    """A configuration as its file has it."""
    return dump_config(config)
