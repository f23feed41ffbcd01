"""The same on the device as on the CPU: bound, gradients, log-weights, likelihoods by sampling and by annealing.

The noise is drawn on the CPU for both. Likelihoods are compared twice: in float32, as models are scored, and in
float64, where no rounding turns the decision of a Metropolis step, so that what is left is a fault of the program.
"""

from __future__ import annotations

import copy
from itertools import chain, count, islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.gpu.context import Context, run_step
from benchmarks.gpu.images import data_config, first_bits, root
from benchmarks.train import MODELS, SHAPE, endless
from iafsweep.config import ImageFormat, ModelConfig
from iafsweep.data import load_training_images
from iafsweep.estimators import annealed_importance_sampling, importance_sampling, linear_schedule
from iafsweep.evaluation.bridges import encode, posterior_bridge
from iafsweep.evaluation.scoring import noise_blocks
from iafsweep.models import VAE, build_model, folded
from iafsweep.models.precision import full_precision
from iafsweep.records import Precision
from iafsweep.training import resolve_device
from iafsweep.training.batches import EpochBatches
from iafsweep.training.computing import Computing
from iafsweep.training.gradient import mean_terms
from iafsweep.training.objective import fixed_noise, mean_bound
from iafsweep.training.step import TrainingStep

FLOAT32 = 1e-4
"""Relative, of bound and gradients; in nats an image, of likelihoods."""
MORE_THAN_A_CPU = 3.0
"""So many times the CPU's own loss by bfloat16 is allowed."""
PARTS_GRADIENT = 1e-3
"""Relative; on two devices a number may fall on different sides of a spline's knot."""
PARTS: dict[str, dict[str, Any]] = {
    "weight norm, autoregressive prior": {"normalisation": "weight_norm", "prior": {"kind": "autoregressive"}},
    "pixelcnn head": {
        "decoder": {
            "kind": "mlp",
            "mlp": {"hidden_sizes": [200]},
            "autoregressive": {"kind": "pixelcnn", "pixelcnn": {"maps": 8}},
        }
    },
    "spline_coupling prior": {"prior": {"kind": "spline_coupling"}},
    "vamp prior": {
        "normalisation": "weight_norm",
        "flow": {"depth": 0},
        "prior": {"kind": "vamp", "vamp": {"components": 50}},
    },
}
STEP_SIZE = 0.1
CPU = torch.device("cpu")


class Slope(NamedTuple):
    """A bound, nats per image, and its gradient, all parameters in one."""

    bound: float
    gradient: Tensor


def main(context: Context) -> None:
    """Compare."""
    sizes, device = context.sizes, resolve_device(context.device)
    config = MODELS[sizes.model].model_copy(update={"batch_norm_momentum": 0.1})  # for a few hundred steps
    x = first_bits(context, max(sizes.batch_size, sizes.compared_images))
    noise = fixed_noise(len(x), config.latent_size, CPU, "noise")
    _compare_slopes(context, config, x, noise, device)
    for name, parts in PARTS.items():
        other = ModelConfig.model_validate(config.model_dump() | parts)
        truth, there = (slope_of(other, x, noise, each, "float32") for each in (CPU, device))
        context.check(f"{name}: bound, relative", _relative(there.bound, truth.bound), FLOAT32)
        context.check(f"{name}: gradient, relative", _distance(there.gradient, truth.gradient), PARTS_GRADIENT)
    trained = _train_both(context, config, device)
    context.record(bound_after_training=mean_bound(trained, x.to(device), noise.to(device), len(x)).negative_elbo)
    x = x[: sizes.compared_images]
    _compare_folding(context, trained, x.to(device))
    for dtype in (torch.float32, torch.float64):
        _compare_likelihoods(context, trained, x, dtype)


def _compare_slopes(context: Context, config: ModelConfig, x: Tensor, noise: Tensor, device: torch.device) -> None:
    """Bound and gradients of a training batch, in both precisions, against float32 on the CPU."""
    truth = slope_of(config, x, noise, CPU, "float32")
    there = slope_of(config, x, noise, device, "float32")
    context.check("float32: bound, relative", _relative(there.bound, truth.bound), FLOAT32)
    context.check("float32: gradient, relative", _distance(there.gradient, truth.gradient), FLOAT32)
    lowered, lowered_there = (slope_of(config, x, noise, each, "bfloat16") for each in (CPU, device))
    for name, of in (("bound", lambda each: torch.tensor([each.bound])), ("gradient", lambda each: each.gradient)):
        here = _distance(of(lowered), of(truth))
        context.check(
            f"bfloat16: {name} against float32, relative",
            _distance(of(lowered_there), of(truth)),
            max(MORE_THAN_A_CPU * here, 1e-3),
        )
    context.require("bfloat16: networks compute in it, all else is float32", _is_lowered_as_told(config, x, device))


def slope_of(config: ModelConfig, x: Tensor, noise: Tensor, device: torch.device, precision: Precision) -> Slope:
    """Return the bound of a training batch and its gradient, computed on a device."""
    model = build_model(config, ImageFormat(SHAPE), seed=0).to(device).train()
    with full_precision():
        reconstruction, kl = mean_terms(model, Computing(precision, compiled=False))(x.to(device), noise.to(device))
        bound = reconstruction + kl
        bound.backward()
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    return Slope(float(bound.detach()), torch.cat([each.detach().double().cpu().flatten() for each in gradients]))


