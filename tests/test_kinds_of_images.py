"""Every kind of image, from training to an exported model: bits, levels, colour, any size, each likelihood."""

import copy
import io
import itertools
import math
import sys
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from rich.console import Console

import iafsweep
from iafsweep.cli import tables
from iafsweep.cli.single import train_and_score
from iafsweep.config import SOURCES, Member, RunConfig, SourceFacts
from iafsweep.config.files import with_values
from iafsweep.data import load_training_images
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.simulated import simulate
from iafsweep.models import VAE, build_model
from iafsweep.seeds import generator
from iafsweep.training import RunFolder, Trainer
from iafsweep.training.device import training_memory


class Kind(NamedTuple):
    """A kind of image, and how it is modelled."""

    shape: tuple[int, int, int]
    levels: int
    binarisation: str | None
    likelihood: str | None
    networks: str
    head: str = "off"


KINDS = {
    "bits": Kind((1, 6, 5), 2, "none", None, "mlp"),
    "thresholds": Kind((1, 7, 6), 256, "threshold", None, "resnet"),
    "drawn once": Kind((2, 6, 5), 17, "fixed", None, "gated_conv"),
    "digits": Kind((1, 8, 8), 17, "none", None, "resnet"),
    "colour": Kind((3, 6, 5), 256, "none", "discretised_logistic_mixture", "gated_conv"),
    "colour, independent": Kind((3, 5, 7), 256, "none", "discretised_logistic", "mlp"),
    "bits, autoregressive": Kind((1, 6, 5), 2, "none", None, "mlp", "pixelcnn"),
    "colour, autoregressive": Kind((3, 5, 7), 256, "none", "discretised_logistic_mixture", "resnet", "pixelcnn"),
}
SIZES = {
    "encoder": {"mlp": {"hidden_sizes": [8]}, "resnet": {"maps": 3, "hidden_size": 8}},
    "decoder": {"mlp": {"hidden_sizes": [8]}, "resnet": {"maps": 3}, "gated_conv": {"maps": 3}},
}
SIZES["encoder"]["gated_conv"] = SIZES["encoder"]["resnet"]
HEAD = {"layers": 2, "maps": 4, "kernel": 3, "features": 2}
HAIS = {"enabled": True, "images": 4, "chains": 2, "temperatures": 4, "leapfrog_steps": 2, "pilot_passes": 1}


def facts(kind):
    """Sixty images of a kind for training, ten to validate, ten to test."""
    return SourceFacts(kind.shape, training_images=70, test_images=10, validation_images=10, levels=kind.levels)


def configuration(kind):
    likelihood = {"kind": kind.likelihood, "discretised_logistic_mixture": {"components": 2}}
    networks = {part: {"kind": kind.networks} | SIZES[part] for part in ("encoder", "decoder")}
    networks["decoder"] |= {"autoregressive": {"kind": kind.head, "pixelcnn": HEAD}}
    return RunConfig.model_validate(
        {
            "data": {"source": "mnist_mini", "binarisation": kind.binarisation},
            "model": {"latent_size": 3, "batch_norm_momentum": 0.5, "likelihood": likelihood, **networks}
            | {"flow": {"depth": 1, "made": {"width": 6, "hidden_layers": 1}}},
            "training": {"epochs": 2, "batch_size": 10, "kl_warmup_epochs": 0},
            "evaluation": {"importance_sampling": {"samples": 6}, "hais": HAIS | {"pilot_images": 2}}
            | {"sandwich": {"enabled": True, "images": 3}},
        }
    )


@pytest.fixture
def given(request, monkeypatch):
    """A kind, whose images stand where those of `mnist_mini` are looked for."""
    kind = KINDS[request.param]

    class Images:
        @staticmethod
        def prepare(root):
            pass

        @staticmethod
        def training_images(root):
            return torch.randint(kind.levels, (70, *kind.shape), generator=generator("cpu", 1), dtype=torch.uint8)

        @staticmethod
        def test_images(root):
            return torch.randint(kind.levels, (10, *kind.shape), generator=generator("cpu", 2), dtype=torch.uint8)

    monkeypatch.setitem(sys.modules, "images_of_a_kind", Images)
    monkeypatch.setitem(SOURCES.members, "mnist_mini", Member("images_of_a_kind", facts(kind)))
    return kind


