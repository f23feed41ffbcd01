"""Out of memory, injected: the decoder refuses batches above a limit, as a full GPU would."""

import pytest
import torch

from iafsweep.evaluation.evaluate import evaluate
from iafsweep.evaluation.memory import halving_rows, memory_of_chains
from tests.evaluation.small import GREY, run_config, small_model

CONFIG = run_config(
    hais={"enabled": True, "chains": 6, "temperatures": 4, "leapfrog_steps": 2, "pilot_images": 12, "pilot_passes": 1},
    sandwich={"enabled": True, "images": 12},
)


def limited(rows):
    """A model whose memory holds so many rows, and the sizes of the batches that it was given."""
    model, sizes = small_model(), []

    def refuse(module, inputs):
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > rows:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    model.decoder.register_forward_pre_hook(refuse)
    return model, sizes


def figures(model):
    scores = evaluate(model, {"test": GREY}, CONFIG)
    return [each.nll for each in scores.estimates] + [
        bound for each in scores.sandwiches for bound in (each.lower, each.upper)
    ]


def test_the_chunk_is_halved_and_no_figure_changes():
    model, sizes = limited(rows=30)
    assert figures(model) == pytest.approx(figures(small_model()), abs=1e-4)
    assert max(sizes) > 30


def test_what_does_not_fit_at_all_is_an_error():
    model, _ = limited(rows=5)
    with pytest.raises(torch.cuda.OutOfMemoryError, match="out of memory"):
        figures(model)


@pytest.mark.parametrize(
    "lack",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_rows_are_halved_down_to_one_sample_an_image(lack):
    tried = []

    def work(rows):
        tried.append(rows)
        if rows > 30:
            raise lack
        return rows

    assert halving_rows(work, 200, fewest=12) == 25
    assert tried == [200, 100, 50, 25]
    tried.clear()
    with pytest.raises(type(lack)):
        halving_rows(work, 200, fewest=40)
    assert tried == [200, 100, 50, 40]


def test_another_fault_is_not_tried_with_fewer_rows():
    tried = []

    def work(rows):
        tried.append(rows)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        halving_rows(work, 200, fewest=12)
    assert tried == [200]


def test_memory_is_that_of_the_start_with_the_most_chains():
    def needed(**evaluation):
        return max(memory_of_chains(run_config(**evaluation)), default=(0, 0))

    assert needed() == (0, 0)
    alone = needed(hais={"enabled": True})
    beside_prior = needed(hais={"enabled": True}, sandwich={"enabled": True, "starts": ["prior", "posterior"]})
    assert (alone[0], beside_prior[0]) == (8, 16)
    state = 16 * 64 * 8 * 100  # bytes of 64 latent variables, 8 chains and 100 images
    assert beside_prior[1] - alone[1] == state
    assert needed(hais={"enabled": True, "images": 50})[1] == alone[1] // 2
    assert needed(sandwich={"enabled": True, "images": 7})[1] * 100 == alone[1] * 7
