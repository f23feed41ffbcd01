import math
import shutil
from dataclasses import replace

import pytest
import torch

import iafsweep
from iafsweep.config.model import ENCODERS
from iafsweep.data import fixed_binarisation
from iafsweep.errors import PluginError, RunFolderError, UserError
from iafsweep.records import Evaluation
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.training import RunFolder, Trainer
from iafsweep.training.checkpoint import checkpoint_digest
from tests.finished import taken_for_mnist_mini
from tests.sweep.tiny import BASE, tiny_images

IMAGES = tiny_images()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    config = BASE.model_copy(update={"training": BASE.training.model_copy(update={"epochs": 2})})
    trainer = Trainer.start(config, IMAGES, run, torch.device("cpu"))
    for _ in range(2):
        trainer.run_epoch()
    trainer.finish()
    return taken_for_mnist_mini(run)


def test_a_run_is_read_back_and_used(folder):
    run = iafsweep.load_run(folder.path, device="cpu")
    assert isinstance(run, iafsweep.Run)
    assert run.config.model == BASE.model
    assert [row.epoch for row in run.metrics] == [1, 2]
    assert run.epoch in (1, 2)
    assert run.evaluation is None
    assert not run.model.training
    assert run.model.sample(3, torch.Generator().manual_seed(0)).shape == (3, 1, 28, 28)

    x = fixed_binarisation(IMAGES.validation[:7], "validation", 0)
    few, many = run.log_likelihood(x, samples=1), run.log_likelihood(x, samples=300)
    assert (many.shape, many.dtype) == ((7,), torch.float64)
    assert few.mean() < many.mean() < 0
    assert torch.equal(run.log_likelihood(x, samples=300), many)
    assert torch.allclose(run.log_likelihood(x[:3].bool(), samples=300), many[:3], atol=1e-4)
    assert not torch.equal(run.log_likelihood(x, samples=300, seed=1), many)
    assert run.log_likelihood(x[:0]).shape == (0,)


@pytest.mark.parametrize("change", ["train", "bfloat16", "half"])
def test_a_model_that_was_changed_is_neither_scored_nor_exported(folder, tmp_path, change):
    run = iafsweep.load_run(folder.path, device="cpu")
    x = fixed_binarisation(IMAGES.validation[:2], "validation", 0)
    getattr(run.model, change)()
    for use in (lambda: run.log_likelihood(x, samples=2), lambda: run.export(tmp_path / "model")):
        with pytest.raises(RuntimeError, match=r"run\.model\.float\(\)\.eval\(\)"):
            use()
    assert not (tmp_path / "model").exists()
    run.model.float().eval()
    assert run.log_likelihood(x, samples=2).isfinite().all()


def test_a_full_gpu_halves_the_memory_of_a_log_likelihood_and_changes_nothing(folder):
    run, sizes = iafsweep.load_run(folder.path, device="cpu"), []

    def refuse(module, inputs):
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > 100:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    x = fixed_binarisation(IMAGES.validation[:7], "validation", 0)
    with_room = run.log_likelihood(x, samples=50)
    run.model.decoder.register_forward_pre_hook(refuse)
    assert torch.allclose(run.log_likelihood(x, samples=50), with_room, atol=1e-4)
    assert max(sizes) > 100 >= sizes[-1]


def test_a_scored_run_has_its_figures(folder):
    written = figures_of(folder)
    folder.write_evaluation(written)
    assert iafsweep.load_run(str(folder.path), device="cpu").evaluation == written
    folder.evaluation.unlink()


def figures_of(run):
    """Figures as scoring writes them, without any."""
    epoch = iafsweep.load_run(run.path, device="cpu").epoch
    digest = checkpoint_digest(run, "best")[:16]
    return Evaluation(
        checkpoint="best", epoch=epoch, parameters=1, device="cpu", estimates=(), checkpoint_digest=digest
    )


