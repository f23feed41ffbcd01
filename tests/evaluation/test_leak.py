"""A leak in the masks makes log-dets wrong and likelihoods too good to be true.

HAIS from the prior, which never uses the flow, then disagrees with importance sampling, which does.
"""

import pytest
import torch

from iafsweep.config import RunConfig
from iafsweep.data import load_test_images, load_training_images
from iafsweep.estimators.standard_errors import paired_difference
from iafsweep.evaluation.evaluate import evaluate
from iafsweep.evaluation.shards import column
from iafsweep.models.made import MaskedLayer
from iafsweep.training import RunFolder, Trainer

CONFIG = RunConfig.model_validate(
    {
        "data": {"source": "mnist_mini"},
        "model": {
            "latent_size": 8,
            "posterior_offset": -1.0,
            "batch_norm_momentum": 0.1,
            "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [100]}},
            "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [100]}},
            "flow": {"depth": 2, "made": {"width": 32, "hidden_layers": 1}},
        },
        "training": {"epochs": 3, "batch_size": 100, "kl_warmup_epochs": 0, "learning_rate": 3e-3},
        "evaluation": {
            "bound_images": 40,
            "importance_sampling": {"samples": 500, "images": 40},
            "hais": {
                "enabled": True,
                "start": "prior",
                "images": 40,
                "temperatures": 200,
                "leapfrog_steps": 5,
                "chains": 8,
                "pilot_images": 10,
            },
        },
    }
)


def advantage_of_importance_sampling(folder, *, leak):
    """Mean difference of log p(x), importance sampling minus HAIS, in its standard errors."""
    cpu = torch.device("cpu")
    trainer = Trainer.start(CONFIG, load_training_images(CONFIG.data, folder), RunFolder(folder / "run"), cpu)
    if leak:
        for layer in trainer.model.modules():
            if isinstance(layer, MaskedLayer):
                layer.mask.fill_(1.0)
    for _ in range(CONFIG.training.epochs):
        trainer.run_epoch()
    trainer.close()
    test = load_test_images(CONFIG.data, folder)
    shards = evaluate(trainer.model.eval(), {"test": test}, CONFIG).shards
    scores = {
        method: column([shard for shard in shards if shard.shard.method == method], "log_likelihood")
        for method in ("importance_sampling", "hais")
    }
    difference = paired_difference(scores["importance_sampling"], scores["hais"])
    return difference.value / difference.standard_error


@pytest.mark.slow
def test_importance_sampling_is_not_better_than_hais(tmp_path):
    assert advantage_of_importance_sampling(tmp_path, leak=False) < 3


@pytest.mark.slow
def test_a_leak_would_show(tmp_path):
    assert advantage_of_importance_sampling(tmp_path, leak=True) > 3
