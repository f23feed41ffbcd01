"""Training in anyone's Ray Tune script, and back from there; the only part of ``api``'s kind that needs Ray.

``trial`` an ordinary Tune trainable · ``param_space`` what Tune's words for a space mean · ``results`` a ``ResultGrid``
as a model or as a sweep.

Example (docs/ray_tune.md has all of it):

    tuner = tune.Tuner(
        tune.with_resources(iafsweep.tune.trainable(base="reference"), {"cpu": 1, "gpu": 0.5}),
        param_space={"model.latent_size": tune.choice([16, 32, 64])},
        tune_config=tune.TuneConfig(metric="validation_negative_elbo", mode="min", num_samples=8),
    )
    model = iafsweep.tune.load_best(tuner.fit()).model
"""

from iafsweep.tune.results import import_results, load_best
from iafsweep.tune.trial import TuneTrial, trainable

__all__ = ["TuneTrial", "import_results", "load_best", "trainable"]
