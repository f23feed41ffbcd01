"""The package of docs/extending.md, as it stands there: trained, swept, scored and read, with and without it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PLUGIN = ("--plugin", "iafsweep_linear")
SMALL = """
[data]
source = "stripes"
[model]
latent_size = 4
batch_norm_momentum = 0.1
encoder.kind = "linear"
encoder.linear.hidden_size = 7
decoder.kind = "mlp"
decoder.mlp.hidden_sizes = [8]
flow.depth = 1
flow.made.width = 8
[training]
epochs = 1
batch_size = 50
kl_warmup_epochs = 0
[evaluation]
bound_images = 10
importance_sampling = { samples = 4, images = 5 }
"""
SPACE = """
base = "small.toml"
[search]
"model.encoder.kind" = { choice = ["mlp", "linear"] }
"model.encoder.linear.hidden_size" = { choice = [5, 256], when = "model.encoder.kind == 'linear'" }
[fixed]
"model.encoder.mlp.hidden_sizes" = [8]
[sweep]
trials = 3
sampler = "grid"
scheduler = "none"
top = 2
"""


class Place:
    """A folder with the configurations, a package beside it, and Python there."""

    def __init__(self, path):
        self.path = path
        for name, code in re.findall(r"^```python file=(\S+)\n(.*?)^```", PAGE, re.M | re.S):
            file = path / "packages" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code)
        (path / "small.toml").write_text(SMALL)
        (path / "space.toml").write_text(SPACE)

    def run(self, *words, code=0, timeout=900):
        """What it prints; one of the two programs by its name, or Python's own words."""
        script = [str(ROOT / words[0]), *words[1:]] if words[0].endswith(".py") else words
        environment = {
            **os.environ, "PYTHONPATH": f"{ROOT}:{self.path / 'packages'}", "OMP_NUM_THREADS": "1", "NO_COLOR": "1",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, *script],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said, said
        return said


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("outside"))


CONFIGURATIONS = """
import warnings, iafsweep, json, sys
from iafsweep.config.files import build_config, build_stored, dump_config, parse_overrides, with_values
from iafsweep.config.problems import known_paths
from iafsweep.search_space.candidate import configuration_key
import tomllib

before = dump_config(build_config({}, "defaults"))
key = configuration_key(build_config({}, "defaults"))
iafsweep.load_plugin("iafsweep_linear")
assert dump_config(build_config({}, "defaults")) == before
assert configuration_key(build_config({}, "defaults")) == key
assert "model.encoder.linear.hidden_size" in known_paths()
config = iafsweep.load_config("small.toml")
assert config.model.encoder.linear.hidden_size == 7
assert config.data.facts.image_shape == (1, 12, 16)
text = dump_config(config)
assert tomllib.loads(text)["plugins"]["iafsweep_linear"]["version"] == "1.0"
with warnings.catch_warnings(record=True) as none:
    assert build_stored(tomllib.loads(text), "x") == config
with warnings.catch_warnings(record=True) as other:
    assert build_stored(tomllib.loads(text.replace('version = "1.0"', 'version = "0.9"')), "x") == config
assert not none and "plugin iafsweep_linear 0.9, and 1.0 is loaded" in str(other[0].message), other
usual = iafsweep.load_config("small.toml", ["model.encoder.linear.hidden_size=256"])
assert configuration_key(usual) != configuration_key(config)
assert "torch" not in sys.modules
print(json.dumps({"text": text, "key": configuration_key(config), "usual": dump_config(usual)}))
"""

WITHOUT = """
import iafsweep, json, sys, tomllib
from iafsweep.config.files import build_stored, dump_config
from iafsweep.errors import PluginError
from iafsweep.search_space.candidate import configuration_key
from iafsweep.shown_command import run_command, sweep_command

said = json.loads(sys.stdin.read())
config = build_stored(tomllib.loads(said["text"]), "x")
assert config.data.facts.training_images == 600
assert configuration_key(config) == said["key"]
assert dump_config(config) == said["text"]
assert dump_config(build_stored(tomllib.loads(said["usual"]), "x")) == said["usual"]
try:
    config.model.encoder.family.load(config.model.encoder.kind)
except PluginError as error:
    print(error)
assert sweep_command("retrain", "runs/s", "--top", 3).endswith(" retrain runs/s --top 3 --plugin iafsweep_linear")
assert run_command("--run", "r", "--resume").endswith("--plugin iafsweep_linear")
assert sweep_command("report", "runs/s").endswith("report runs/s")
assert not {"iafsweep_linear", "torch"} & set(sys.modules)
"""


