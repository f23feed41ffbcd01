"""Configurations as TOML: round trip, bases, overrides, and the errors of each."""

import re

import pytest
from pydantic import ValidationError

from iafsweep.config import RunConfig, dump_config, field_paths, get_path, load_config
from iafsweep.config.files import bundled_folder
from iafsweep.errors import ConfigError, UserError
from tests.config.test_no_dead_key import CHANGES, config_of


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_survive_a_round_trip(tmp_path):
    assert load_config(write(tmp_path, "a.toml", dump_config(RunConfig()))) == RunConfig()


@pytest.mark.parametrize("path", sorted(field_paths(RunConfig)))
def test_each_field_survives_a_round_trip(tmp_path, path):
    change = CHANGES[path]
    config = config_of(change, **{path: change.value})
    again = load_config(write(tmp_path, "a.toml", dump_config(config)))
    assert again == config
    assert get_path(again, path) == get_path(config, path)


@pytest.mark.parametrize("name", [path.stem for path in sorted(bundled_folder().glob("reference*.toml"))])
def test_shipped_configurations_survive_a_round_trip(tmp_path, name):
    config = load_config(name)
    assert load_config(write(tmp_path, "a.toml", dump_config(config))) == config


def test_a_written_configuration_leans_on_no_default():
    dumped = dump_config(RunConfig())
    for path in field_paths(RunConfig):
        if get_path(RunConfig(), path) is not None:
            assert f"{path.rsplit('.', 1)[-1]} = " in dumped


def test_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().title = "other"
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().model.flow.made.width = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nlatent = 3", "unknown key `model.latent`: did you mean `model.latent_size`"),
        ("[modle]\nlatent_size = 3", r"unknown table `modle`: did you mean `\[model\]`"),
        (
            "[training]\nlearning_rat = 1e-3",
            "unknown key `training.learning_rat`: did you mean `training.learning_rate`",
        ),
        ("[model.flow]\nwidth = 3", "unknown key `model.flow.width`: did you mean `model.flow.made.width`"),
        ("[model]\nlatent_size = '3'", "model.latent_size: must be a whole number, found '3'"),
        ("[model]\nlatent_size = 3.0", "model.latent_size: .*found 3.0"),
        ("[model]\nlatent_size = true", "model.latent_size: .*found True"),
        ("[training]\nlearning_rate = inf", "training.learning_rate: .*finite"),
        ("[training]\nlearning_rate = nan", "training.learning_rate: "),
        ("[model.encoder]\nkind = 'cnn'", "model.encoder.kind: must be 'resnet', 'gated_conv'.*'mlp'.*, found 'cnn'"),
        ("model = 3", "model: is a table, not a value; set one of its fields, such as `model.latent_size`, found 3"),
        ("[modle.flow]\ndepth = 3", r"unknown table `modle`: did you mean `\[model\]`"),
        ("[model.encodr]\nkind = 'mlp'", r"unknown table `model.encodr`: did you mean `\[model.encoder\]`"),
        ("[model.flow]\nmade = 3", "model.flow.made: is a table, not a value; .*found 3"),
        ("model.encoder.mlp.hidden_sizes = 3", r"hidden_sizes: must be a list in square brackets, found 3"),
        ("[model.encoder.mlp]\nhidden_sizes = []", "hidden_sizes: must have more entries, at least 1, found "),
        ("[model.flow]\ngated = 1", "model.flow.gated: must be true or false, found 1"),
        ("title = 3", "title: must be a text, found 3"),
        ("[training]\nlearning_rate = '1'", "training.learning_rate: must be a number, found '1'"),
        ("[training]\nlearning_rate = -1", "training.learning_rate: must be greater than 0, found -1"),
        ("[training]\nepochs = 99999999999999999999", "training.epochs: must be less than 2147483648, found 9"),
        ("[model.flow]\ndepth = 1001", "model.flow.depth: must be at most 1000, found 1001"),
        ("title = 2020-01-01", "title: must be a text, found datetime.date"),
        ("title = [", "not valid TOML: "),
        ("[sweep]\ntrials = 3", r"has \[sweep\], which only a search space has, but no \[search\]: add \[search\], or"),
        ("[search]", "is a search space.*iafsweep-sweep launch"),
    ],
)
def test_errors_of_a_file_name_it(tmp_path, text, message):
    path = write(tmp_path, "wrong.toml", text)
    with pytest.raises(ConfigError, match=f"(?s){re.escape(str(path))}.*{message}"):
        load_config(path)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 100_000,
        "x = " + "{a=" * 5000,
        "x = " + "9" * 5000,
        "[" + "a." * 500 + "a]",
        "training.epochs." + "a." * 500 + "a = 3",
        "base = '" + "a" * 5000 + "'",
        'base = "\\u0000"',
    ],
    ids=lambda text: text[:12],
)
def test_hostile_files_are_refused(tmp_path, text):
    with pytest.raises(ConfigError):
        load_config(write(tmp_path, "hostile.toml", text))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "{a=" * 5000, "inf", "nan"], ids=lambda value: value[:6])
