"""Exported models: read back bit for bit, true to their figures, silent about the machine, closed to hostile files."""

import json
import os
import re
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import iafsweep
from iafsweep.config import RunConfig
from iafsweep.config.model import FLOWS, FlowMember
from iafsweep.errors import ConfigError, RunFolderError, UserError
from iafsweep.results.export import model_card
from iafsweep.results.model_folder import Origin
from iafsweep.training import RunFolder
from tests.finished import BASE, figures, finish_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = finish_run(tmp_path_factory.mktemp("runs") / "first")
    best = folder.read_state().best
    folder.write_evaluation(figures(best.epoch))
    return iafsweep.load_run(folder.path, "cpu")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    return run.export(tmp_path_factory.mktemp("models") / "mine")


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def test_it_is_read_back_bit_for_bit(run, exported):
    again = iafsweep.load_run(exported, "cpu")
    ours, theirs = run.model.state_dict(), again.model.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == theirs[name].dtype for name in ours)
    for name in ("config", "epoch", "metrics", "evaluation"):
        assert getattr(again, name) == getattr(run, name)
    assert not again.model.training
    assert not any(parameter.requires_grad for parameter in again.model.parameters())
    x = run.images("test", 5)
    assert torch.equal(run.log_likelihood(x, samples=20), again.log_likelihood(x, samples=20))
    assert torch.equal(run.model.reconstruct(x), again.model.reconstruct(x))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("planar", "a planar flow of 2 steps."),
        ("sylvester", "a Sylvester flow of 2 steps."),
        ("naf", "a neural autoregressive flow of 2 steps, each a masked network of 1 hidden layer of 8 units."),
        ("spline", "an autoregressive spline flow of 2 steps, each a masked network of 1 hidden layer of 8 units."),
    ],
)
def test_every_flow_is_trained_exported_and_read_back(kind, said, tmp_path):
    flow = BASE.model.flow.model_dump() | {"kind": kind, "sylvester": {"columns": 2}}
    values = BASE.model_dump() | {"model": BASE.model.model_dump() | {"flow": flow}}
    run = iafsweep.load_run(finish_run(tmp_path / "run", RunConfig.model_validate(values)).path, "cpu")
    again = iafsweep.load_run(run.export(tmp_path / "model"), "cpu")
    x = run.images("test", 5)
    assert torch.equal(run.log_likelihood(x, samples=20), again.log_likelihood(x, samples=20))
    assert said in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("flow", "tags"),
    [
        ({"kind": "iaf"}, "variational-autoencoder, inverse-autoregressive-flow"),
        ({"kind": "sylvester", "sylvester": {"columns": 2}}, "variational-autoencoder, sylvester-flow"),
        ({"kind": "naf"}, "variational-autoencoder, neural-autoregressive-flow"),
        ({"kind": "shear_x"}, "variational-autoencoder, shear-x-flow"),
        ({"kind": "iaf", "depth": 0}, "variational-autoencoder"),
    ],
)
def test_the_tags_of_a_card_are_those_of_its_flow(flow, tags, monkeypatch):
    monkeypatch.setitem(FLOWS.members, "shear_x", FlowMember("elsewhere:Shear"))
    assert f"\ntags: [{tags}]\n" in card_of({"flow": BASE.model.flow.model_dump() | flow})


def test_the_card_counts_steps_and_names_normalisation_and_dropout():
    plain = card_of({})
    assert "of 2 gated steps, each" in plain
    assert "normalised" not in plain
    assert "norm." not in plain
    assert "dropout" not in plain
    model = BASE.model.model_dump()
    dropped = {part: model[part] | {"dropout": dropout} for part, dropout in (("encoder", 0.1), ("decoder", 0.25))}
    card = card_of({"flow": model["flow"] | {"depth": 1}, "normalisation": "weight_norm", **dropped})
    assert "of 1 gated step, each" in card
    assert "`mlp` encoder (dropout 0.1), `mlp` decoder (dropout 0.25)," in card
    assert "Encoder, decoder and masked networks have weight norm." in card
    assert "No network is normalised." in card_of({"normalisation": "none"})


def card_of(model):
    """The card of a model that differs from BASE in these parts."""
    values = BASE.model_dump() | {"model": BASE.model.model_dump() | model}
    origin = Origin(name="run", checkpoint="best", epoch=1)
    return model_card(RunConfig.model_validate(values), origin, None, (), 1)


