"""How a run computes is decided by the configuration and the machine, and a run that goes on computes as it did."""

import pytest
import torch

from iafsweep.config import ImageFormat, ModelConfig, RunConfig
from iafsweep.models import build_model
from iafsweep.training import RunFolder, Trainer
from iafsweep.training import computing as computings
from iafsweep.training.computing import Computing, choose_computing, has_bfloat16_products, is_worth_compiling

CPU = torch.device("cpu")
CONVOLUTIONAL = {"encoder": {"resnet": {"maps": 2, "hidden_size": 8}}, "decoder": {"resnet": {"maps": 2}}}


def with_training(config, **fields):
    values = config.model_dump()
    values["training"].update(fields)
    return RunConfig.model_validate(values)


@pytest.fixture
def model(config):
    return build_model(config.model, ImageFormat((1, 28, 28)), seed=0)


def test_a_short_run_on_a_cpu_is_eager_float32(config, model):
    assert choose_computing(config, model, CPU) == Computing("float32", compiled=False)


def test_a_run_that_is_long_enough_is_compiled(config, model, monkeypatch):
    monkeypatch.setattr(computings, "missing_compiler", lambda device: None)
    epochs = 1
    while not is_worth_compiling(with_training(config, epochs=epochs), model, CPU):
        epochs *= 2
    assert epochs > 1000  # it is tiny
    assert choose_computing(with_training(config, epochs=epochs), model, CPU).compiled
    assert not choose_computing(with_training(config, epochs=epochs, compile="off"), model, CPU).compiled


def test_without_a_compiler_it_is_eager_and_says_so(config, model, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    found = choose_computing(with_training(config, compile="on"), model, CPU)
    assert not found.compiled
    assert "g++" in found.note
    assert "slower" in found.note


def test_bfloat16_without_its_products_is_warned_of_before_training(config, images, tmp_path, monkeypatch):
    monkeypatch.setattr(computings, "has_bfloat16_products", lambda: False)
    said = "(neither avx512_bf16 nor AMX); start again in a new folder with --set training.precision=float32"
    trainer = Trainer.start(with_training(config, precision="bfloat16"), images, RunFolder(tmp_path / "run"), CPU)
    trainer.close()
    assert said in trainer.note
    assert said in (tmp_path / "run" / "run.log").read_text()
    for asked in ("auto", "float32"):
        found = choose_computing(with_training(config, precision=asked), trainer.model, CPU)
        assert found == Computing("float32", compiled=False)


def test_compilers_and_products_that_are_missing_are_both_named(config, model, monkeypatch):
    monkeypatch.setattr(computings, "has_bfloat16_products", lambda: False)
    monkeypatch.setattr(computings, "missing_compiler", lambda device: "no compiler")
    found = choose_computing(with_training(config, precision="bfloat16", compile="on"), model, CPU)
    assert "ten times slower" in found.note
    assert found.note.endswith("; no compiler, so the training step is not compiled and training is slower")


@pytest.mark.parametrize(
    ("flags", "has"),
    [("fpu avx512f avx512_bf16", True), ("amx_bf16 amx_tile", True), ("asimd bf16", True), ("fma avx2 avx512f", False)],
)
def test_products_of_bfloat16_are_told_by_the_flags_of_the_cpu(tmp_path, flags, has):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")
    assert has_bfloat16_products(tmp_path / "cpuinfo") is has
    assert has_bfloat16_products(tmp_path / "none")


def test_what_was_asked_for_is_taken(config, model, monkeypatch):
    monkeypatch.setattr(computings, "has_bfloat16_products", lambda: True)
    found = choose_computing(with_training(config, precision="bfloat16"), model, CPU)
    assert found == Computing("bfloat16", compiled=False)
    assert found.description == "bfloat16, not compiled"


def test_a_run_that_goes_on_computes_as_it_did(config, model, monkeypatch):
    monkeypatch.setattr(computings, "missing_compiler", lambda device: None)
    earlier = Computing("bfloat16", compiled=True)
    assert choose_computing(config, model, CPU, earlier) == earlier
    assert not choose_computing(with_training(config, compile="off"), model, CPU, earlier).compiled


def test_convolutions_are_never_compiled_on_a_cpu_unasked(config, monkeypatch):
    monkeypatch.setattr(computings, "missing_compiler", lambda device: None)
    model = build_model(ModelConfig.model_validate(CONVOLUTIONAL), ImageFormat((1, 28, 28)), seed=0)
    assert not is_worth_compiling(with_training(config, epochs=10**9), model, CPU)
    assert choose_computing(with_training(config, compile="on"), model, CPU).compiled


def test_a_run_says_how_it_computed(config, images, tmp_path):
    folder = RunFolder(tmp_path / "run")
    trainer = Trainer.start(with_training(config, precision="bfloat16", epochs=2), images, folder, CPU)
    trainer.run_epoch()
    trainer.close()
    state = folder.read_state()
    assert (state.precision, state.compiled, state.compile_seconds) == ("bfloat16", False, 0.0)
    assert "bfloat16, not compiled" in folder.log.read_text()
    trainer = Trainer.resume(folder.read_config(), images, folder, CPU)
    assert "bfloat16" in trainer.place
    trainer.close()


def test_moments_that_lie_otherwise_in_memory_are_taken_as_they_are(config, images, tmp_path):
    """The fused update walks through memory; a checkpoint of channels-first moments must not be read crosswise."""
    values = config.model_dump()
    values["training"] |= {"epochs": 2, "batch_size": 180}
    for side in ("encoder", "decoder"):
        values["model"][side] |= {"kind": "resnet", "resnet": {"maps": 3}}
    values["model"]["encoder"]["resnet"]["hidden_size"] = 4
    conv = RunConfig.model_validate(values)
    bounds = []
    for name in ("straight", "channels-first"):
        folder = RunFolder(tmp_path / name)
        trainer = Trainer.start(conv, images, folder, CPU)
        trainer.run_epoch()
        trainer.close()
        if name == "channels-first":
            saved = torch.load(folder.last, weights_only=True)
            for moments in saved["optimiser"]["state"].values():
                moments |= {key: each.contiguous() for key, each in moments.items()}
            torch.save(saved, folder.last)
        trainer = Trainer.resume(conv, images, folder, CPU)
        bounds.append(trainer.run_epoch().validation_negative_elbo)
        trainer.close()
    assert bounds[0] == bounds[1]