def test_hostile_overrides_are_refused(value):
    with pytest.raises(ConfigError):
        load_config("reference", [f"model.latent_size={value}"])


def test_every_broken_rule_is_told_at_once(tmp_path):
    path = write(tmp_path, "wrong.toml", "[model]\nlatent_size = 0\n[training]\nepochs = 0")
    with pytest.raises(ConfigError, match="(?s)model.latent_size: .*training.epochs: "):
        load_config(path)


def test_missing_file_names_those_shipped():
    with pytest.raises(UserError, match="no such configuration: nothing.toml; .*reference_full"):
        load_config("nothing.toml")


def test_folder_and_binary_files_are_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "binary.toml")


def test_base_is_relative_to_its_file_and_merged_key_by_key(tmp_path):
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", "grand.toml", "title = 'grand'\n[model]\nlatent_size = 3\nposterior_offset = -1.0")
    write(tmp_path, "base.toml", "base = 'below/grand.toml'\n[model.flow]\ndepth = 2")
    config = load_config(write(tmp_path, "a.toml", "base = 'base.toml'\n[model]\nlatent_size = 5"))
    assert (config.title, config.model.latent_size, config.model.posterior_offset) == ("grand", 5, -1.0)
    assert config.model.flow.depth == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.toml": "base = 'gone.toml'"}, "no such configuration: .*gone.toml, the base of .*a.toml; give a path"),
        (
            {"a.toml": "base = 'b.toml'", "b.toml": "base = 'gone.toml'"},
            "no such configuration: .*gone.toml, the base of .*b.toml",
        ),
        ({"a.toml": "base = 'a.toml'"}, "circle"),
        ({"a.toml": "base = 'b.toml'", "b.toml": "base = 'a.toml'"}, "circle"),
        ({"a.toml": "base = 3"}, "`base` must be the path of a TOML file, found 3"),
        ({"a.toml": "base = 'b.toml'", "b.toml": "[search]"}, r"base b.toml is a search space \(it has \[search\]\)"),
        ({"a.toml": "base = 'b.toml'", "b.toml": "[sweep]"}, r"base b.toml is a search space"),
    ],
)
def test_errors_of_bases(tmp_path, files, message):
    for name, text in files.items():
        write(tmp_path, name, text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "a.toml")


def test_overrides_win(tmp_path):
    path = write(tmp_path, "a.toml", "[model]\nlatent_size = 3")
    config = load_config(
        path,
        ["model.latent_size=5", "model.encoder.kind = mlp", "title=a = b", "model.encoder.mlp.hidden_sizes=[4, 5]"],
    )
    assert (config.model.latent_size, config.model.encoder.kind, config.title) == (5, "mlp", "a = b")
    assert config.model.encoder.mlp.hidden_sizes == (4, 5)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.latent_size", "'model.latent_size' is not KEY=VALUE"),
        ("model.latent_size=", "is not KEY=VALUE"),
        ("model.latent=3", "unknown key `model.latent`: did you mean `model.latent_size`"),
        ("__class__=3", "unknown key `__class__`"),
        ("model.latent_size=many", "model.latent_size: .*found 'many'"),
        (
            "model=3",
            "override 'model=3': `model` is a table, not a value; .*, such as `model.latent_size`",
        ),
        ("model.flow.made=3", "`model.flow.made` is a table"),
        ("modle.latent_size=3", "unknown key `modle.latent_size`: did you mean `model.latent_size`"),
        ("training.epochs=3\ntraining.seed=4", "has more than one line; give each KEY=VALUE a --set of its own"),
        ("title=a\rb", "has more than one line"),
    ],
)
def test_errors_of_overrides(override, message):
    with pytest.raises(ConfigError, match=message):
        load_config("reference", [override])


