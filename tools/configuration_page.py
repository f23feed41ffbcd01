"""Write docs/configuration.md from the types of the configuration: `python -m tools.configuration_page`.

A test compares the page with what this script makes, so that neither can go stale.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo

from iafsweep.config import Family, RunConfig, Section, load_config
from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import ConfigError

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
UNITS = {
    "data.image_size": "pixels",
    "data.levels": "values",
    "data.validation_images": "images",
    "data.split_seed": "seed",
    "data.binarisation_seed": "seed",
    "model.latent_size": "variables",
    "model.posterior_offset": "natural logarithm",
    "model.batch_norm_momentum": "share",
    "model.encoder.dropout": "share",
    "model.decoder.dropout": "share",
    "model.encoder.resnet.maps": "maps",
    "model.encoder.resnet.hidden_size": "units",
    "model.encoder.gated_conv.maps": "maps",
    "model.encoder.gated_conv.hidden_size": "units",
    "model.encoder.mlp.hidden_sizes": "units",
    "model.decoder.resnet.maps": "maps",
    "model.decoder.gated_conv.maps": "maps",
    "model.decoder.mlp.hidden_sizes": "units",
    "model.decoder.autoregressive.pixelcnn.layers": "layers",
    "model.decoder.autoregressive.pixelcnn.maps": "maps",
    "model.decoder.autoregressive.pixelcnn.kernel": "pixels",
    "model.decoder.autoregressive.pixelcnn.features": "maps",
    "model.flow.depth": "steps",
    "model.likelihood.discretised_logistic_mixture.components": "components",
    "model.flow.context_size": "units",
    "model.flow.made.width": "units",
    "model.flow.made.hidden_layers": "layers",
    "model.flow.sylvester.columns": "columns",
    "model.flow.sylvester.reflections": "reflections",
    "model.flow.naf.units": "units",
    "model.flow.spline.bins": "bins",
    "model.flow.spline.bound": "1",
    "model.prior.autoregressive.depth": "layers",
    "model.prior.autoregressive.width": "units",
    "model.prior.autoregressive.hidden_layers": "layers",
    "model.prior.spline_coupling.depth": "layers",
    "model.prior.spline_coupling.width": "units",
    "model.prior.spline_coupling.hidden_layers": "layers",
    "model.prior.spline_coupling.bins": "bins",
    "model.prior.spline_coupling.bound": "1",
    "model.prior.vamp.components": "components",
    "training.epochs": "epochs",
    "training.batch_size": "images",
    "training.weight_decay": "1",
    "training.gradient_clip": "norm",
    "training.learning_rate": "1",
    "training.learning_rate_decay": "factor",
    "training.learning_rate_decay_epochs": "epochs",
    "training.learning_rate_end": "share",
    "training.learning_rate_warmup_epochs": "epochs",
    "training.kl_warmup_epochs": "epochs",
    "training.free_bits": "nats",
    "training.objective_samples": "samples per image",
    "training.objective_from_epoch": "epochs",
    "training.weight_average": "share",
    "training.weight_average_images": "images",
    "training.early_stopping_epochs": "epochs",
    "training.seed": "seed",
    "training.checkpoint_every_epochs": "epochs",
    "training.checkpoint_every_minutes": "minutes",
    "evaluation.seed": "seed",
    "evaluation.bound_images": "images",
    "evaluation.binarisations": "binarisations",
    "evaluation.importance_sampling.samples": "samples per image",
    "evaluation.importance_sampling.images": "images",
    "evaluation.hais.images": "images",
    "evaluation.hais.chains": "chains per image",
    "evaluation.hais.temperatures": "weight increments",
    "evaluation.hais.leapfrog_steps": "steps",
    "evaluation.hais.initial_step_size": "1",
    "evaluation.hais.minimum_step_size": "1",
    "evaluation.hais.maximum_step_size": "1",
    "evaluation.hais.target_acceptance": "share",
    "evaluation.hais.pilot_images": "images",
    "evaluation.hais.pilot_passes": "passes",
    "evaluation.sandwich.images": "images",
    "evaluation.until_error.target": "nats per image",
    "evaluation.until_error.budget_evaluations": "evaluations per image",
    "evaluation.until_error.budget_seconds": "seconds",
    "sweep.trials": "trials",
    "sweep.seed": "seed",
    "sweep.repeats": "seeds",
    "sweep.grace_epochs": "epochs",
    "sweep.reduction_factor": "factor",
    "sweep.generation_epochs": "epochs",
    "sweep.max_concurrent": "trials",
    "sweep.top": "trials",
    "sweep.gpus_per_trial": "GPUs",
    "sweep.cpus_per_trial": "CPU cores",
    "sweep.memory_per_trial": "GiB",
    "sweep.free_disk": "GiB",
    "sweep.gpu_hours": "hours",
    "sweep.target": "nats per image",
}
"""The unit of every number; a number without one is an error."""
_NUMBERS = {"integer", "number", "list of integers", "list of numbers"}
BROKEN = (
    ("model.flow.made.width=32", "model.latent_size=64"),
    ("model.flow.context_size=100",),
    ("evaluation.checkpoint=best", "data.validation_images=0"),
    ("data.validation_images=60000",),
    ("training.batch_size=60000",),
    ("training.weight_decay=0.1",),
    ("training.objective=stl",),
    ("model.decoder.autoregressive.pixelcnn.kernel=4",),
    ("evaluation.hais.images=20000",),
    ("evaluation.hais.minimum_step_size=0.5", "evaluation.hais.initial_step_size=0.1"),
    (
        "evaluation.sandwich.enabled=true",
        "evaluation.sandwich.starts=['posterior']",
        "evaluation.hais.initial_step_size=0.5",
        "evaluation.hais.leapfrog_steps=9",
    ),
    ("evaluation.until_error.target=0.01", "evaluation.importance_sampling.samples=1"),
    ("evaluation.sandwich.starts=['prior', 'prior']",),
    ("model.latnet_size=32",),
    ("model.latent_size=32.5",),
)
"""Overrides of the reference that break a rule; the page shows the error messages."""
HEAD = """<!-- Written by tools/configuration_page.py from the types in iafsweep/config; do not edit. -->
# Configuration

