"""Search space files: what is refused before anything starts, with its message, and what is shipped."""

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch

from iafsweep.api.own_images import space_with_images
from iafsweep.config import HaisConfig, RunConfig, dump_config, get_path, load_config
from iafsweep.config.files import bundled_folder
from iafsweep.config.sweep import NEW_SWEEPS, Procedure
from iafsweep.data import Images
from iafsweep.errors import ConfigError
from iafsweep.estimators.log_weights import largest_trusted_variance
from iafsweep.models import build_model, count_parameters
from iafsweep.records.trust import FEWEST_CHAINS, is_unsettled, settling_of
from iafsweep.search_space.candidate import configuration_key
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.files import dump_space, load_space, read_stored_space
from iafsweep.sweep.storage.stored_sweep import space_hash
from tests.sweep.tiny import tiny_space

SPACES = sorted(path.stem for path in bundled_folder().glob("*.toml") if "search" in tomllib.loads(path.read_text()))
shipped = cache(load_space)
BASE = """
title = "test"
[training]
epochs = 20
kl_warmup_epochs = 5
[model.flow.made]
width = 200
"""


def write(folder, text, name="space.toml"):
    path = folder / name
    path.write_text(BASE + text, encoding="utf-8")
    return path


def search(line):
    return f"[search]\n{line}"


def test_forms_of_ranges(tmp_path):
    path = write(
        tmp_path,
        """
        [fixed]
        "training.seed" = 3
        [search]
        "model.latent_size" = { choice = [8, 16] }
        "model.flow.depth" = { int = [0, 4], step = 2 }
        "model.flow.made.width" = { int = [64, 128], log = true, when = "model.flow.depth > 0" }
        "training.learning_rate" = { float = [1e-4, 1], log = true }
        "training.learning_rate_decay" = { float = [0.5, 1.0], step = 0.25 }
        "training.learning_rate_decay_epochs" = { choice = [2, 4] }
        "model.encoder.kind" = { choice = ["mlp", "resnet"] }
        "model.encoder.mlp.hidden_sizes" = { choice = [[8, 8], [9]], when = "model.encoder.kind == 'mlp'" }
        [sweep]
        trials = 7
        """,
    )
    space = load_space(path)
    assert [parameter.range for parameter in space.parameters] == [
        Choice((8, 16)),
        IntRange(0, 4, step=2),
        IntRange(64, 128, log=True),
        FloatRange(1e-4, 1, log=True),
        FloatRange(0.5, 1.0, step=0.25),
        Choice((2, 4)),
        Choice(("mlp", "resnet")),
        Choice(((8, 8), (9,))),
    ]
    assert space.parameter("model.flow.made.width").when.text == "model.flow.depth > 0"
    assert (space.title, space.sweep.trials, space.fixed) == ("test", 7, {"training.seed": 3})
    assert space.base.training.seed == 3