def test_it_can_be_exported_again_and_stays_the_same(exported, tmp_path):
    again = iafsweep.load_run(exported, "cpu").export(tmp_path / "again")
    assert sorted(path.name for path in again.iterdir()) == sorted(path.name for path in exported.iterdir())
    for path in again.iterdir():
        assert path.read_bytes() == (exported / path.name).read_bytes()


def test_no_file_names_this_machine(run, exported):
    for path in exported.iterdir():
        content = path.read_bytes()
        if path.suffix == ".safetensors":  # what it says in words; weights may spell anything
            content = content[8 : 8 + int.from_bytes(content[:8], "little")]
        for word in (str(run.path.parent), str(exported.parent), os.uname().nodename, str(os.path.expanduser("~"))):
            assert word in ("", "/") or not re.search(rb"\b%s\b" % re.escape(word.encode()), content), path.name


def test_the_card_has_the_figures_and_how_they_were_measured(run, exported):
    card = (exported / "README.md").read_text()
    assert "| NLL, IS | test 100 | 98.25 ± 0.80 | 0.010 | 97% | 1,000 samples |" in card
    assert "| negative ELBO | test 100 | 101.50 ± 0.80 |  |  | 1 sample |" in card
    bound = run.metrics[run.epoch - 1].validation_negative_elbo
    assert f"| negative ELBO in training | validation | {bound:.2f} |" in card
    for text in (
        "Scored on cpu (1 threads), in float32",
        "97% of the images are untrusted",
        "binarised with the fixed seed 0; the estimator's noise has seed 0",
        "9,000 training images of `mnist_mini`, 1,000 held out (split seed 0)",
        "checkpoint `best` of the run `first`",
        f"trained on cpu with PyTorch {torch.__version__}",
        f"{run.epoch} epochs, batches of 50, Adam, training seed 0",
    ):
        assert text in card, text


def test_figures_of_another_epoch_are_not_claimed(run, tmp_path):
    folder = RunFolder(shutil.copytree(run.path, tmp_path / "stale"))
    folder.write_evaluation(figures(run.epoch + 1))
    to = iafsweep.load_run(folder.path, "cpu").export(tmp_path / "model")
    assert not (to / "evaluation.json").exists()
    assert "98.25" not in (to / "README.md").read_text()
    assert "No test figures of these weights" in (to / "README.md").read_text()


def test_titles_do_not_become_markup(tmp_path):
    config = BASE.model_copy(update={"title": "<script>x</script> | `a` [b](c)\n# d"})
    to = iafsweep.load_run(finish_run(tmp_path / "run", config).path, "cpu").export(tmp_path / "model")
    heading = next(line for line in (to / "README.md").read_text().splitlines() if line.startswith("# "))
    assert heading == r"# \<script\>x\</script\> \| \`a\` \[b\](c) \# d"


def test_no_text_of_the_weights_becomes_markup(copy, tmp_path):
    def invent(_, metadata):
        said = json.loads(metadata["iafsweep"])
        said["origin"] |= {"name": "<b>n</b>", "device": "<script>\n# x</script>", "torch_version": "[v](u)"}
        metadata["iafsweep"] = json.dumps(said)

    rewrite(copy, invent)
    card = (iafsweep.load_run(copy, "cpu").export(tmp_path / "model") / "README.md").read_text()
    assert r"trained on \<script\> \# x\</script\> with PyTorch \[v\](u)" in card
    assert r"the run `\<b\>n\</b\>`" in card


def test_a_folder_in_use_is_left_alone(run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="is not empty; name a new folder"):
        run.export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file; name a new folder"):
        run.export(tmp_path / "file")
    with pytest.raises(RunFolderError, match="^/ is not empty; name a new folder"):
        run.export("/")
    with pytest.raises(RunFolderError, match="cannot write the model folder"):
        run.export(tmp_path / "file" / "inside")
    assert run.export(tmp_path / "new" / "deep").is_dir()


ELSEWHERE = json.dumps({"format": "iafsweep model 1", "origin": {"name": "a", "checkpoint": "../../best", "epoch": 1}})


def rewrite(copy, change):
    """Write the weights anew after ``change`` had them as a dict."""
    path = copy / "model.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


def refused(copy, match, error=RunFolderError):
    with pytest.raises(error, match=match) as caught:
        iafsweep.load_run(copy, "cpu")
    assert isinstance(caught.value, UserError)
    return str(caught.value)