def test_reference_recipe_is_the_defaults():
    full = load_config("reference_full")
    defaults = RunConfig()
    exceptions = {"title", "data.validation_images", "evaluation.checkpoint"}
    for path in field_paths(RunConfig):
        if path not in exceptions and not path.startswith("evaluation.hais."):
            assert get_path(full, path) == get_path(defaults, path), path
    assert (full.data.held_out, full.data.training_images, full.evaluation.checkpoint) == (0, 60_000, "last")


def test_reference_recipe_to_the_letter():
    config = load_config("reference_full")
    recipe = {
        "data.source": "mnist",
        "model.latent_size": 64,
        "model.posterior_offset": -3.0,
        "model.batch_norm_momentum": 0.001,
        "model.encoder.kind": "resnet",
        "model.encoder.resnet.maps": 64,
        "model.encoder.resnet.hidden_size": 450,
        "model.decoder.kind": "resnet",
        "model.decoder.resnet.maps": 64,
        "model.flow.depth": 8,
        "model.flow.gated": True,
        "model.flow.made.width": 1920,
        "model.flow.made.hidden_layers": 2,
        "model.flow.made.context_mode": "add",
        "model.flow.made.batch_norm": True,
        "training.epochs": 2500,
        "training.batch_size": 200,
        "training.learning_rate": 1e-3,
        "training.learning_rate_decay": 0.5,
        "training.learning_rate_decay_epochs": 800,
        "training.kl_warmup_epochs": 200,
        "evaluation.importance_sampling.samples": 1000,
        "evaluation.importance_sampling.images": None,
        "evaluation.hais.start": "prior",
        "evaluation.hais.minimum_step_size": 1e-4,
    }
    assert {path: get_path(config, path) for path in recipe} == recipe
    hais = config.evaluation.hais
    assert hais.resolved().temperatures == 499  # 500 grid points
    assert hais.resolved().leapfrog_steps == 10
    assert hais.resolved().chains == 16
    assert (hais.resolved().initial_step_size, hais.resolved().maximum_step_size) == (0.01, 0.5)
    assert hais.resolved().schedule == "sigmoid"
    assert hais.resolved().target_acceptance == 0.65
    assert config.model.flow.resolved_context_size == 1920


def test_reference_differs_from_reference_full_in_what_is_held_out():
    full, held_out = load_config("reference_full"), load_config("reference")
    different = {path for path in field_paths(RunConfig) if get_path(full, path) != get_path(held_out, path)}
    assert different == {"title", "data.validation_images", "evaluation.checkpoint"}
    assert (held_out.data.held_out, held_out.evaluation.checkpoint) == (5000, "best")


def test_a_base_may_be_one_that_is_shipped(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "reference.toml"\n[model]\nlatent_size = 12\n')
    config = load_config(path)
    assert (config.model.latent_size, config.data.held_out) == (12, 5000)
    (tmp_path / "reference.toml").write_text("[training]\nepochs = 3\n")
    assert load_config(path).training.epochs == 3


TEXT = 'title = "Größe"\n[model]\nlatent_size = 7\n'


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "c.toml").write_bytes(TEXT.encode("utf-8-sig"))
    assert load_config(tmp_path / "c.toml").model.latent_size == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT.encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        (TEXT.encode("utf-16-be"), "it is UTF-16; save it as UTF-8"),
        (TEXT.replace("ö", "o").replace("ß", "s").encode("utf-16-le"), "it is UTF-16; save it as UTF-8"),
        (
            b"# x\n" + TEXT.encode("latin-1"),
            "it is not UTF-8 but perhaps latin-1, in which byte 0xf6 in line 2 is 'ö';",
        ),
    ],
)
def test_other_encodings_are_named(tmp_path, content, message):
    (tmp_path / "c.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=f"cannot read .*c.toml: {message}"):
        load_config(tmp_path / "c.toml")