def test_configurations_with_and_without_the_plugin(place):
    written = place.run("-c", CONFIGURATIONS)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        input=written,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "model.encoder.kind = 'linear' belongs to the plugin iafsweep_linear 1.0, which is not loaded; add --plugin"
    )


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ("None", "has no MEMBERS"),
        ("{'model.encoder.kind': [1]}", "has no MEMBERS"),
        ("{'model.optimiser.kind': {}}", "families are data.source, model.encoder.kind"),
        ("{'model.encoder.kind': {'mlp': Member('x:Y')}}", "exists already, from iafsweep"),
        ("{'model.encoder.kind': {'Vit!': Member('x:Y')}}", "is not a valid name"),
        ("{'model.encoder.kind': {'kind': Member('x:Y')}}", "is a word of the configuration already"),
        ("{'model.encoder.kind': {'vit': 'x:Y'}}", "must be a Member"),
        (
            "{'model.encoder.kind': {'vit': Member('x:Y', int)}}",
            "must have as `knows` a subclass of MemberConfig or None",
        ),
        ("{'sweep.sampler': {'mine': Member('x:Y', MemberConfig)}}", "must have as `knows` None"),
        ("{'data.source': {'mine': Member('x')}}", "needs SourceFacts"),
        ("{'model.encoder.kind': {'vit': Member('x:Y', Sizes)}}", "no legal defaults"),
        ("1 / 0", "ZeroDivisionError: division by zero; fix the plugin"),
        ("__import__('sys').exit(3)", "cannot load the plugin broken_plugin: SystemExit: 3; fix the plugin"),
        ("(", "SyntaxError: '(' was never closed (broken_plugin.py, line 4); fix the plugin"),
        ("__import__('nowhere.x')", "No module named 'nowhere'; fix the plugin, or install what it imports"),
    ],
)
def test_what_is_no_plugin_is_refused_in_words(members, said, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "broken_plugin.py").write_text(
        f"from iafsweep.config import Member, MemberConfig\nclass Sizes(MemberConfig):\n    width: int\n"
        f"MEMBERS = {members}\n"
    )
    from iafsweep.config import load_plugin
    from iafsweep.config.plugins import loaded_names
    from iafsweep.errors import PluginError

    with pytest.raises(PluginError, match=re.escape(said)):
        load_plugin("broken_plugin")
    sys.modules.pop("broken_plugin", None)
    assert loaded_names() == ()


@pytest.mark.parametrize("name", ["iafsweep_cubic", "iafsweep_cubic.parts", "iafsweep_linear.cubic"])
def test_a_module_that_is_not_there_is_to_be_named_otherwise(name, place, monkeypatch):
    from iafsweep.config import load_plugin
    from iafsweep.errors import PluginError

    monkeypatch.syspath_prepend(place.path / "packages")
    with pytest.raises(PluginError, match=f"cannot load the plugin {name}: .* name a module that Python finds"):
        load_plugin(name)


@pytest.mark.parametrize("name", ["", ".", "../x", "packages/iafsweep_linear", "iafsweep_linear.py"])
def test_a_path_is_not_the_name_of_a_plugin(name):
    from iafsweep.config import load_plugin
    from iafsweep.errors import PluginError

    with pytest.raises(PluginError, match=f"{re.escape(repr(name))}: give the name of its module"):
        load_plugin(name)


def test_a_module_that_is_not_there_or_ends_the_program_is_a_message_and_code_2(place):
    (place.path / "packages" / "ends.py").write_text("raise SystemExit(3)")
    for name, said in (("iafsweep_cubic", "ModuleNotFoundError"), ("ends", "SystemExit: 3; fix the plugin")):
        told = place.run("run_sweep.py", "preview", "quick", "--plugin", name, code=2)
        assert f"error: cannot load the plugin {name}: {said}" in told


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "cannot load ending_parts:Mine of the plugin somebodys: SystemExit: 3; fix the plugin"),
        ("", "AttributeError: module 'ending_parts' has no attribute 'Mine'; fix the plugin"),
    ],
)
def test_a_part_that_cannot_be_imported_is_an_error_of_its_plugin(code, said, tmp_path, monkeypatch):
    from iafsweep.config.family import Family, Member
    from iafsweep.errors import PluginError

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ending_parts.py").write_text(code)
    with pytest.raises(PluginError, match=re.escape(said)):
        Family("model.flow.kind", {"mine": Member("ending_parts:Mine", plugin="somebodys")}).load("mine")
    sys.modules.pop("ending_parts", None)