This page lists every field of a configuration file, with its type, default, bounds and unit. The file is TOML. You can
write a field as a dotted key (`model.latent_size = 32`) or in a table (`[model]`, `latent_size = 32`). The defaults are
the reference recipe.

```toml
title = "A small model"
base = "reference.toml"        # optional: a file to start from, by its path relative to this file or a shipped one

[data]
source = "mnist_mini"

[model]
latent_size = 32
encoder.kind = "mlp"
flow.depth = 2

[training]
epochs = 50
kl_warmup_epochs = 5
```

- On the command line, `--set model.latent_size=32` takes precedence over the file. The value is read as TOML, or taken
  as text if it is not TOML.
- A `base` file may have a base of its own, in a chain of at most eight. A base must not have a `[search]`.
- Unknown keys, wrong types (such as `32.0` for a whole number) and values out of bounds are errors that name the key.
- A configuration is immutable once it is read. Every run keeps all of it in its `config.toml`.
- Fields of kinds that are not chosen (such as the sizes of `resnet` where the kind is `mlp`) are allowed and have no
  effect.
- `unset` in the tables means that the field has no value; its description says what happens then. To remove the value
  that a base file gives it, set it to `"unset"` (`--set model.flow.context_size=unset`).

[search_spaces.md](search_spaces.md) says what you can search and how, [models.md](models.md) describes the networks,
and [estimators.md](estimators.md) explains the settings of the estimators.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD, *_sections(RunConfig, ""), *_sections(SweepConfig, "sweep.")]
    return "\n".join(parts) + "\n" + _rules()


def _sections(section: type[Section], prefix: str) -> Iterator[str]:
    leaves = [(name, field) for name, field in section.model_fields.items() if not _is_section(field)]
    if leaves:
        title = f"`[{prefix.rstrip('.')}]`" if prefix else "Top level"
        yield f"## {title}\n\n{_sentence(section)}\n"
        yield "| field | type | default | bounds | unit | meaning |\n|---|---|---|---|---|---|"
        yield "\n".join(_row(f"{prefix}{name}", name, field) for name, field in leaves) + "\n"
    for name, field in section.model_fields.items():
        if _is_section(field):
            assert isinstance(field.annotation, type)
            yield from _sections(field.annotation, f"{prefix}{name}.")