def _relative(value: float, truth: float) -> float:
    return abs(value - truth) / abs(truth)


def _distance(value: Tensor, truth: Tensor) -> float:
    return float((value - truth).norm() / truth.norm())


def _is_lowered_as_told(config: ModelConfig, x: Tensor, device: torch.device) -> bool:
    """Whether convolutions and products give bfloat16, and all that is kept or summed is float32, after a step."""
    model = build_model(config, ImageFormat(SHAPE), seed=0).to(device)
    given: set[torch.dtype] = set()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda _, __, output: given.add(output.dtype))
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    step = TrainingStep(model, optimiser, Computing("bfloat16", compiled=False))
    means = step(next(endless(config, len(x), device)), 1.0)
    kept = [means, *model.state_dict().values(), *(each.grad for each in model.parameters() if each.grad is not None)]
    kept += [each for state in optimiser.state.values() for each in state.values()]
    return given == {torch.bfloat16} and {each.dtype for each in kept if each.is_floating_point()} == {torch.float32}


def _train_both(context: Context, config: ModelConfig, device: torch.device) -> VAE:
    """Train some steps in each precision on the same batches; return the model of float32, in eval mode."""
    models = {}
    x = first_bits(context, 1000).to(device)
    noise = fixed_noise(len(x), config.latent_size, device, "validation")
    bounds = {}
    images = load_training_images(data_config(context), root()).training.to(device)
    for precision in ("bfloat16", "float32"):
        model = build_model(config, ImageFormat(SHAPE), seed=0).to(device).train()
        optimiser = torch.optim.Adam(model.parameters(), fused=True)
        step = TrainingStep(model, optimiser, Computing(precision, compiled=False))
        epochs = (EpochBatches(images, context.sizes.batch_size, config.latent_size, 0, epoch) for epoch in count())
        for batch in islice(chain.from_iterable(epochs), context.sizes.short_training):
            step(batch, 1.0)
        with full_precision():
            bounds[precision] = mean_bound(model, x, noise, 500).negative_elbo
        models[precision] = model.eval().requires_grad_(requires_grad=False)
    context.record(short_training={"steps": context.sizes.short_training, **bounds})
    return models["float32"]


def _compare_folding(context: Context, model: VAE, x: Tensor) -> None:
    """Log-weights of a model as it trains and of the folded one that scores."""
    noise = fixed_noise(50 * len(x), model.latent_size, x.device, "folding").unflatten(0, (50, len(x)))
    with full_precision(), torch.no_grad():
        plain, fast = (
            posterior_bridge(each, x, encode(each, x)).log_densities(noise)[1] for each in (model, folded(model))
        )
    difference = (plain - fast).double()
    context.record(folding_largest=float(difference.abs().max()))
    context.check("folded: mean log-weight, nats", float(difference.mean(0).abs().max()), FLOAT32)


def _compare_likelihoods(context: Context, trained: VAE, x: Tensor, dtype: torch.dtype) -> None:
    """Likelihoods of the images by both methods, on the device and on the CPU."""
    device = next(trained.parameters()).device
    name = str(dtype).removeprefix("torch.")
    models = [folded(copy.deepcopy(trained).to(each, dtype)) for each in (device, CPU)]
    for method, of in (("IS", _sampled), ("HAIS", _annealed)):
        there, here = (of(context, each, x.to(next(each.parameters()).device, dtype)).cpu() for each in models)
        differences = (there - here).abs()
        context.append(
            "likelihoods",
            {"method": method, "precision": name, "images": len(x), "device": float(there.mean()),
             "cpu": float(here.mean()), "largest": float(differences.max())},
        )  # fmt: skip
        context.check(f"{name}: {method} of {len(x)} images, nats", float((there - here).mean().abs()), FLOAT32)
        if dtype is torch.float64:
            context.check(f"{name}: {method}, every image, nats", float(differences.max()), FLOAT32)


def _sampled(context: Context, model: VAE, x: Tensor) -> Tensor:
    noise = noise_blocks(0, "importance_sampling", "test", 0, range(len(x)))
    with full_precision():
        bridge = posterior_bridge(model, x, encode(model, x))
        return importance_sampling(bridge, context.sizes.compared_samples, noise.open()).summary().log_likelihood


def _annealed(context: Context, model: VAE, x: Tensor) -> Tensor:
    temperatures, leapfrog_steps, chains = context.sizes.compared_annealing
    noise = noise_blocks(0, "hais", "test", 0, range(len(x)))
    with full_precision():
        run = annealed_importance_sampling(
            posterior_bridge(model, x, encode(model, x)),
            chains,
            linear_schedule(temperatures),
            step_size=STEP_SIZE,
            leapfrog_steps=leapfrog_steps,
            generator=noise.open(),
        )
    return run.statistics.summary().log_likelihood


if __name__ == "__main__":
    run_step(main)