def test_a_key_of_a_section_that_no_member_has_may_be_a_plugin_s():
    from iafsweep.config import load_config
    from iafsweep.config.files import build_config
    from iafsweep.errors import ConfigError

    said = "--plugin, in Python with iafsweep.load_plugin"
    with pytest.raises(ConfigError, match=said):
        load_config("reference", ["model.prior.laplace.scale=2"])
    with pytest.raises(ConfigError, match=said):
        build_config({"model": {"prior": {"laplace": {"scale": 2}}}}, "my.toml")
    for key in ("model.encoder.dropuot", "model.encoder.mlp.width", "training.epoch", "laplace.scale"):
        with pytest.raises(ConfigError, match="unknown key") as caught:
            load_config("reference", [f"{key}=2"])
        assert "plugin" not in str(caught.value), key


@pytest.mark.slow
def test_dropout_of_an_encoder_without_any_is_a_message_and_code_2_before_anything_is_written(place):
    change = ("--set", "model.encoder.dropout=0.2")
    said = place.run("run_single.py", "small.toml", "--run", "dropped", *change, *PLUGIN, code=2)
    assert "model.encoder.dropout = 0.2 has nothing to act on: LinearEncoder has no nn.Dropout" in said
    assert not (place.path / "dropped").exists()


@pytest.mark.parametrize(
    "told",
    ['{a = 1}', '{a = {version = "1", members = "no JSON"}}', '{a = {version = "1", members = "[1]"}}',
     '{a = {version = "1", members = \'{"model.encoder.kind": {"model_dump": {}}}\'}}',
     '{a = {version = "1", members = \'{"model.encoder.kind": {"vit": {"__class__": 1}}}\'}}'],
)  # fmt: skip
def test_damaged_words_about_plugins_are_an_error_in_words(told, tmp_path):
    import tomllib

    from iafsweep.config import RunConfig, dump_config
    from iafsweep.config.files import build_stored
    from iafsweep.errors import ConfigError

    values = tomllib.loads(f"plugins = {told}\n{dump_config(RunConfig())}")
    with pytest.raises(ConfigError, match=r"its table \[plugins\] is damaged"):
        build_stored(values, "run.toml")