MIXTURE = "model.likelihood.discretised_logistic_mixture"
every_kind = pytest.mark.parametrize("given", KINDS, indirect=True)
COMMON = ("digits", "colour", "bits, autoregressive")
whole_runs = pytest.mark.parametrize(
    "given", [each if each in COMMON else pytest.param(each, marks=pytest.mark.slow) for each in KINDS], indirect=True
)


def finished(config, folder):
    code = train_and_score(
        config, folder, device="cpu", threads=None, root=folder.path.parent, resume=False, evaluate_only=False,
        console=Console(quiet=True),
    )  # fmt: skip
    assert code == 0
    return iafsweep.load_run(folder.path, "cpu")


@whole_runs
def test_from_training_to_an_exported_model(given, tmp_path):
    config = configuration(given)
    seen_levels = given.levels if given.binarisation == "none" else 2
    run = finished(config, RunFolder(tmp_path / "run"))
    assert run.model.image == config.image_format == (given.shape, seen_levels)

    x = run.images("test", 6)
    assert x.shape == (6, *given.shape)
    assert set(x.unique().tolist()) <= set(range(seen_levels))
    if seen_levels > 2:
        assert torch.equal(x, SOURCES.load("mnist_mini").test_images(tmp_path)[:6].float())
    for pictures in (run.model.sample(5), run.model.reconstruct(x), run.model.predict(x)):
        assert pictures.shape[1:] == given.shape
        assert 0 <= pictures.min() <= pictures.max() <= 1
    assert run.model.encode(x.to(torch.uint8)).mean.isfinite().all()
    found = run.log_likelihood(x, samples=30)

    figures = {(each.method, each.split): each for each in run.evaluation.estimates}
    assert {method for method, _ in figures} == {"negative_elbo", "importance_sampling", "hais"}
    shown = {each.bits_per_dim for each in figures.values()}
    if seen_levels == 2:
        assert shown == {None}
        assert {each.validation_bits_per_dim for each in run.metrics} == {None}
    else:
        dimensions = math.prod(given.shape)
        assert all(each.bits_per_dim == each.nll / (dimensions * math.log(2)) for each in figures.values())
        # An untrained model is about as good as knowing nothing; what it says is a density of levels, so no better.
        assert 0.5 * math.log2(given.levels) < figures["importance_sampling", "test"].bits_per_dim < 12
        last = run.metrics[-1]
        assert last.validation_bits_per_dim == last.validation_negative_elbo / (dimensions * math.log(2))
        assert "bits/dim" in (tmp_path / "run" / "run.log").read_text()
    assert run.evaluation.sandwiches[0].gap > -1e-2
    console = Console(file=io.StringIO(), width=200)
    tables.print_figures(console, run.evaluation.estimates)
    autoregressive = given.head != "off"
    assert console.file.getvalue().count("autoregressive decoder") == autoregressive * len(run.evaluation.estimates)
    assert all(each.autoregressive == autoregressive for each in (*figures.values(), *run.evaluation.sandwiches))
    assert "autoregressive decoder" in tables.sandwich_lines(run.evaluation.sandwiches)[0] or not autoregressive
    assert console.file.getvalue().count("bits/dim") == (seen_levels > 2) * len(run.evaluation.estimates)

    exported = iafsweep.load_run(run.export(tmp_path / "model"), "cpu")
    assert torch.equal(exported.log_likelihood(x, samples=30), found)
    card = (exported.path / "README.md").read_text()
    assert ("bits/dim" in card) == (seen_levels > 2)
    assert f"`{config.likelihood}` likelihood" in card
    rows = [line for line in card.splitlines() if line.startswith(("| negative", "| NLL")) or "simulated" in line]
    assert len(rows) >= 5
    assert all(("autoregressive decoder" in line) == autoregressive for line in rows)
    assert (f"carry {run.metrics[run.epoch - 1].latents}" in card) == autoregressive
    for name in ("samples", "reconstructions", "data"):
        with Image.open(tmp_path / "run" / f"{name}.png") as picture:
            assert picture.mode == ("RGB" if given.shape[0] == 3 else "L")
            columns = 9 if name == "reconstructions" and autoregressive else 10  # three images each, or two
            assert picture.width == columns * (given.shape[2] + 2) + 2


