"""What a configuration leads to, in values that can be compared: equal for equal configurations."""

import hashlib
import itertools

import torch
from rich.console import Console

from iafsweep.cli.single import train_and_score
from iafsweep.config import SOURCES, dump_config
from iafsweep.data import TrainingImages, load_training_images
from iafsweep.evaluation.evaluate import evaluate
from iafsweep.models import build_model
from iafsweep.seeds import generator
from iafsweep.training import RunFolder, Trainer
from iafsweep.training.computing import choose_computing

CPU = torch.device("cpu")


def _digest(tensor):
    return tuple(tensor.shape), hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()


def _pictures():
    grey = torch.randint(0, 256, (40, 1, 28, 28), generator=generator("cpu", 3), dtype=torch.uint8)
    return TrainingImages(grey[:30], grey[30:])


def written(config, folder):
    """The configuration as a file, for what is only shown."""
    return dump_config(config)


def source(config, folder):
    """Where images come from; full MNIST is too large to read here."""
    return SOURCES.load(config.data.source), config.data.facts


def images(config, folder):
    """Training and validation images."""
    return tuple(_digest(part) for part in load_training_images(config.data, folder))


def model(config, folder):
    """Weights after one pass in training mode (batch norm learns), and the posterior and logits of one batch."""
    net = build_model(config.model, config.image_format, seed=0)
    x = torch.rand((4, *config.image_format.shape), generator=generator("cpu", 1)).round()
    noise = torch.randn((4, config.model.latent_size), generator=generator("cpu", 2))
    net.train()
    net.decode(net.transform_noise(noise, net.encode(x))[0])
    net.eval()
    parameters = net.encode(x)
    z, log_det = net.transform_noise(noise, parameters)
    outputs = (parameters.mean, parameters.log_std, z, log_det, net.decode(z))
    return [(name, _digest(value)) for name, value in net.state_dict().items()], [_digest(value) for value in outputs]


def training(config, folder):
    """The metrics of every epoch but for the clock, and the weights at the end."""
    trainer = Trainer.start(config, _pictures(), RunFolder(folder / "run"), CPU)
    epochs = []
    while not trainer.is_done:
        epochs.append(trainer.run_epoch())
    trainer.close()
    metrics = [epoch.model_dump(exclude={"seconds", "images_per_second"}) for epoch in epochs]
    return metrics, [_digest(value) for value in trainer.model.state_dict().values()]


def computing(config, folder):
    """How the step computes, were it to be compiled; compiling itself takes too long here."""
    net = build_model(config.model, config.image_format, seed=0)
    return choose_computing(config, net, CPU)


def checkpoints(config, folder):
    """Whether each epoch wrote a checkpoint."""
    trainer = Trainer.start(config, _pictures(), RunFolder(folder / "run"), CPU)
    seen = [_last_checkpoint(folder / "run")]
    for _ in range(config.training.epochs):
        trainer.run_epoch()
        seen.append(_last_checkpoint(folder / "run"))
    trainer.close()
    return [before != after for before, after in itertools.pairwise(seen)]


def _last_checkpoint(folder):
    path = folder / "last.pt"
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def scores(config, folder):
    """Every figure of the evaluation of a model that was not trained, but for the clock."""
    net = build_model(config.model, config.image_format, seed=0).eval()
    grey = torch.randint(0, 256, (8, 1, 28, 28), generator=generator("cpu", 4), dtype=torch.uint8)
    found = evaluate(net, {"train": grey[:6], "test": grey}, config)
    return [figure.model_dump(exclude={"seconds"}) for figure in (*found.estimates, *found.sandwiches)]


def command(config, folder):
    """The figures that `run_single.py` leaves behind: which epoch's weights, and what they score."""
    run = RunFolder(folder / "run")
    code = train_and_score(
        config,
        run,
        device="cpu",
        threads=None,
        root=folder,
        resume=False,
        evaluate_only=False,
        console=Console(quiet=True),
    )
    evaluation = run.read_evaluation()
    return code, evaluation.epoch, [estimate.model_dump(exclude={"seconds"}) for estimate in evaluation.estimates]


FINGERPRINTS = {
    "written": written,
    "source": source,
    "images": images,
    "model": model,
    "training": training,
    "computing": computing,
    "checkpoints": checkpoints,
    "scores": scores,
    "command": command,
}