def test_hostile_weights_are_refused(copy, exported):
    whole = (copy / "model.safetensors").read_bytes()
    name = next(key for key, tensor in load_file(copy / "model.safetensors").items() if tensor.dim() == 2)
    cases = [
        (lambda tensors, _: tensors.pop(name), rf"{name} missing"),
        (lambda tensors, _: tensors.update({"other": torch.zeros(2)}), r"other not part of this model"),
        (lambda tensors, _: tensors.update({name: tensors[name][:1].clone()}), rf"{name} is F32 \[1, .*instead of F32"),
        (lambda tensors, _: tensors.update({name: tensors[name].double()}), rf"{name} is F64 .*instead of F32"),
        (
            lambda _, metadata: metadata.update(iafsweep='{"format": "iafsweep model 99"}'),
            "has the format 'iafsweep model 99'",
        ),
        (lambda _, metadata: metadata.pop("iafsweep"), "does not record where its weights come from"),
        (lambda _, metadata: metadata.update(iafsweep="[" * 9), "does not record where its weights come from"),
        (lambda _, metadata: metadata.update(iafsweep="[" * 10**5), "does not record where its weights come from"),
        (lambda _, metadata: metadata.update(iafsweep="3"), "does not record where its weights come from"),
        (lambda _, metadata: metadata.update(iafsweep=ELSEWHERE), "does not record where its weights come from"),
    ]
    for change, match in cases:
        (copy / "model.safetensors").write_bytes(whole)
        rewrite(copy, change)
        refused(copy, match)
    for cut in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        (copy / "model.safetensors").write_bytes(whole[:cut])
        refused(copy, "truncated or not a safetensors file")
    (copy / "model.safetensors").write_bytes(b"\xff" * 8 + whole[8:])
    refused(copy, "truncated or not a safetensors file")
    (copy / "model.safetensors").write_bytes(whole)
    assert iafsweep.load_run(copy, "cpu").epoch == iafsweep.load_run(exported, "cpu").epoch


def test_a_flipped_bit_of_a_weight_is_noticed(copy):
    path = copy / "model.safetensors"
    whole = path.read_bytes()
    weights = 8 + int.from_bytes(whole[:8], "little")
    for place in (weights, (weights + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(copy, "is damaged: its weights are not those that were written")
    path.write_bytes(whole)
    iafsweep.load_run(copy, "cpu")


def test_a_model_of_an_earlier_version_without_a_digest_is_read(copy):
    def forget(_, metadata):
        said = json.loads(metadata["iafsweep"])
        assert len(said.pop("sha256")) == 64
        metadata["iafsweep"] = json.dumps(said)

    rewrite(copy, forget)
    iafsweep.load_run(copy, "cpu")


def test_a_configuration_of_another_size_allocates_nothing(copy):
    text = (copy / "config.toml").read_text()
    for old, new in (
        ("hidden_sizes = [\n    16,\n]", "hidden_sizes = [\n    2000000000,\n]"),
        ("hidden_sizes = [\n    16,\n]", "hidden_sizes = [2147483647, 2147483647]"),
        ("width = 8", "width = 1000000"),
        ("depth = 2", "depth = 1000"),
    ):
        assert old in text
        (copy / "config.toml").write_text(text.replace(old, new))
        refused(copy, "does not fit the config.toml")


def test_a_configuration_names_no_file_outside(copy, tmp_path):
    secret = tmp_path / "secret.toml"
    secret.write_text("title = 'secret'\n")
    text = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(f"base = '{secret}'\n{text}")
    assert "stands alone" in refused(copy, "names a base", ConfigError)
    (copy / "config.toml").write_text(text.replace('source = "mnist_mini"', 'source = "/etc/passwd"'))
    refused(copy, "data.source", ConfigError)
    (copy / "config.toml").unlink()
    refused(copy, "it has no config.toml")


def test_the_commands(run, tmp_path, monkeypatch, capsys):
    from iafsweep.cli.single import main

    def single(*words):
        monkeypatch.setattr("sys.argv", ["run_single.py", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr()

    code, told = single("--run", run.path, "--export", tmp_path / "model")
    assert code == 0
    assert f"Model of first, epoch {run.epoch}: {tmp_path / 'model'}" in told.out
    assert torch.equal(iafsweep.load_run(tmp_path / "model").model.sample(2), run.model.sample(2).cpu())
    for words in (
        ["reference"],
        ["--run", run.path, "--resume"],
        ["--run", run.path, "--set", "training.epochs=3"],
        [],
    ):
        code, told = single(*words, "--export", tmp_path / "other")
        assert code == 2
        assert "name that run alone" in told.err
    assert not (tmp_path / "other").exists()