def test_keys_with_and_without_quotes(tmp_path):
    quoted = load_space(
        write(tmp_path, '[fixed]\n"training.seed" = 3\n[search]\n"model.latent_size" = { choice = [8, 9] }')
    )
    bare = load_space(write(tmp_path, "[fixed]\ntraining.seed = 3\n[search]\nmodel.latent_size = { choice = [8, 9] }"))
    assert quoted == bare


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is a single configuration.*iafsweep-run"),
        ("[sweep]\ntrials = 3", r"has \[sweep\], but no \[search\]: name at least one field there"),
        ("[serach]\n'training.epochs' = { int = [2, 4] }", r"unknown table \[serach\]: did you mean \[search\]\?"),
        ("[search]\n[swep]\ntrials = 3", r"unknown table \[swep\]: did you mean \[sweep\]\?"),
        ("[search]", "at least one parameter"),
        (search("model.latent = { choice = [8] }"), r"\[search\] unknown key `model.latent`: did you mean"),
        (search("'model.flow' = { choice = [8] }"), r"unknown key `model.flow.choice`"),
        (
            search("model.latent_size = [8, 16]"),
            r"`model.latent_size`: expected a range such as { choice = .*found \[8, 16\]",
        ),
        (search("model.latent_size = 8"), "one value alone belongs in .fixed."),
        (search("model.latent_size = { choise = [8] }"), "unknown key `choise`: did you mean `choice`"),
        (search("model.latent_size = { choice = [8], wen = 'x' }"), "unknown key `wen`: did you mean `when`"),
        (search("model.latent_size = { choice = [8], log = true }"), "unknown key `log`: known: choice, when"),
        (search("model.latent_size = { int = [8, 9], stop = 2 }"), "unknown key `stop`: did you mean `step`"),
        (
            search("model.latent_size = { when = 'model.flow.depth > 0' }"),
            "one of `choice`, `int` and `float`, found none",
        ),
        (search("model.latent_size = { int = [8, 9], choice = [3] }"), "found choice and int"),
        (search("model.latent_size = { choice = 8 }"), "`choice` must be a list"),
        (search("model.latent_size = { choice = [] }"), "at least one value"),
        (search("model.latent_size = { int = [8] }"), r"two ends \[low, high\], found \[8\]"),
        (search("model.latent_size = { int = [9, 8] }"), "`model.latent_size`: `low <= high` must hold"),
        (search("model.latent_size = { int = [8, 9], log = 1 }"), "`log` must be true or false, found 1"),
        (search("model.latent_size = { int = ['8', 9] }"), "whole numbers, got low = '8'"),
        (search("model.latent_size = { int = [8, 9], when = 3 }"), "`when` must be a text.*found 3"),
        (search("model.latent_size = { int = [8, 9], when = 'depth > 0' }"), "when, column 1: unknown key `depth`"),
        (search("model.latent_size = { choice = [2024-01-01] }"), "a value is a text, a number"),
        ("[fixed]\nmodel.latent_sze = 3\n" + search("training.learning_rate = { choice = [1e-3] }"), "did you mean"),
        (
            "[fixed]\nmodel.latent_size = 3\n" + search("model.latent_size = { choice = [3, 4] }"),
            "both in .fixed. and in",
        ),
        (
            "[fixed]\ntraining.epochs = { int = [8, 9] }\n" + search("model.latent_size = { choice = [3] }"),
            "a range belongs in",
        ),
        (
            search("model.latent_size = { choice = [8, 9] }\n[sweep]\ntrails = 3"),
            "unknown key `trails`: did you mean `trials`",
        ),
        (search("model.latent_size = { choice = [8, 9] }\n[sweep]\ntrials = 0"), r"\[sweep\]: trials: .*found 0"),
        (
            search("model.latent_size = { choice = [8, 9] }\n[sweep]\nsampler = 'bohb'"),
            "sampler: .*'tpe'.*found 'bohb'",
        ),
        (
            search("model.latent_size = { choice = [8, 9] }\n[sweep]\ngpus_per_trial = 1.5"),
            "is above 1 but not whole",
        ),
        ("sweep = 3\n", "no .search.: name at least one field"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path, text, message):
    if text == "sweep = 3\n":
        path = write(tmp_path, "")
        path.write_text("sweep = 3")
    else:
        path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=f"(?s){re.escape(str(path))}.*{message}"):
        load_space(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # each value, at both ends and among all choices
        (search("model.latent_size = { choice = [8, 0] }"), "model.latent_size = 0: .*at least 1"),
        (search("model.latent_size = { int = [0, 8] }"), "model.latent_size = 0"),
        (search("model.latent_size = { float = [1.0, 8.0] }"), "model.latent_size = 1.0: .*whole number"),
        (search("training.learning_rate = { float = [0.0, 1.0] }"), "training.learning_rate = 0.0: "),
        (search("model.encoder.kind = { choice = ['mlp', 'cnn'] }"), "model.encoder.kind = 'cnn': "),
        (
            search("training.batch_size = { int = [100, 60000] }"),
            "training.batch_size = 60000: .*is more than the 55,000",
        ),
        # values that only break a rule together
        (
            search("model.latent_size = { choice = [8, 128] }\nmodel.flow.made.width = { choice = [16, 256] }"),
            "1 of 4 combinations tried are illegal, the first: model.latent_size = 128, model.flow.made.width = 16: ",
        ),
        (
            search(
                "model.latent_size = { choice = [8, 128] }\nmodel.flow.depth = { int = [0, 3] }\n"
                "model.flow.made.width = { choice = [16, 256] }\ntraining.learning_rate = { float = [1e-4, 1e-3] }"
            ),
            "first: model.latent_size = 128, model.flow.depth = 3, model.flow.made.width = 16: .*too narrow",
        ),
        # one among very many
        (
            search(
                "model.latent_size = { int = [1, 130] }\nmodel.flow.made.width = { int = [128, 4000] }\n"
                + "\n".join(
                    f"{path} = {{ int = [1, 100] }}"
                    for path in (
                        "model.encoder.resnet.maps",
                        "model.encoder.resnet.hidden_size",
                        "model.decoder.resnet.maps",
                        "training.learning_rate_decay_epochs",
                    )
                )
                + "\ntraining.batch_size = { choice = [100, 200, 300, 400, 500, 600, 700, 800, 900] }"
                + "\nmodel.encoder.kind = { choice = ['resnet', 'mlp', 'gated_conv'] }"
                + "\nmodel.decoder.kind = { choice = ['resnet', 'mlp', 'gated_conv'] }"
                + "\nmodel.flow.made.hidden_layers = { int = [1, 3] }\nmodel.flow.depth = { int = [1, 3] }"
            ),
            "model.latent_size = 130, model.flow.made.width = 128: ",
        ),
        # values between the ends where only a condition leads to them
        (
            search(
                "model.flow.depth = { int = [0, 5000] }\n"
                "model.latent_size = { int = [1, 300], when = 'model.flow.depth in [17]' }"
            ),
            "model.latent_size = 300: ",
        ),
        # what must be the same for all trials, or matters to none
        (
            search("data.validation_images = { choice = [10, 20] }"),
            "`data.validation_images` cannot be searched: trials must",
        ),
        (search("evaluation.seed = { choice = [10, 20] }"), "`evaluation.seed` cannot be searched"),
        (search("training.seed = { choice = [10, 20] }"), "`training.seed` cannot be searched: each trial gets"),
        (search("title = { choice = ['a', 'b'] }"), "`title` cannot be searched"),
        (
            search("model.encoder.mlp.hidden_sizes = { choice = [[3], [4]] }"),
            "hidden_sizes` changes nothing in this space",
        ),
        (
            "[fixed]\nmodel.flow.depth = 0\n" + search("model.flow.made.width = { int = [300, 400] }"),
            "`model.flow.made.width` changes nothing in this space",
        ),
        (
            search(
                "model.flow.depth = { int = [0, 3] }\n"
                "model.flow.made.width = { choice = [300], when='model.flow.depth > 3' }"
            ),
            "`model.flow.made.width` is never active",
        ),
        # selection
        (
            "[fixed]\ndata.validation_images = 0\nevaluation.checkpoint = 'last'\n"
            + search("model.latent_size = { choice = [8, 9] }"),
            "a sweep chooses by validation images, but data.validation_images = 0",
        ),
        (
            "[fixed]\nevaluation.checkpoint = 'last'\n" + search("model.latent_size = { choice = [8, 9] }"),
            "evaluation.checkpoint = 'last'; set it to 'best'",
        ),
        # warm-up < grace < epochs
        (search("training.kl_warmup_epochs = { int = [0, 19] }"), "got 19 < 20 .the default. < 20"),
        (search("training.epochs = { choice = [6, 30] }"), "got 5 < 6 .the default. < 6"),
        (search("model.latent_size = { choice = [8, 9] }\n[sweep]\ngrace_epochs = 5"), "must hold.*got 5 < 5 < 20"),
        (search("model.latent_size = { choice = [8, 9] }\n[sweep]\ngrace_epochs = 20"), "got 5 < 20 < 20"),
        (
            search("training.learning_rate = { float = [1e-4, 1e-3] }\n[sweep]\nsampler = 'grid'"),
            "grid needs a finite space",
        ),
    ],
)
def test_rules_of_spaces(tmp_path, text, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load_space(write(tmp_path, text))


def test_conditions_keep_illegal_combinations_out(tmp_path):
    text = search(
        "model.latent_size = { choice = [8, 128] }\n"
        "model.flow.made.width = { choice = [16, 256], when = 'model.latent_size < 100' }"
    )
    assert load_space(write(tmp_path, text)).size == 3


def test_without_a_scheduler_warm_up_may_be_long(tmp_path):
    text = search("training.kl_warmup_epochs = { choice = [0, 50] }\n[sweep]\nscheduler = 'none'")
    assert load_space(write(tmp_path, text)).longest_warmup == 50


def test_epochs_warm_up_and_grace_over_the_space(tmp_path):
    text = search(
        "training.epochs = { choice = [90, 180] }\n"
        "training.kl_warmup_epochs = { choice = [0, 2], when = 'training.epochs > 100' }"
    )
    space = load_space(write(tmp_path, text))
    # Where the warm-up is inactive, the base's 5 epochs count.
    assert (space.fewest_epochs, space.most_epochs, space.longest_warmup) == (90, 180, 5)
    assert space.grace_epochs == 90 // 3**2
    given = load_space(write(tmp_path, text), sweep={"grace_epochs": 20, "trials": None})
    assert (given.grace_epochs, given.sweep.trials) == (20, 16)


def test_overrides(tmp_path):
    path = write(tmp_path, "[fixed]\ntraining.seed = 3\n" + search("model.latent_size = { choice = [8, 9] }"))
    space = load_space(
        path, ["training.seed=4", "model.encoder.kind=mlp"], epochs=30, sweep={"trials": 3, "seed": None}
    )
    assert space.fixed == {"training.seed": 4, "model.encoder.kind": "mlp", "training.epochs": 30}
    assert (space.base.training.seed, space.base.training.epochs, space.sweep.trials) == (4, 30, 3)
    with pytest.raises(ConfigError, match="`model.latent_size` cannot be set to 32: it is searched"):
        load_space(path, ["model.latent_size=32"])
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        load_space(path, ["model.latent_size"])
    with pytest.raises(ConfigError, match="unknown key `trails`"):
        load_space(path, sweep={"trails": 3})
    with pytest.raises(ConfigError, match="got 5 < 6 .the default. < 4"):
        load_space(path, epochs=4)
    searched = write(tmp_path, search("training.epochs = { choice = [18, 19] }"))
    with pytest.raises(ConfigError, match="`training.epochs` cannot be set to 4: it is searched"):
        load_space(searched, epochs=4)


@pytest.mark.parametrize("name", SPACES)
def test_stored_space_is_the_space(tmp_path, name):
    space = load_space(name, ["training.seed=5"], sweep={"trials": 3})
    stored = tmp_path / "sweep.toml"
    stored.write_text(dump_space(space), encoding="utf-8")
    assert read_stored_space(stored) == space
    assert dump_space(read_stored_space(stored)) == dump_space(space)
    assert "base" not in tomllib.loads(stored.read_text())


def test_stored_space_leans_on_no_other_file(tmp_path):
    path = write(tmp_path, "")
    path.write_text('base = "/etc/passwd"\n[search]\n"model.latent_size" = { choice = [8] }')
    with pytest.raises(ConfigError, match="it must have .search. and no `base`"):
        read_stored_space(path)
    with pytest.raises(ConfigError, match="no such configuration"):
        read_stored_space(tmp_path / "gone.toml")


@pytest.mark.parametrize("name", SPACES)
def test_shipped_spaces_say_what_they_ask(name):
    space = shipped(name)
    assert space.title.endswith("?")
    text = (bundled_folder() / f"{name}.toml").read_text()
    assert text.startswith("# ")
    with pytest.raises(ConfigError, match="is a search space"):
        load_config(name)


@pytest.mark.parametrize("name", SPACES)
def test_shipped_spaces_take_chains_enough_to_tell_a_good_image_from_a_bad_one(name):
    evaluation = shipped(name).base.evaluation
    assert evaluation.hais.resolved().chains >= FEWEST_CHAINS
    assert largest_trusted_variance(FEWEST_CHAINS) > 2 * 0.3 > 2 * largest_trusted_variance(FEWEST_CHAINS // 2)


@pytest.mark.parametrize("name", ["quick", "mnist_smoke"])
def test_short_runs_avoid_the_traps(name):
    base = shipped(name).base
    assert base.model.posterior_offset == -1.0
    assert base.data.source == "mnist_mini"


@pytest.mark.parametrize("name", SPACES)
def test_the_moving_averages_of_every_shipped_space_settle(name):
    space = shipped(name)
    if not space.base.data.is_known:  # as many of one's own as its comment says
        space, _ = space_with_images(space, Images(np.zeros((500, 28, 28), dtype=np.uint8)))
    first = space.grace_epochs if space.sweep.scheduler == "asha" else space.base.training.epochs
    largest = max((each for p in space.parameters if p.path == "training.batch_size" for each in p.range.values),
                  default=space.base.training.batch_size)  # fmt: skip
    momentum = space.base.model.batch_norm_momentum
    settling = settling_of(momentum, space.base.data.training_images, largest, first)
    assert not space.base.has_lagging_averages or not is_unsettled(settling)


def test_quick():
    space = shipped("quick")
    settings = {
        "model.encoder.kind": "mlp",
        "model.decoder.kind": "mlp",
        "evaluation.importance_sampling.samples": 1000,
        "evaluation.importance_sampling.images": None,
        "evaluation.hais.enabled": True,
        "evaluation.hais.start": "posterior",
        "evaluation.hais.images": 100,
    }
    assert {path: get_path(space.base, path) for path in settings} == settings
    hais = space.base.evaluation.hais
    assert hais == HaisConfig(enabled=True, images=100, temperatures=160)  # not the reference's start
    assert (space.sweep.trials, space.sweep.top) == (8, 2)
    assert space.most_epochs <= 12
    assert space.parameter("model.flow.depth").range.low == 0


def test_mnist_searches_what_the_project_is_about():
    searched = {parameter.path for parameter in shipped("mnist").parameters}
    assert searched == {
        "model.encoder.kind",
        "model.decoder.kind",
        "model.latent_size",
        "model.flow.depth",
        "model.flow.made.width",
        "model.flow.made.hidden_layers",
        "model.flow.made.context_mode",
        "model.flow.gated",
        "training.learning_rate",
        "training.kl_warmup_epochs",
        "training.batch_size",
    }


def test_the_flows_compared_have_equal_parameters():
    space = load_space("flows")
    found = {}
    for point in space.first:
        config = space.config(point)
        with torch.device("meta"):
            model = build_model(config.model, config.image_format, seed=0)
        flow = config.model.flow
        name = flow.chosen.variant if flow.kind == "sylvester" else flow.kind
        parts = (model.flow, *([] if model.context_map is None else [model.context_map]))
        found[name if flow.depth else "none"] = sum(count_parameters(part) for part in parts)
    assert found.pop("none") == 0
    assert set(found) == {"iaf", "planar", "orthogonal", "householder", "triangular", "naf", "spline"}
    assert found.pop("planar") < 100_000  # with a wider context it does not train
    assert all(abs(count / 630_000 - 1) < 0.005 for count in found.values()), found
    assert (space.sweep.sampler, space.sweep.repeats, space.sweep.trials) == ("listed", 3, 3 * len(space.first))


def test_single_configurations_are_no_spaces():
    for name in ("reference", "reference_full"):
        with pytest.raises(ConfigError, match="is a single configuration"):
            shipped(name)


def test_every_configuration_of_the_smoke_space_is_its_own():
    space = load_space("mnist_smoke")
    configs = [space.config({"model.flow.depth": depth, "training.learning_rate": 2e-3}) for depth in (0, 1)]
    assert len({configuration_key(config) for config in configs}) == 2
    assert all(isinstance(config, RunConfig) for config in configs)


def test_spaces_and_leaderboards_need_neither_ray_nor_torch():
    code = (
        "import sys, iafsweep.search_space.files, iafsweep.search_space.preview, iafsweep.leaderboard;"
        "print(sorted({'ray', 'optuna', 'torch', 'torchvision'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_first_points_are_read_checked_and_stored(tmp_path):
    path = tmp_path / "space.toml"
    shipped = (Path(__file__).parents[2] / "search_spaces" / "mnist_smoke.toml").read_text()
    for name in ("reference.toml", "reference_full.toml"):
        (tmp_path / name).write_text((Path(__file__).parents[2] / "search_spaces" / name).read_text())
    path.write_text(shipped + '\n[[sweep.try]]\n"model.flow.depth" = 1\ntraining.learning_rate = 0.002\n')
    space = load_space(path)
    assert space.first == ({"model.flow.depth": 1, "training.learning_rate": 0.002},)
    stored = tmp_path / "stored.toml"
    stored.write_text(dump_space(space))
    assert read_stored_space(stored).first == space.first
    path.write_text(shipped + '\n[[sweep.try]]\n"model.flow.depth" = 7\n')
    with pytest.raises(ConfigError, match=r"\[\[sweep.try\]\] number 1: `model.flow.depth`: 7"):
        load_space(path)


LINEAR = '[fixed]\n"model.flow.made.context_mode" = "linear"\n'
UNSET = f"""
{LINEAR}
[search]
"model.flow.context_size" = {{ choice = ["unset", 320] }}
"training.batch_size" = {{ choice = [100, 200], when = "model.flow.context_size > 100" }}
"training.learning_rate" = {{ choice = [1e-3, 2e-3], when = "model.flow.context_size == 'unset'" }}
"""


def test_a_field_without_a_value_can_be_searched_fixed_and_looked_at(tmp_path):
    space = load_space(write(tmp_path, UNSET))
    configs = {config.model.flow.context_size: config for config in map(space.config, space.grid())}
    assert (len(configs), space.size) == (2, 4)
    left_out = load_space(write(tmp_path, LINEAR + search('"training.batch_size" = { choice = [100, 200] }'))).base
    unset = space.config(
        {"model.flow.context_size": "unset", "training.learning_rate": left_out.training.learning_rate}
    )
    assert configuration_key(unset) == configuration_key(left_out)
    assert list(space.active({"model.flow.context_size": "unset", "training.learning_rate": 1e-3})) == [
        "model.flow.context_size",
        "training.learning_rate",
    ]
    (tmp_path / "stored.toml").write_text(dump_space(space))
    assert list(read_stored_space(tmp_path / "stored.toml").grid()) == list(space.grid())


def test_a_value_of_the_base_is_taken_away(tmp_path):
    text = "[model.flow]\ncontext_size = 64\n" + LINEAR + search('"model.latent_size" = { choice = [2, 3] }')
    path = write(tmp_path, text)
    assert load_space(path).base.model.flow.context_size == 64
    space = load_space(path, ["model.flow.context_size=unset"])
    assert (space.base.model.flow.context_size, space.fixed["model.flow.context_size"]) == (None, "unset")
    (tmp_path / "stored.toml").write_text(dump_space(space))
    assert read_stored_space(tmp_path / "stored.toml").base == space.base


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '"model.flow.context_size" = { choice = ["none", 320] }',
            "found 'none'; to leave it without a value write \"unset\"",
        ),
        ('"model.flow.context_size" = { choice = ["Null", 320] }', 'to leave it without a value write "unset"'),
        ('"model.latent_size" = { choice = ["unset", 320] }', "found 'unset'; it always has a value"),
        ('"model.latent_size" = { min = 2, max = 64 }', "{ int = [2, 64] } here, found { min = 2, max = 64 }"),
        (
            '"training.learning_rate" = { min = 1e-4, max = 1e-2, log = true }',
            "{ float = [0.0001, 0.01], log = true } here",
        ),
        (
            '"training.learning_rate" = { distribution = "log_uniform", lower = 1e-4, upper = 1 }',
            "1], log = true } here",
        ),
        ('"model.encoder.kind" = { values = ["mlp", "resnet"] }', 'written { choice = ["mlp", "resnet"] } here'),
        ('"model.latent_size" = { int = [2, 8], max = 64 }', "unknown key `max`"),
    ],
)
def test_what_other_tools_write_is_answered_with_how_it_is_written_here(tmp_path, line, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_space(write(tmp_path, search(line)))


def test_unset_in_the_table_of_the_sweep_is_left_out_there(tmp_path):
    text = search('"model.latent_size" = { choice = [2, 3] }') + '\n[sweep]\ngrace_epochs = "unset"\n'
    with pytest.raises(ConfigError, match="found 'unset'; leave it out to have its default"):
        load_space(write(tmp_path, text))


def test_how_a_sweep_proposes_is_stored_tells_searches_apart_and_is_not_copied_into_a_new_one(tmp_path):
    space = replace(tiny_space(), procedure=Procedure(startup_most=5, duplicates=9, grid_digits=None))
    path = tmp_path / "sweep.toml"
    path.write_text(dump_space(space))
    assert read_stored_space(path) == space
    assert space_hash(space) != space_hash(tiny_space())
    assert load_space(path) == replace(space, procedure=NEW_SWEEPS)
    path.write_text(path.read_text().replace('stops = "above_quantile"', 'stops = "median"').replace('"0.', '"9.', 1))
    with pytest.raises(ConfigError, match=r"\[procedure\].*median.*\(written by iafsweep 9"):
        read_stored_space(path)


def test_a_sweep_that_began_with_rounded_steps_keeps_them_and_its_hash(tmp_path):
    text = search('"model.posterior_offset" = { float = [-0.3, 0.3], step = 0.1 }')
    new = load_space(write(tmp_path, text))
    offset = "model.posterior_offset"
    assert [each[offset] for each in new.grid()] == [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]
    path = tmp_path / "sweep.toml"
    path.write_text(dump_space(new))
    assert read_stored_space(path) == new
    assert space_hash(read_stored_space(path)) == space_hash(new)
    before = tomllib.loads(dump_space(new)) | {"procedure": {"grid_digits": 12}}
    before["sweep"]["sampler"] = "tpe"  # there was no other that learns
    path.write_text(tomli_w.dumps(before))
    old = read_stored_space(path)
    assert list(old.grid())[3] == {offset: 5.55111512313e-17}
    del before["procedure"]  # 0.1.0 had none
    path.write_text(tomli_w.dumps(before))
    assert read_stored_space(path) == old
    assert space_hash(old) == "bf67918840eec97f" != space_hash(new)


@pytest.mark.parametrize("step", ["1e-15", "5e-324"])
def test_steps_that_nothing_tells_apart_are_refused_before_any_draw(tmp_path, step):
    line = f'"model.posterior_offset" = {{ float = [0, 1], step = {step} }}'
    with pytest.raises(ConfigError, match=r"posterior_offset`: `step >= 1e-07` must hold.*leave `step` out"):
        load_space(write(tmp_path, search(line)))


def test_whole_numbers_without_end_are_refused(tmp_path):
    huge = "1" + 400 * "0"
    for line in (
        f'"model.latent_size" = {{ int = [1, {huge}], log = true }}',
        f'"model.posterior_offset" = {{ float = [0, {huge}] }}',
        f'"model.latent_size" = {{ choice = [1, {huge}] }}',
        f'"model.latent_size" = {{ int = [1, 9], when = "model.flow.depth > {huge}" }}',
    ):
        with pytest.raises(ConfigError, match=r"search] `model.*(whole|finite)"):
            load_space(write(tmp_path, search(line)))


def test_a_stored_file_may_be_a_base(tmp_path):
    """What it does not say is then as it was when it was written, and not as it is today."""
    (tmp_path / "stored.toml").write_text(dump_config(tiny_space().base))
    (tmp_path / "mine.toml").write_text('base = "stored.toml"\n[training]\nepochs = 7\n')
    assert load_config(tmp_path / "mine.toml").training.epochs == 7
    assert load_config(tmp_path / "stored.toml") == tiny_space().base
