"""Full float32 for a while; what the user had set is put back, set through PyTorch's older or newer switches."""

import pytest
import torch

from iafsweep.models.precision import full_precision

SWITCHES = {
    "products on a GPU": torch.backends.cuda.matmul,
    "convolutions on a GPU": torch.backends.cudnn.conv,
    "products on a CPU": torch.backends.mkldnn.matmul,
    "convolutions on a CPU": torch.backends.mkldnn.conv,
}


def found():
    return {name: switch.fp32_precision for name, switch in SWITCHES.items()}


@pytest.fixture
def given_back():
    older = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    before = found()
    yield
    torch.set_float32_matmul_precision(older[0])
    torch.backends.cudnn.allow_tf32 = older[1]
    for name, switch in SWITCHES.items():
        switch.fp32_precision = before[name]


def set_nothing():
    pass


def set_older():
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True


def set_newer():
    torch.backends.cuda.matmul.fp32_precision = "tf32"  # from now on `allow_tf32` cannot be read
    torch.backends.cudnn.conv.fp32_precision = "ieee"


@pytest.mark.parametrize("set_before", [set_nothing, set_older, set_newer])
def test_full_precision_is_given_back(given_back, set_before):
    set_before()
    before = found()
    with full_precision():
        assert set(found().values()) == {"ieee"}
    assert found() == before
    with pytest.raises(RuntimeError, match="in the block"), full_precision():
        raise RuntimeError("in the block")
    assert found() == before


@pytest.mark.parametrize("set_before", [set_nothing, set_older, set_newer])
def test_products_are_full_float32_by_the_older_switch_too(given_back, set_before):
    """PyTorch's compiler reads the older one, and PyTorch refuses to where the two differ."""
    set_before()
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.backends.cuda.matmul.allow_tf32


def test_the_older_switch_is_given_back(given_back):
    torch.set_float32_matmul_precision("medium")
    with full_precision():
        pass
    assert torch.get_float32_matmul_precision() == "medium"


def test_what_is_set_by_default_reads_as_before():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with full_precision():
        pass
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


def test_autocast_outside_lowers_nothing_inside():
    x = torch.rand(3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        with full_precision():
            assert torch.mm(x, x).dtype == torch.float32
        assert torch.mm(x, x).dtype == torch.bfloat16
        with pytest.raises(RuntimeError, match="in the block"), full_precision():
            raise RuntimeError("in the block")
        assert torch.mm(x, x).dtype == torch.bfloat16
