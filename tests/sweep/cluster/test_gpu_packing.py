from dataclasses import replace

import pytest
import torch

from iafsweep.api.settings import with_sweep
from iafsweep.cli.options.sweep import gpus_or_auto
from iafsweep.config.files import build_config, with_values
from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import SweepError, UserError
from iafsweep.search_space.distributions import Choice
from iafsweep.search_space.space import Parameter
from iafsweep.sweep.cluster.footprint import parameter_count
from iafsweep.sweep.cluster.gpu_packing import automatic_gpus, largest_configuration, steps, taken_by
from iafsweep.sweep.cluster.resources import Node, plan_trials
from iafsweep.training.step import TrainingStep
from tests.sweep.cluster import fake_card
from tests.sweep.tiny import BASE, DEPTH, WIDTH, tiny_space

GIB = 2**30


@pytest.mark.parametrize(("used", "at_a_time"), [(1, 32), (10, 12), (30, 4), (33, 2), (60, 2)])
def test_so_many_trials_fit_as_were_measured(used, at_a_time):
    """Two cards of 80 GiB; a fifth is kept in hand, 5 % are not used, at most 16 trials share one."""
    probed = []

    def probe(config):
        probed.append(config)
        return used * GIB, 80 * GIB

    share = automatic_gpus(tiny_space(), probe)
    plan = plan_trials([Node("n", 64, 2)], SweepConfig(gpus_per_trial=share), 100)
    assert plan.at_a_time == at_a_time
    assert len(probed) == 1


def test_what_does_not_fit_at_all_is_refused():
    with pytest.raises(SweepError, match="takes 78.0 GiB of GPU memory .* a GPU has 80.0 GiB"):
        automatic_gpus(tiny_space(), lambda config: (78 * GIB, 80 * GIB))


def test_the_largest_configuration_is_probed():
    found = largest_configuration(tiny_space())
    assert (found.model.flow.depth, found.model.flow.made.width) == (3, 8)
    smaller = tiny_space().config({DEPTH: 3, WIDTH: 4})
    assert parameter_count(found) > parameter_count(smaller)


def test_convolutions_are_larger_than_matrices_with_more_parameters():
    """What a batch keeps for its backward pass counts, not the weights alone."""
    kinds = ("resnet", "mlp")
    changes = {
        "model.encoder.resnet.maps": 16,
        "model.encoder.resnet.hidden_size": 16,
        "model.decoder.resnet.maps": 16,
        "model.encoder.mlp.hidden_sizes": (300,),
        "model.decoder.mlp.hidden_sizes": (300,),
        "model.flow.depth": 0,
    }
    space = replace(
        tiny_space(),
        base=build_config(with_values(BASE.model_dump(), changes), "test"),
        parameters=tuple(Parameter(f"model.{part}.kind", Choice(kinds)) for part in ("encoder", "decoder")),
    )
    both = {kind: space.config({"model.encoder.kind": kind, "model.decoder.kind": kind}) for kind in kinds}
    assert parameter_count(both["mlp"]) > parameter_count(both["resnet"])
    assert largest_configuration(space).model == both["resnet"].model


def test_without_a_gpu_auto_is_refused_before_anything_is_reckoned(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("iafsweep.api.settings.automatic_gpus", None)
    with pytest.raises(SweepError, match="needs a GPU to measure, but PyTorch sees none"):
        with_sweep(tiny_space(), {"gpus_per_trial": "auto"})


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A card that other processes use 100 bytes of."""
    monkeypatch.setenv("FAKE_CARD", str(tmp_path))
    (tmp_path / fake_card.OTHERS).write_text("100")
    return tmp_path


def test_what_the_training_process_takes_is_counted_with_its_context(card):
    """Neither what others had of the card before nor what the process that looks has of it itself."""
    assert taken_by(fake_card.train, BASE, fake_card.memory) == (fake_card.CONTEXT + fake_card.PEAK, fake_card.TOTAL)


def test_memory_that_others_give_back_meanwhile_hides_no_tensors(card):
    (card / fake_card.OTHERS).write_text("4000")
    taken, _ = taken_by(fake_card.train_while_others_end, BASE, fake_card.memory)
    assert taken == fake_card.PEAK


def test_a_process_that_is_killed_while_it_measures_is_an_error_and_no_hang(card):
    with pytest.raises(SweepError, match="measures the largest configuration was killed"):
        taken_by(fake_card.die, BASE, fake_card.memory)


def test_a_step_that_does_not_fit_is_refused(card):
    with pytest.raises(SweepError, match="one training step .* does not fit on the GPU: CUDA error: out of memory"):
        taken_by(fake_card.short, BASE, fake_card.memory)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_is_measured_as_trials_compute(precision, monkeypatch):
    trained = []
    call = TrainingStep.__call__
    monkeypatch.setattr(TrainingStep, "__call__", lambda *of: (trained.append(len(of[1].x)), call(*of))[1])
    training = BASE.training.model_copy(update={"precision": precision, "compile": "off"})
    step = steps(BASE.model_copy(update={"training": training}), torch.device("cpu"))
    assert step.computing.precision == precision
    assert trained == [50, 50, 50]


def test_option_is_a_number_or_auto():
    assert [gpus_or_auto(text) for text in (None, "auto", "0.5", "2", ".25")] == [None, "auto", 0.5, 2.0, 0.25]
    for text in ("", "-1", "half", "nan"):
        with pytest.raises(UserError, match="write a number such as 0.5, or auto"):
            gpus_or_auto(text)
