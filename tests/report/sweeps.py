"""Sweep folders made of records alone: what a report has to cope with, in milliseconds."""

from __future__ import annotations

import math
import random
from contextlib import contextmanager

from PIL import Image

from iafsweep.config.files import build_config
from iafsweep.config.sweep import SweepConfig
from iafsweep.records import Best, EpochMetrics, Estimate, Evaluation, RunState, SandwichEstimate
from iafsweep.report.findings import read_contents
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.files import dump_space
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.sweep.storage.events import Began, Ended, Finished, Header, Proposed, Started, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep, space_hash
from iafsweep.training import RunFolder

TIME = "2026-01-02T03:04:05+00:00"


def space(trials=8, title="How deep?", epochs=10):
    base = {"title": title, "data": {"source": "mnist_mini"}, "training": {"epochs": epochs, "kl_warmup_epochs": 1}}
    flow = parse_condition("model.flow.depth > 0")
    return SearchSpace(
        base=build_config(base, "tests"),
        parameters=(
            Parameter("model.encoder.kind", Choice(("resnet", "gated_conv", "mlp"))),
            Parameter("model.latent_size", Choice((16, 32, 64))),
            Parameter("model.flow.depth", IntRange(0, 4)),
            Parameter("model.flow.made.width", Choice((64, 128)), flow),
            Parameter("training.learning_rate", FloatRange(1e-6, 1e-2, None, True)),
        ),
        sweep=SweepConfig(trials=trials, grace_epochs=4),
    )


class SweepMaker:
    """Writes a sweep folder, trial by trial."""

    def __init__(self, path, trials=8, title="How deep?", epochs=10, seed=0):
        self.folder = SweepFolder(path)
        self.folder.create()
        self.epochs = epochs
        self._random = random.Random(seed)
        self._count = 0
        searched = space(trials, title, epochs)
        self.folder.space.write_text(dump_space(searched))
        self._rows(Header(sweep="f" * 32, created=TIME, seed=7, space=space_hash(searched)))

    def add_rows(self, *rows):
        self._rows(*rows)
        return self

    def began(self):
        self._rows(Began(at_a_time=2, time=TIME))
        return self

    def ended(self, outcome="completed", reason=""):
        self._rows(Ended(outcome=outcome, reason=reason, time=TIME))
        return self

    def add(self, status="completed", *, count=1, error="", parameters=None, pictures=False):
        """Add trials that ended in a way; ``running`` ones began and have not."""
        for _ in range(count):
            self._one(status, error, parameters, pictures)
        return self

    def score(self, *trials, untrusted=0.02, sandwich=True):
        """Write the test figures of trials."""
        for trial in trials:
            run = RunFolder(self.folder.trial(trial))
            run.path.mkdir(exist_ok=True)
            run.write_evaluation(evaluation(untrusted, sandwich=sandwich))
        return self

    def _one(self, status, error, parameters, pictures):
        self._count += 1
        trial = trial_name(self._count)
        values = parameters or self._parameters()
        proposed = Proposed(trial=trial, number=self._count, parameters=values, seed=self._count, key=trial, time=TIME)
        self._rows(proposed, Started(trial=trial, time=TIME))
        done = {"completed": self.epochs, "stopped": 4, "running": 3, "diverged": 2}.get(status, 0)
        bounds = self._curve(values, done)
        run = RunFolder(self.folder.trial(trial))
        if done:
            run.path.mkdir(parents=True)
            seconds = 1.0 + values["model.flow.depth"]
            lines = [epoch_metrics(epoch, bound, seconds).model_dump_json() for epoch, bound in enumerate(bounds, 1)]
            run.metrics.write_text("".join(f"{line}\n" for line in lines))
        if status == "completed":
            best = Best(epoch=done, validation_negative_elbo=1.0)
            run.write_state(RunState(status="completed", epochs=done, best=best, seconds=1.0, parameters=1000))
        if status == "completed":
            run.best.touch()
        if pictures:
            for path in (run.samples, run.reconstructions):
                Image.effect_noise((60, 60), 60).save(path)
        if status != "running":
            best = min(bounds, default=None) if status in ("completed", "stopped") else None
            self._rows(
                Finished(
                    trial=trial,
                    status=status,
                    epochs=done,
                    value=bounds[-1] if best else None,
                    best_epoch=done if best else None,
                    best_value=best,
                    seconds=done * (1 + values["model.flow.depth"]),
                    gpu_seconds=0.0,
                    device="cpu (1 threads)",
                    parameters=1000,
                    error=error,
                    time=TIME,
                )  # fmt: skip
            )

    def _parameters(self):
        draw = self._random
        depth = draw.randint(0, 4)
        values = {
            "model.encoder.kind": draw.choice(["resnet", "gated_conv", "mlp"]),
            "model.latent_size": draw.choice([16, 32, 64]),
            "model.flow.depth": depth,
        }
        if depth:
            values["model.flow.made.width"] = draw.choice([64, 128])
        return values | {"training.learning_rate": 10 ** draw.uniform(-6, -2)}

    def _curve(self, values, epochs):
        kind = {"resnet": 0, "gated_conv": 2, "mlp": 6}.get(values["model.encoder.kind"], 9)
        best = 90 + kind - values["model.flow.depth"] + 3 * (math.log10(values["training.learning_rate"]) + 3) ** 2
        best += self._random.gauss(0, 0.4)
        return [best + 80 * math.exp(-3 * epoch / self.epochs) for epoch in range(1, epochs + 1)]

    def _rows(self, *rows):
        with self.folder.ledger.open("a") as file:
            file.writelines(row.model_dump_json() + "\n" for row in rows)


