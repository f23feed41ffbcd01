import re

import pytest

from benchmarks import count
from benchmarks.train import MODELS, SHAPE
from iafsweep.config import ImageFormat
from iafsweep.models import build_model
from iafsweep.models.made import MaskedLayer


def test_products_are_counted_twice_a_weight_and_a_step_is_three_times_forward(capsys):
    model = build_model(MODELS["mlp"], ImageFormat(SHAPE), seed=0)
    masked = [module for module in model.modules() if isinstance(module, MaskedLayer)]
    dense, kept = (2 * sum(float(each) for each in numbers) for numbers in (
        [layer.mask.numel() for layer in masked], [layer.mask.sum() for layer in masked],
    ))  # fmt: skip
    found = count.count(model)
    assert found.forward["flow"] == pytest.approx(dense)
    assert found.needed == pytest.approx(kept)
    assert found.step == pytest.approx(3 * sum(found.forward.values()))

    count.main(model="tiny")
    bounds = re.search(
        r"limit set by products: ([\d,]+) images/s; by memory traffic, if nothing is fused: ([\d,]+) images/s",
        capsys.readouterr().out,
    )
    assert all(int(each.replace(",", "")) > 0 for each in bounds.groups())