@pytest.mark.parametrize(
    "other",
    [{"epoch": 9}, {"checkpoint": "last"}, {"checkpoint_digest": "0" * 16}],
    ids=lambda other: next(iter(other)),
)
def test_figures_of_other_weights_are_not_this_models(folder, tmp_path, other):
    run = RunFolder(shutil.copytree(folder.path, tmp_path / "run"))
    run.write_evaluation(figures_of(run).model_copy(update=other))
    loaded = iafsweep.load_run(run.path, device="cpu")
    assert loaded.evaluation is None
    exported = loaded.export(tmp_path / "model")
    assert not (exported / "evaluation.json").exists()
    assert "No test figures of these weights" in (exported / "README.md").read_text()


def test_figures_without_a_digest_are_known_by_their_epoch_and_exported(folder, tmp_path):
    run = RunFolder(shutil.copytree(folder.path, tmp_path / "run"))
    for digest in (None, checkpoint_digest(run, "best")[:16]):
        written = figures_of(run).model_copy(update={"checkpoint_digest": digest})
        run.write_evaluation(written)
        loaded = iafsweep.load_run(run.path, device="cpu")
        exported = loaded.export(tmp_path / f"model {digest}")
        assert iafsweep.load_run(exported, "cpu").evaluation == loaded.evaluation == written


@pytest.mark.parametrize("damage", ["{", "", "[1", '{"checkpoint": "best"}'])
def test_damaged_figures_cost_a_run_no_more_than_themselves(folder, tmp_path, damage):
    assert iafsweep.load_run(folder.path, device="cpu").problems == ()
    run = RunFolder(shutil.copytree(folder.path, tmp_path / "a run"))
    run.evaluation.write_text(damage)
    loaded = iafsweep.load_run(run.path, device="cpu")
    assert loaded.evaluation is None
    (problem,) = loaded.problems
    assert problem.startswith(f"the figures are left out: {run.evaluation} is damaged, ")
    assert problem.endswith(f"iafsweep-run --run '{run.path}' --evaluate-only")
    exported = RunFolder(loaded.export(tmp_path / "model"))
    assert not exported.evaluation.exists()
    assert "were not scored" not in (exported.path / "README.md").read_text()  # who knows
    exported.evaluation.write_text(damage)
    (problem,) = iafsweep.load_run(exported.path, device="cpu").problems
    assert problem.endswith("; export the model again from its run")


def test_damaged_figures_of_a_trial_are_made_again_from_what_its_sweep_keeps(folder, tmp_path):
    sweep = SweepFolder(tmp_path / "sweep")
    sweep.create()
    sweep.ledger.touch()
    run = RunFolder(shutil.copytree(folder.path, sweep.trial("t0001")))
    run.evaluation.write_text("{")
    (problem,) = iafsweep.load_run(run.path, device="cpu").problems
    assert problem.endswith(f"iafsweep-sweep rerun {sweep.path} --trial t0001")


def test_mistakes(folder, tmp_path):
    run = iafsweep.load_run(folder.path, device="cpu")
    with pytest.raises(ValueError, match="zeros and ones only; binarise grey values first"):
        run.log_likelihood(IMAGES.validation[:2])
    with pytest.raises(ValueError, match="zeros and ones only"):
        run.log_likelihood(torch.full((1, 1, 28, 28), math.nan))
    with pytest.raises(ValueError, match="expected images of shape"):
        run.log_likelihood(torch.zeros(2, 28, 28))
    with pytest.raises(TypeError, match="seed must be a whole number, got float 1.5"):
        run.log_likelihood(torch.zeros(1, 1, 28, 28), seed=1.5)
    with pytest.raises(TypeError, match=r"images must be a torch.Tensor, got numpy.ndarray"):
        run.log_likelihood(torch.zeros(1, 1, 28, 28).numpy())
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        run.log_likelihood(torch.zeros(1, 1, 28, 28), samples=0)
    with pytest.raises(RunFolderError, match="is not a run folder"):
        iafsweep.load_run(tmp_path)


