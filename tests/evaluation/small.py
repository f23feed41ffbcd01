"""A network so small that its likelihood can be integrated, and images for it."""

import torch

from iafsweep.config import EvaluationConfig, ImageFormat, ModelConfig, RunConfig
from iafsweep.models import build_model
from iafsweep.seeds import generator

MODEL = ModelConfig.model_validate(
    {
        "latent_size": 3,
        "posterior_offset": 0.0,
        "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [12]}},
        "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [12]}},
        "flow": {"depth": 2, "made": {"width": 6, "hidden_layers": 1}},
    }
)
GREY = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=generator("cpu", 1))


FLOWS = {
    "iaf": {},
    "planar": {},
    "sylvester": {"sylvester": {"columns": 2}},
    "naf": {"naf": {"units": 3}},
    "spline": {"spline": {"bins": 4}},
}


def model_of(flow):
    """The same with a flow of another kind."""
    values = MODEL.model_dump()
    return ModelConfig.model_validate(values | {"flow": values["flow"] | {"kind": flow} | FLOWS[flow]})


def small_model(flow="iaf"):
    return build_model(model_of(flow), ImageFormat((1, 8, 8)), seed=0).eval().requires_grad_(requires_grad=False)


def run_config(**evaluation):
    settings = {"importance_sampling": {"samples": 60}} | evaluation
    return RunConfig.model_validate(
        {"data": {"source": "mnist_mini"}, "evaluation": EvaluationConfig.model_validate(settings).model_dump()}
    )