def _row(path: str, name: str, field: FieldInfo) -> str:
    kinds, bounds, optional = _type(field.annotation, field.metadata)
    if not field.description:
        raise ValueError(f"{path} has no description")
    number = {"integer", "number"} & {
        word for kind in kinds for word in kind.replace("list of ", "").rstrip("s").split()
    }
    if number and path not in UNITS:
        raise ValueError(f"{path} is a number without a unit: add it to UNITS")
    default = "unset" if field.default is None else f"`{_toml(field.default)}`"
    shown = " or ".join(kinds) + (" or unset" if optional else "")
    cells = (f"`{name}`", shown, default, ", ".join(_tidy(bounds)) or "-", UNITS.get(path, "-"), field.description)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(annotation: Any, metadata: list[Any]) -> tuple[list[str], list[str], bool]:  # noqa: ANN401 - any annotation
    """Return the kinds of values in words, their bounds, and whether the field may be unset."""
    bounds = [text for each in metadata if (text := _bound(each))]
    for each in metadata:
        if isinstance(each, Family):
            return [", ".join(f"`{_toml(kind)}`" for kind in each.members)], bounds, False
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        parts = [_type(part, []) for part in arguments if part is not type(None)]
        kinds = [kind for part in parts for kind in part[0]]
        return kinds, bounds + [bound for part in parts for bound in part[1]], type(None) in arguments
    if origin is Literal:
        return [", ".join(f"`{_toml(value)}`" for value in arguments)], bounds, False
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return ["table"], bounds, False
    if origin is tuple:
        kinds, inner, _ = _type(arguments[0], [])
        each = [f"each {bound}" for bound in inner]
        return (
            [f"list of {kind}s" if not kind.startswith("`") else f"list of {kind}" for kind in kinds],
            bounds + each,
            False,
        )
    if hasattr(annotation, "__metadata__"):
        extra = [
            item
            for each in annotation.__metadata__
            for item in (each.metadata if isinstance(each, FieldInfo) else [each])
        ]
        return _type(arguments[0], [*extra, *metadata])
    return [{int: "integer", float: "number", bool: "`true`, `false`", str: "text"}[annotation]], bounds, False


def _tidy(bounds: list[str]) -> list[str]:
    """Put lower bounds first and drop `< 2^31` beside a tighter upper bound; pydantic's own order is arbitrary."""
    upper = [bound for bound in bounds if bound.startswith("≤")]
    kept = [bound for bound in bounds if not (upper and bound == "< 2^31")]
    return sorted(kept, key=lambda bound: bound.removeprefix("each ")[0] in "≤<")


def _bound(item: object) -> str:
    match item:
        case Ge(ge):
            return f"≥ {ge}"
        case Gt(gt):
            return f"> {gt}"
        case Le(le):
            return f"≤ {le}"
        case Lt(lt):
            return f"< {_power(lt)}"
        case MaxLen(most):
            return f"at most {most}"
        case MinLen(least):
            return f"at least {least}"
    return ""


def _power(value: Any) -> str:  # noqa: ANN401 - any number
    return "2^31" if value == 2**31 else str(value)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{value:g}" if isinstance(value, float) and 0 < value < 0.01 else str(value)


def _sentence(section: type[Section]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0]


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Section)


def _rules() -> str:
    """Return the section of mistakes and the error messages that they cause."""
    lines = [
        "## Error messages",
        "",
        "Each example adds `--set` options to `reference`; the messages are those of the program.",
        "",
    ]
    for overrides in BROKEN:
        try:
            load_config("reference", overrides)
        except ConfigError as error:
            said = str(error).split("reference.toml: ", 1)[-1]
            lines += ["```", " ".join(f"--set {text}" for text in overrides), *said.splitlines(), "```", ""]
        else:
            raise ValueError(f"{overrides} breaks no rule")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