def test_images_that_are_not_there_are_not_replaced_by_others(folder):
    run = iafsweep.load_run(folder.path, device="cpu")
    with pytest.raises(ValueError, match="split must be one of train, validation, test, got 'tset'"):
        run.images("tset", 2)
    with pytest.raises(ValueError, match="count must be at least 0, got -1"):
        run.images("test", -1)
    with pytest.raises(ValueError, match="count is 1001, but there are only 1000 test images"):
        run.images("test", 1001)
    for count in (2.0, True):
        with pytest.raises(TypeError, match="count must be a whole number"):
            run.images("test", count)
    assert run.images("test", 0).shape == (0, 1, 28, 28)
    assert len(run.images("test")) == 1000


def test_a_device_is_the_one_asked_for_or_refused(folder, monkeypatch):
    for device in ("gpu", "mps", "cpu:0", None):
        with pytest.raises(ValueError, match=f"^device must be one of auto, cpu, cuda, got {device!r}"):
            iafsweep.load_run(folder.path, device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^device cuda: no CUDA device is visible .* or use device cpu$"):
        iafsweep.load_run(folder.path, "cuda")


def test_folders_that_are_something_else_are_called_what_they_are(folder, tmp_path, monkeypatch):
    (tmp_path / "sweep").mkdir()
    SweepFolder(tmp_path / "sweep").ledger.write_text("")
    with pytest.raises(RunFolderError, match=r"is a sweep folder; read it with iafsweep.load_sweep"):
        iafsweep.load_run(tmp_path / "sweep")
    with pytest.raises(RunFolderError, match="is a file; name the folder") as caught:
        iafsweep.load_run(folder.config)
    assert "--" not in str(caught.value)

    RunFolder(shutil.copytree(folder.path, tmp_path / "copy"))
    monkeypatch.setenv("HOME", str(tmp_path))
    run = iafsweep.load_run("~/copy")
    (run.export("~/model") / "model.safetensors").unlink()
    with pytest.raises(RunFolderError, match=r"model.safetensors is missing: this is an exported model"):
        iafsweep.load_run("~/model")


def test_without_its_plugin_a_run_has_all_but_its_model(folder, monkeypatch, tmp_path):
    run = RunFolder(shutil.copytree(folder.path, tmp_path / "run"))
    run.write_evaluation(figures_of(run))
    whole = iafsweep.load_run(run.path, "cpu")
    absent = replace(ENCODERS.members["mlp"], plugin="somebodys", version="1.0", absent=True)
    with monkeypatch.context() as without:
        without.setitem(ENCODERS.members, "mlp", absent)
        loaded = iafsweep.load_run(run.path, "cpu")
        for name in ("config", "epoch", "metrics", "evaluation", "problems"):
            assert getattr(loaded, name) == getattr(whole, name)
        assert f"epoch {whole.epoch}, model of a plugin that is not loaded" in repr(loaded)
        for use in (lambda: loaded.model, lambda: loaded.export(tmp_path / "model"), lambda: loaded.images("test", 1)):
            with pytest.raises(PluginError, match=r"belongs to the plugin somebodys 1.0, which is not loaded"):
                use()
        changed = iafsweep.load_run(run.path, "cpu")
        run.best.write_bytes(run.best.read_bytes()[:1000])
        with pytest.raises(RunFolderError, match=r"best.pt is truncated"):
            iafsweep.load_run(run.path, "cpu")
    shutil.copy(folder.best, run.best)
    x = torch.zeros(2, 1, 28, 28)
    assert torch.equal(loaded.log_likelihood(x, samples=2), whole.log_likelihood(x, samples=2))
    changed.epoch += 1
    with pytest.raises(RunFolderError, match="was trained further since it was read; read it again"):
        _ = changed.model


def test_public_names():
    assert iafsweep.build_model.__module__ == "iafsweep.models.build"
    assert callable(iafsweep.estimators.importance_sampling)
    assert callable(iafsweep.estimators.annealed_importance_sampling)
    assert set(iafsweep.__all__) <= set(dir(iafsweep))
    with pytest.raises(AttributeError, match="module 'iafsweep' has no attribute 'load_runs'"):
        _ = iafsweep.load_runs