def epoch_metrics(epoch, bound, seconds=1.0):
    return EpochMetrics(
        epoch=epoch, kl_weight=1.0, learning_rate=1e-3, train_loss=bound, train_negative_elbo=bound,
        train_reconstruction=bound, train_kl=1.0, validation_negative_elbo=bound, images_per_second=1.0,
        seconds=seconds,
    )  # fmt: skip


def evaluation(untrusted, *, sandwich=True, nll=85.0):
    shared = {"split": "test", "seed": 0, "binarisation_seeds": (0,), "network_evaluations": 1,
              "gradient_evaluations": 0, "seconds": 1.0}  # fmt: skip
    weighted = {"standard_error": 0.5, "estimator_error": 0.01, "half_nll": nll + 0.1, "effective_sample_size": 30.0,
                "log_weight_variance": 0.8, "pareto_k": 0.4, "untrusted_share": untrusted}  # fmt: skip
    estimates = (
        Estimate(method="negative_elbo", images=1000, nll=nll + 5, standard_error=0.5, settings="1 sample", samples=1,
                 **shared),
        Estimate(method="importance_sampling", images=1000, nll=nll, settings="1000 samples", samples=1000,
                 **shared, **weighted),
        Estimate(method="hais", images=100, nll=nll - 0.5, settings="posterior 20x4x16", samples=16,
                 acceptance_rate=0.78, step_size=0.12, **shared, **weighted),
    )  # fmt: skip
    bounds = SandwichEstimate(
        start="posterior", images=50, lower=-85.2, lower_error=0.2, upper=-85.0, upper_error=0.2, gap=0.2,
        gap_error=0.05, untrusted_share=0.1, settings="20x4x16", seed=0, acceptance_rate=0.7, step_size=0.1,
        gradient_evaluations=80, seconds=1.0,
    )  # fmt: skip
    return Evaluation(
        checkpoint="best", epoch=10, parameters=1000, device="cpu", estimates=estimates,
        sandwiches=(bounds,) if sandwich else (),
    )  # fmt: skip


COMMAND = ["python", "run_sweep.py", "report", "runs/quick-1"]


def contents_of(folder, *show):
    """What the page says of a sweep."""
    return read_contents(read_sweep(folder), COMMAND, show)


def texts_of(values):
    """Every text of a page's data."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        for name, value in values.items():
            yield from [name, *texts_of(value)]
    elif isinstance(values, list):
        for value in values:
            yield from texts_of(value)


@contextmanager
def driver_at_work(folder):
    """Hold the folder as a driver does."""
    with folder.lock():
        yield
