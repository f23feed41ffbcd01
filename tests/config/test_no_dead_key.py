"""No key of the configuration is dead: each, changed to another legal value, changes something that is computed.

A new field needs one line in CHANGES: what must be set for it to matter, another legal value, and where it shows.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from iafsweep.config import RunConfig, dump_config, field_paths, get_path
from iafsweep.config.files import build_config, with_values
from tests.config.fingerprints import FINGERPRINTS


class Change(NamedTuple):
    """One field's proof of life."""

    base: dict[str, Any]  # set before and after
    value: Any  # another legal value
    fingerprint: str  # what then differs


TINY = {
    "data.source": "mnist_mini",
    "model.latent_size": 3,
    "model.posterior_offset": -1.0,
    "model.batch_norm_momentum": 0.1,
    "model.encoder.kind": "mlp",
    "model.decoder.kind": "mlp",
    "model.flow.depth": 1,
    "model.flow.made.width": 4,
    "model.flow.made.hidden_layers": 1,
    "training.epochs": 2,
    "training.batch_size": 10,
    "training.kl_warmup_epochs": 0,
    "evaluation.bound_images": 4,
    "evaluation.importance_sampling.samples": 2,
    "evaluation.importance_sampling.images": 4,
    "evaluation.hais.enabled": True,
    "evaluation.hais.images": 4,
    "evaluation.hais.chains": 2,
    "evaluation.hais.temperatures": 3,
    "evaluation.hais.leapfrog_steps": 2,
    "evaluation.hais.pilot_images": 2,
    "evaluation.hais.pilot_passes": 1,
} | {
    f"model.{path}": value
    for side in ("encoder", "decoder")
    for path, value in {
        f"{side}.mlp.hidden_sizes": [5],
        f"{side}.resnet.maps": 2,
        f"{side}.gated_conv.maps": 2,
    }.items()
}
RESNETS = {"model.encoder.kind": "resnet", "model.decoder.kind": "resnet", "model.encoder.resnet.hidden_size": 4}
GATED = {
    "model.encoder.kind": "gated_conv",
    "model.decoder.kind": "gated_conv",
    "model.encoder.gated_conv.hidden_size": 4,
}
SYLVESTER = {"model.flow.kind": "sylvester", "model.flow.context_size": 5, "model.flow.sylvester.columns": 2}
HOUSEHOLDER = SYLVESTER | {"model.flow.sylvester.variant": "householder"}
NAF, SPLINE = {"model.flow.kind": "naf"}, {"model.flow.kind": "spline"}
AUTOREGRESSIVE = {"model.prior.kind": "autoregressive", "model.prior.autoregressive.width": 4}
COUPLING = {"model.prior.kind": "spline_coupling", "model.prior.spline_coupling.width": 4}
VAMP = {
    "model.prior.kind": "vamp",
    "model.prior.vamp.components": 2,
    "model.flow.depth": 0,
    "model.normalisation": "none",
}
LEVELS = {"data.binarisation": "none", "model.likelihood.kind": "discretised_logistic"}
MIXTURE = LEVELS | {"model.likelihood.kind": "discretised_logistic_mixture"}
HEAD = {
    "model.decoder.autoregressive.kind": "pixelcnn",
    "model.decoder.autoregressive.pixelcnn.layers": 1,
    "model.decoder.autoregressive.pixelcnn.maps": 2,
    "model.decoder.autoregressive.pixelcnn.features": 1,
}
LINEAR = {"model.flow.made.context_mode": "linear"}
# One epoch of two large steps: the next one makes it worse, so that the last epoch is not the best.
WORSENS = {"data.validation_images": 100, "training.batch_size": 4950, "training.learning_rate": 0.5}
AVERAGED = {"training.weight_average": 0.5}
COSINE = {"training.learning_rate_schedule": "cosine"}
DECAYED = {"training.optimiser": "adamw"}
SEVERAL = {"training.objective": "iwae", "training.objective_samples": 2}
PILOT = {"evaluation.hais.pilot_passes": 3}
SANDWICH = {"evaluation.sandwich.enabled": True, "evaluation.sandwich.images": 3}
# The target is out of reach, so that the budget decides.
SEARCH = {"evaluation.until_error.target": 1e-9, "evaluation.until_error.budget_evaluations": 400}

FILES = Path(__file__).parent.parent / "data" / "files"
OWN = {"data.source": "file", "data.path": str(FILES / "colour.npz")}  # 20 images 3 x 8 x 6, floats
FOUND = {
    "shape": [1, 28, 28], "levels": 256, "training_images": 9000, "test_images": 1000, "validation_images": 900,
    "validation_is_last": False, "training_checksum": "0" * 32, "test_checksum": "1" * 32,
}  # fmt: skip

