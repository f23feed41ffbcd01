import pytest
import torch

from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages
from iafsweep.seeds import generator

TINY = {
    "data": {"source": "mnist_mini", "validation_images": 1000},
    "model": {
        "latent_size": 4,
        "posterior_offset": -1.0,
        "batch_norm_momentum": 0.1,
        "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
        "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
        "flow": {"depth": 2, "made": {"width": 8, "hidden_layers": 1}},
    },
    "training": {"epochs": 4, "batch_size": 50, "kl_warmup_epochs": 2, "learning_rate": 2e-3},
}


@pytest.fixture
def config():
    return RunConfig.model_validate(TINY)


@pytest.fixture(scope="session")
def images():
    """A few hundred blob-like pictures: enough to learn from, tiny enough for milliseconds an epoch."""
    draws = generator("cpu", 7)
    rows = torch.arange(28)
    centres = torch.randint(6, 22, (460, 2), generator=draws)
    squared = (rows[None, :, None] - centres[:, 0, None, None]) ** 2 + (rows - centres[:, 1, None, None]) ** 2
    blobs = (255 * torch.exp(-squared / 18)).to(torch.uint8)[:, None]
    return TrainingImages(blobs[:360], blobs[360:])


@pytest.fixture
def cpu():
    return torch.device("cpu")