@pytest.mark.parametrize("given", ["drawn once", "bits, autoregressive"], indirect=True)
def test_a_resumed_run_is_that_which_was_not_interrupted(given, tmp_path):
    config = configuration(given)
    images = load_training_images(config.data, tmp_path)
    cpu = torch.device("cpu")
    whole = Trainer.start(config, images, RunFolder(tmp_path / "whole"), cpu)
    halves = Trainer.start(config, images, RunFolder(tmp_path / "halves"), cpu)
    first = [whole.run_epoch(), whole.run_epoch()]
    second = [halves.run_epoch()]
    halves.interrupt()
    halves = Trainer.resume(config, images, RunFolder(tmp_path / "halves"), cpu)
    second.append(halves.run_epoch())
    clock = {"seconds", "images_per_second"}
    assert [each.model_dump(exclude=clock) for each in first] == [each.model_dump(exclude=clock) for each in second]
    for trainer in (whole, halves):
        trainer.close()


@pytest.mark.parametrize("given", ["digits", "colour"], indirect=True)
def test_what_recipes_look_at_are_levels_too(given, tmp_path, monkeypatch):
    """The first batch that weight norm starts from, and those that an average's batch norm is estimated on."""
    looked_at = []
    monkeypatch.setattr(VAE, "posterior", lambda model, x, do=VAE.posterior: (looked_at.append(x), do(model, x))[1])
    for changes in ({"model.normalisation": "weight_norm"}, {"training.weight_average": 0.9}):
        config = RunConfig.model_validate(with_values(configuration(given).model_dump(mode="json"), changes))
        looked_at.clear()
        folder = RunFolder(tmp_path / next(iter(changes)))
        trainer = Trainer.start(config, load_training_images(config.data, tmp_path), folder, torch.device("cpu"))
        trainer.run_epoch()
        trainer.close()
        assert len(looked_at) > 6
        assert all(x.max() > 1 for x in looked_at)


@every_kind
def test_gradients_of_annealing_in_float32_are_those_of_float64(given):
    config = configuration(given)
    single = build_model(config.model, config.image_format, seed=3).eval().requires_grad_(requires_grad=False)
    double = copy.deepcopy(single).double()
    x = simulate(single, 0, range(5)).x
    for start in BRIDGES:
        point = torch.randn(4, 5, 3, generator=generator("cpu", 5))
        found = []
        for model, dtype in ((single, torch.float32), (double, torch.float64)):
            images, at = x.to(dtype), point.to(dtype).requires_grad_()
            density = BRIDGES[start](model, images, encode(model, images)).log_densities(at)[1]
            found.append((density.double(), torch.autograd.grad(density.sum(), at)[0].double()))
        (density, gradient), (true_density, true_gradient) = found
        assert torch.allclose(density, true_density, rtol=1e-5, atol=1e-3)
        assert torch.allclose(gradient, true_gradient, rtol=1e-3, atol=1e-4 * true_gradient.abs().max().item())


@every_kind
def test_memory_is_reckoned_and_grows_with_what_the_likelihood_takes(given):
    config = configuration(given)
    need = training_memory(config)
    assert 2 * need.total > need.activations > 4 * 10 * math.prod(given.shape)
    if given.likelihood == "discretised_logistic_mixture":
        whole = with_values(config.model_dump(mode="json"), {f"{MIXTURE}.components": 20})
        more = RunConfig.model_validate(whole)
        assert training_memory(more).activations > 3.9 * need.activations


def test_unlike_images_are_told_apart(monkeypatch):
    said = set()
    for kind in KINDS.values():
        monkeypatch.setitem(SOURCES.members, "mnist_mini", Member("", facts(kind)))
        said.add(configuration(kind).data.measured_on)
    assert len(said) == len({(kind.shape, kind.levels, kind.binarisation) for kind in KINDS.values()})
    same = itertools.pairwise(("dynamic", "fixed"))
    for first, second in same:  # the images that are scored are the same
        data = [{"source": "mnist_mini", "binarisation": each} for each in (first, second)]
        monkeypatch.undo()
        assert len({RunConfig.model_validate({"data": each}).data.measured_on for each in data}) == 1