CHANGES = {
    "title": Change({}, "another", "written"),
    "data.source": Change({}, "mnist", "source"),
    "data.path": Change(OWN, str(FILES / "grey.npz"), "images"),
    "data.image_size": Change(OWN, [4, 5], "images"),
    "data.grey": Change(OWN, True, "images"),
    "data.invert": Change(OWN, True, "images"),
    "data.levels": Change(OWN, 17, "images"),
    "data.images": Change({"data.source": "file"}, FOUND, "written"),
    "data.validation_images": Change({}, 500, "images"),
    "data.split_seed": Change({}, 1, "images"),
    "data.binarisation_seed": Change({}, 1, "training"),
    "data.binarisation": Change({}, "threshold", "training"),
    "model.likelihood.kind": Change(LEVELS, "discretised_logistic_mixture", "model"),
    "model.likelihood.discretised_logistic_mixture.components": Change(MIXTURE, 3, "model"),
    "model.latent_size": Change({}, 4, "model"),
    "model.posterior_offset": Change({}, -2.0, "model"),
    "model.batch_norm_momentum": Change({}, 0.5, "model"),
    "model.encoder.kind": Change({}, "gated_conv", "model"),
    "model.encoder.dropout": Change({}, 0.5, "training"),
    "model.encoder.resnet.maps": Change(RESNETS, 3, "model"),
    "model.encoder.resnet.hidden_size": Change(RESNETS, 5, "model"),
    "model.encoder.gated_conv.maps": Change(GATED, 3, "model"),
    "model.encoder.gated_conv.hidden_size": Change(GATED, 5, "model"),
    "model.encoder.mlp.hidden_sizes": Change({}, [6], "model"),
    "model.decoder.kind": Change({}, "gated_conv", "model"),
    "model.decoder.dropout": Change({}, 0.5, "training"),
    "model.decoder.resnet.maps": Change(RESNETS, 3, "model"),
    "model.decoder.gated_conv.maps": Change(GATED, 3, "model"),
    "model.decoder.mlp.hidden_sizes": Change({}, [6], "model"),
    "model.decoder.autoregressive.kind": Change({}, "pixelcnn", "model"),
    "model.decoder.autoregressive.pixelcnn.layers": Change(HEAD, 2, "model"),
    "model.decoder.autoregressive.pixelcnn.maps": Change(HEAD, 3, "model"),
    "model.decoder.autoregressive.pixelcnn.kernel": Change(HEAD, 3, "model"),
    "model.decoder.autoregressive.pixelcnn.features": Change(HEAD, 2, "model"),
    "model.flow.kind": Change({}, "planar", "model"),
    "model.flow.depth": Change({}, 2, "model"),
    "model.flow.gated": Change({}, False, "model"),
    "model.flow.context_size": Change(LINEAR, 7, "model"),
    "model.flow.made.width": Change({}, 5, "model"),
    "model.flow.made.hidden_layers": Change({}, 2, "model"),
    "model.flow.made.context_mode": Change({}, "linear", "model"),
    "model.flow.made.batch_norm": Change({}, False, "model"),
    "model.flow.sylvester.variant": Change(SYLVESTER, "triangular", "model"),
    "model.flow.sylvester.columns": Change(SYLVESTER, 3, "model"),
    "model.flow.sylvester.reflections": Change(HOUSEHOLDER, 3, "model"),
    "model.flow.naf.units": Change(NAF, 3, "model"),
    "model.flow.spline.bins": Change(SPLINE, 3, "model"),
    "model.flow.spline.bound": Change(SPLINE, 2.0, "model"),
    "model.normalisation": Change({}, "weight_norm", "model"),
    "model.prior.kind": Change({}, "autoregressive", "model"),
    "model.prior.autoregressive.depth": Change(AUTOREGRESSIVE, 1, "model"),
    "model.prior.autoregressive.width": Change(AUTOREGRESSIVE, 5, "model"),
    "model.prior.autoregressive.hidden_layers": Change(AUTOREGRESSIVE, 1, "model"),
    "model.prior.spline_coupling.depth": Change(COUPLING, 3, "model"),
    "model.prior.spline_coupling.width": Change(COUPLING, 5, "model"),
    "model.prior.spline_coupling.hidden_layers": Change(COUPLING, 1, "model"),
    "model.prior.spline_coupling.bins": Change(COUPLING, 3, "model"),
    "model.prior.spline_coupling.bound": Change(COUPLING, 1.0, "training"),
    "model.prior.vamp.components": Change(VAMP, 3, "model"),
    "training.epochs": Change({}, 3, "training"),
    "training.batch_size": Change({}, 12, "training"),
    "training.optimiser": Change({}, "adamax", "training"),
    "training.weight_decay": Change(DECAYED, 0.1, "training"),
    "training.gradient_clip": Change({}, 0.1, "training"),
    "training.learning_rate": Change({}, 2e-3, "training"),
    "training.learning_rate_decay": Change({"training.learning_rate_decay_epochs": 1}, 0.25, "training"),
    "training.learning_rate_decay_epochs": Change({}, 1, "training"),
    "training.learning_rate_schedule": Change({}, "cosine", "training"),
    "training.learning_rate_end": Change(COSINE, 0.5, "training"),
    "training.learning_rate_warmup_epochs": Change({}, 1, "training"),
    "training.kl_warmup_epochs": Change({}, 2, "training"),
    "training.free_bits": Change({}, 1e6, "training"),
    "training.objective": Change({"training.objective_samples": 2}, "iwae", "training"),
    "training.objective_samples": Change(SEVERAL, 3, "training"),
    "training.objective_from_epoch": Change(SEVERAL, 1, "training"),
    "training.weight_average": Change({}, 0.5, "training"),
    "training.weight_average_images": Change(AVERAGED, 15, "training"),
    "training.early_stopping_epochs": Change({"training.epochs": 5, "training.learning_rate": 0.5}, 1, "training"),
    "training.seed": Change({}, 1, "training"),
    "training.checkpoint_every_epochs": Change({"training.epochs": 3}, 2, "checkpoints"),
    "training.checkpoint_every_minutes": Change(
        {"training.epochs": 3, "training.checkpoint_every_epochs": 3}, 1e-9, "checkpoints"
    ),
    "training.precision": Change({}, "bfloat16", "training"),
    "training.compile": Change({}, "on", "computing"),
    "evaluation.checkpoint": Change(WORSENS, "last", "command"),
    "evaluation.seed": Change({}, 1, "scores"),
    "evaluation.bound_images": Change({}, 5, "scores"),
    "evaluation.binarisations": Change({}, 2, "scores"),
    "evaluation.importance_sampling.samples": Change({}, 3, "scores"),
    "evaluation.importance_sampling.images": Change({}, 5, "scores"),
    "evaluation.hais.enabled": Change({}, False, "scores"),
    "evaluation.hais.start": Change({}, "prior", "scores"),
    "evaluation.hais.images": Change({}, 5, "scores"),
    "evaluation.hais.chains": Change({}, 3, "scores"),
    "evaluation.hais.temperatures": Change({}, 4, "scores"),
    "evaluation.hais.leapfrog_steps": Change({}, 3, "scores"),
    "evaluation.hais.schedule": Change({}, "sigmoid", "scores"),
    "evaluation.hais.initial_step_size": Change({}, 0.2, "scores"),
    "evaluation.hais.minimum_step_size": Change(
        {"evaluation.hais.initial_step_size": 0.9, "evaluation.hais.maximum_step_size": 1.0}, 0.9, "scores"
    ),
    "evaluation.hais.maximum_step_size": Change({}, 0.1, "scores"),
    "evaluation.hais.target_acceptance": Change(PILOT, 0.1, "scores"),
    "evaluation.hais.pilot_images": Change({}, 3, "scores"),
    "evaluation.hais.pilot_passes": Change({}, 2, "scores"),
    "evaluation.sandwich.enabled": Change({}, True, "scores"),
    "evaluation.sandwich.images": Change(SANDWICH, 4, "scores"),
    "evaluation.sandwich.starts": Change(SANDWICH, ["prior", "base"], "scores"),
    "evaluation.until_error.target": Change({}, 1e6, "scores"),
    "evaluation.until_error.budget_evaluations": Change(SEARCH, 100, "scores"),
    "evaluation.until_error.budget_seconds": Change(SEARCH, 1e-9, "scores"),
}


def config_of(change: Change, **values) -> RunConfig:
    return build_config(with_values({}, TINY | change.base | values), "test")


def test_every_field_has_its_line():
    assert set(CHANGES) == set(field_paths(RunConfig))


@pytest.fixture(scope="module")
def fingerprint(tmp_path_factory):
    """Fingerprints by name and configuration; many fields share the configuration before the change."""
    known = {}

    def compute(name, config):
        key = (name, dump_config(config))
        if key not in known:
            known[key] = FINGERPRINTS[name](config, tmp_path_factory.mktemp("run"))
        return known[key]

    return compute


@pytest.mark.parametrize("path", CHANGES)
def test_field_changes_something(path, fingerprint):
    change = CHANGES[path]
    before, after = config_of(change), config_of(change, **{path: change.value})
    assert get_path(before, path) != get_path(after, path)
    assert fingerprint(change.fingerprint, before) != fingerprint(change.fingerprint, after)


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_fingerprints_are_equal_for_equal_configurations(name, fingerprint, tmp_path):
    change = next(change for change in CHANGES.values() if change.fingerprint == name)
    config = config_of(change)
    assert FINGERPRINTS[name](config, tmp_path) == fingerprint(name, config)