OTHER_FAMILIES = """
import torch
from torch import nn
from iafsweep.config import FlowMember, Member, MemberConfig
from iafsweep.models.flows.steps import FlowStep
from iafsweep.models.heads.base import Head
from iafsweep.models.priors.base import FlowPrior

class WideConfig(MemberConfig):
    log_width: float = 0.5

class WidePrior(FlowPrior):
    def __init__(self, latent_size, log_width):
        super().__init__(latent_size)
        self.log_width = nn.Parameter(torch.full((latent_size,), log_width))
    @classmethod
    def from_config(cls, config, latent_size, image_shape, encoder, posterior_offset):
        return cls(latent_size, config.section(WideConfig).log_width)
    def to_noise(self, z):
        return z * (-self.log_width).exp(), -self.log_width.sum().expand(z.shape[:-1])
    def from_noise(self, noise, passes=None):
        return noise * self.log_width.exp()

class ScalingStep(FlowStep):
    pushes_scores = True
    def __init__(self, latent_size, context_size):
        super().__init__()
        self.scale = nn.Linear(context_size, latent_size)
    @classmethod
    def from_config(cls, config, latent_size, batch_norm_momentum, *, reverse):
        return cls(latent_size, config.resolved_context_size)
    def forward(self, z, context):
        scale = self.scale(context).tanh()
        return z * scale.exp(), scale.sum(-1).expand(z.shape[:-1])
    def inverse(self, z, context):
        return z * (-self.scale(context).tanh()).exp()
    def push_score(self, z, context, score):
        return score * (-self.scale(context).tanh()).exp()

class PassedOnConfig(MemberConfig):
    times: int = 1

class PassedOn(Head):
    @classmethod
    def from_config(cls, config, pixel):
        assert config.section(PassedOnConfig).times == 3
        return pixel

def ordered(space):
    from iafsweep.sweep.samplers.sequences import SequenceProposer, distinct
    return SequenceProposer(distinct(space, reversed(list(space.grid()))))

class First:
    milestones = (2,)
    def record(self, trial, epoch, value):
        return epoch == 2 and value > 100

MEMBERS = {
    "model.decoder.autoregressive.kind": {"passed_on": Member("other_families:PassedOn", PassedOnConfig)},
    "model.prior.kind": {"wide": Member("other_families:WidePrior", WideConfig)},
    "model.flow.kind": {"scaling": FlowMember("other_families:ScalingStep", pushes_scores=True)},
    "sweep.sampler": {"ordered": Member("other_families:ordered")},
    "sweep.scheduler": {"first": Member("other_families:first")},
}

def first(space, state):
    return First()
"""
USED = """
import iafsweep, sys, torch
from pathlib import Path
from iafsweep.search_space.files import dump_space, load_space, read_stored_space
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.schedulers.base import make_stop_rule
from iafsweep.sweep.storage.events import Header
from iafsweep.sweep.storage.state import replay

sets = ["data.source=mnist_mini", "model.latent_size=4", "model.prior.kind=wide", "model.prior.wide.log_width=1.0",
        "model.decoder.autoregressive.kind=passed_on", "model.decoder.autoregressive.passed_on.times=3",
        "model.flow.kind=scaling", "model.flow.depth=2", "model.encoder.kind=mlp", "model.decoder.kind=mlp"]
iafsweep.load_plugin("other_families")
config = iafsweep.load_config("reference", [*sets, "training.objective=stl"])
Path("stl.toml").write_text(iafsweep.config.dump_config(config))
model = iafsweep.build_model(config.model, config.image_format, 0).eval()
z = torch.randn(2, 3, 4)
assert torch.allclose(model.log_prior(z), torch.distributions.Normal(0, torch.e).log_prob(z).sum(-1), atol=1e-5)
x = torch.zeros(3, 1, 28, 28)
parameters = model.encode(x)
noise = torch.randn(5, 3, 4)
assert torch.allclose(model.invert_noise(model.transform_noise(noise, parameters)[0], parameters), noise, atol=1e-4)
assert model.sample(2).shape == (2, 1, 28, 28)
space = load_space("families.toml", sweep={"sampler": "ordered", "scheduler": "first"})
state = replay(Header(sweep="s", created="", seed=0, space="", written_by="0"), [])
found = make_proposer(space).propose(state)
assert found.values == list(space.grid())[-1], found.values
rule = make_stop_rule(space, state)
assert rule.milestones == (2,) and rule.record("t", 2, 101.0)
Path("stored.toml").write_text(dump_space(space))
"""
FAMILIES = """
base = "reference.toml"
[search]
"model.latent_size" = { choice = [2, 4, 6] }
[fixed]
"data.source" = "mnist_mini"
"training.epochs" = 4
"training.kl_warmup_epochs" = 0
"""
READ = """
import tomllib
from pathlib import Path
from iafsweep.config.files import build_stored
from iafsweep.errors import PluginError
from iafsweep.search_space.files import dump_space, read_stored_space
from iafsweep.sweep.samplers.build import make_proposer

assert "stl" in Path("stl.toml").read_text()
build_stored(tomllib.loads(Path("stl.toml").read_text()), "stl.toml")
space = read_stored_space(Path("stored.toml"))
assert dump_space(space) == Path("stored.toml").read_text()
try:
    make_proposer(space)
except PluginError as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["iafsweep_linear", "iafsweep_cubic", "ends"])
def test_an_installed_package_is_found_by_its_entry_point(module, tmp_path):
    place = Place(tmp_path)
    (tmp_path / "packages" / "ends.py").write_text("raise SystemExit(3)")
    installed = tmp_path / "packages" / "somebody_s_package-3.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody-s-package\nVersion: 3.0\n")
    (installed / "entry_points.txt").write_text(f"[iafsweep.plugins]\nlinear = {module}\n")
    if module == "iafsweep_linear":
        read = "import iafsweep; print(iafsweep.load_config('small.toml').model.encoder.chosen)"
        assert "hidden_size=7" in place.run("-c", read)
    else:
        said = place.run("run_sweep.py", "status", "runs/none", code=2)
        assert "fix or uninstall the package that provides it" in said


@pytest.mark.slow
def test_flows_priors_samplers_and_schedulers_of_another_package(place):
    (place.path / "packages" / "other_families.py").write_text(OTHER_FAMILIES)
    (place.path / "families.toml").write_text(FAMILIES)
    place.run("-c", USED)
    assert "sweep.sampler = 'ordered' belongs to the plugin other_families" in place.run("-c", READ)


@pytest.mark.slow
def test_a_run_is_trained_resumed_exported_and_read_with_the_plugin_alone(place):
    trained = place.run("run_single.py", "small.toml", "--run", "run", *PLUGIN)
    assert "nats per image" in trained.lower()
    assert "--plugin iafsweep_linear" in place.run("run_single.py", "--run", "run", "--resume", code=2)
    place.run("run_single.py", "--run", "run", "--resume", "--set", "training.epochs=2", *PLUGIN)
    place.run("run_single.py", "--run", "run", "--export", "model", *PLUGIN)
    read = """
import iafsweep, sys
if len(sys.argv) > 2:
    iafsweep.load_plugin(sys.argv[2])
print(tuple(iafsweep.load_run(sys.argv[1]).model.sample(2).shape))
"""
    for folder in ("run", "model"):
        assert "(2, 1, 12, 16)" in place.run("-c", read, folder, "iafsweep_linear")
    figures = """
import iafsweep, iafsweep.errors
run = iafsweep.load_run("run")
assert run.evaluation.estimates and len(run.metrics) == 2 and run.config.model.encoder.kind == "linear"
assert "test NLL" in repr(run) and "epoch 2, model of a plugin that is not loaded" in run._repr_html_(), repr(run)
try:
    run.model
except iafsweep.errors.PluginError as error:
    print(error)
iafsweep.load_plugin("iafsweep_linear")
print(tuple(run.model.sample(2).shape))
"""
    said = place.run("-c", figures)
    assert "add --plugin iafsweep_linear" in said
    assert "(2, 1, 12, 16)" in said
    refused = """
import iafsweep.errors
try:
    iafsweep.load_run("model").model
except iafsweep.errors.PluginError as error:
    print(error)
"""
    assert "add --plugin iafsweep_linear" in place.run("-c", refused)


@pytest.mark.slow
def test_a_sweep_needs_it_in_ray_s_workers_and_for_its_figures_not_at_all(place):
    ended = place.run("run_sweep.py", "launch", "space.toml", "--name", "swept", *PLUGIN)
    assert "[3/3]" in ended
    folder = "runs/swept"
    for words in (("status",), ("export", "--csv", "board.csv"), ("compare",), ("report",), ("logs",)):
        name, *options = words
        more = ["t0001"] if name == "logs" else []
        said = place.run("run_sweep.py", name, folder, *more, *options)
        hints = [line for line in said.splitlines() if re.search(r"run_sweep.py (retrain|rerun|resume) ", line)]
        assert all(line.endswith("--plugin iafsweep_linear") for line in hints), hints
        assert name != "export" or hints
    lines = (place.path / folder / "report.html").read_text()
    assert re.search(r"config.toml --run runs/TRIAL-again --plugin iafsweep_linear", lines)
    assert "linear" in (place.path / "board.csv").read_text()
    read = "import iafsweep; sweep = iafsweep.load_sweep('runs/swept'); "
    place.run("-c", f"{read} assert {{sweep.run(row.trial).epoch for row in sweep.rows}} == {{1}}, sweep.best()")
    for words in (("extend", folder, "--trials", "+1"), ("rerun", folder, "--samples", "5")):
        assert "--plugin iafsweep_linear" in place.run("run_sweep.py", *words, code=2)
    place.run("run_sweep.py", "rerun", folder, "--samples", "5", *PLUGIN)
    ends = [json.loads(row) for row in (place.path / folder / "trials.jsonl").read_text().splitlines()]
    assert [row["status"] for row in ends if row.get("event") == "finished" or "status" in row][:3] == ["completed"] * 3
