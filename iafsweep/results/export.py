"""Write a finished model to one folder with a model card: self-contained, with no trace of the machine."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, dump_config
from iafsweep.errors import RunFolderError
from iafsweep.models import VAE, count_parameters
from iafsweep.records import (
    AUTOREGRESSIVE,
    FIGURE_NAMES,
    EpochMetrics,
    Estimate,
    Evaluation,
    SandwichEstimate,
    details_of,
    details_text,
)
from iafsweep.records.trust import TRUSTED_SHARE, UNEVEN
from iafsweep.results.model_folder import Origin, card_of, weights_of, write_weights
from iafsweep.run_files.run_folder import RunFolder, new_folder
from iafsweep.texts import counted, readable_settings
from iafsweep.training.checkpoint import load_last
from iafsweep.version import package_version


def export_model(
    to: Path,
    model: VAE,
    config: RunConfig,
    origin: Origin,
    metrics: tuple[EpochMetrics, ...],
    evaluation: Evaluation | None,
) -> Path:
    """Write a model folder atomically: a process killed meanwhile leaves none.

    ``to`` is new or empty, ``model`` is in eval mode, and ``evaluation`` has the model's own figures (see
    `own_figures`), or is None if it was not scored. Returns the absolute path of the folder.

    Raises:
        RunFolderError: the folder is not empty, or cannot be written.
    """
    to = new_folder(to)
    part = RunFolder(to.with_name(f".{to.name}.{os.getpid()}.tmp"))
    try:
        part.path.mkdir(parents=True)
        write_weights(weights_of(part), model, origin)
        write_text(part.config, dump_config(config.published))
        write_text(part.metrics, "".join(row.model_dump_json() + "\n" for row in metrics))
        if evaluation is not None:
            part.write_evaluation(evaluation)
        write_text(card_of(part), model_card(config, origin, evaluation, metrics, count_parameters(model)))
        part.path.replace(to)
    except OSError as error:
        raise RunFolderError(f"cannot write the model folder {to}: {error}; name another folder") from error
    finally:
        shutil.rmtree(part.path, ignore_errors=True)
    return to


def origin_of(folder: RunFolder, config: RunConfig, epoch: int) -> Origin:
    """Return where the weights of a run folder come from; fields that ``last.pt`` would tell are None if it is gone."""
    name, images = folder.path.absolute().name, folder.read_fingerprints()
    known = Origin(name=name, checkpoint=config.evaluation.checkpoint, epoch=epoch, images=images)
    try:
        last = load_last(folder, torch.device("meta"))  # reads no weights
    except RunFolderError:
        return known
    return known.model_copy(
        update={"torch_version": last.torch_version, "device": last.device, "seconds": last.seconds}
    )


def model_card(
    config: RunConfig, origin: Origin, evaluation: Evaluation | None, epochs: Sequence[EpochMetrics], parameters: int
) -> str:
    """Return the card as Markdown with the front matter that model hubs read."""
    return "\n".join(
        [
            "---",
            "library_name: iafsweep",
            f"tags: [{', '.join(_tags(config))}]",
            *([] if config.data.source == "file" else [f"datasets: [{config.data.source.removesuffix('_mini')}]"]),
            "---",
            "",
            f"# {_plain(config.title) or f'Variational autoencoder {_plain(origin.name)}'}",
            "",
            *_model(config, parameters),
            "",
            *_use(config),
            "",
            *_figures(config, evaluation, epochs, origin),
            "",
            *_training(config, origin),
            "",
        ]
    )


_FLOWS = {
    "iaf": "an inverse autoregressive flow",
    "planar": "a planar flow",
    "sylvester": "a Sylvester flow",
    "naf": "a neural autoregressive flow",
    "spline": "an autoregressive spline flow",
}


def _flow(kind: str) -> str:
    """Return a kind of flow as a noun with its article."""
    return _FLOWS.get(kind, f"a `{kind}` flow")


def _tags(config: RunConfig) -> list[str]:
    """Return the tags under which model hubs list the model."""
    flow, tags = config.model.flow, ["variational-autoencoder"]
    if flow.depth:
        name = _flow(flow.kind).partition(" ")[2].replace("`", "")
        tags.append(name.lower().replace(" ", "-").replace("_", "-"))
    return tags


def _model(config: RunConfig, parameters: int) -> list[str]:
    model, flow = config.model, config.model.flow
    posterior = "a diagonal Gaussian (no flow)"
    if flow.depth:
        gates = ("gated " if flow.gated else "shift-only ") if flow.kind == "iaf" else ""
        posterior = f"{_flow(flow.kind)} of {counted(flow.depth, f'{gates}step')}"
    if flow.has_made:
        posterior += (
            f", each a masked network of {counted(flow.made.hidden_layers, 'hidden layer')} of {flow.made.width} units"
        )
    prior = "N(0, I)" if model.prior.kind == "standard_normal" else f"`{model.prior.kind}`"
    (channels, height, width), levels = config.image_format
    kind = "binarised images" if config.image_format.dimensions is None else f"images of {levels} levels"
    head = f" with an autoregressive head (`{model.decoder.autoregressive.kind}`)" * model.decoder.is_autoregressive
    others = {
        "batch_norm": "",
        "weight_norm": " Encoder, decoder and masked networks have weight norm.",
        "none": " No network is normalised.",
    }
    return [
        f"A variational autoencoder of {kind}, {channels} x {height} x {width}: `{model.encoder.kind}` "
        f"encoder{_dropped(model.encoder.dropout)}, `{model.decoder.kind}` decoder{head}"
        f"{_dropped(model.decoder.dropout)}, {model.latent_size} latent variables with the prior {prior}, "
        f"`{config.likelihood}` likelihood. Posterior: {posterior}.{others[model.normalisation]} {parameters:,} "
        f"parameters, float32. `config.toml` lists every field."
    ]


def _dropped(dropout: float) -> str:
    return f" (dropout {dropout})" if dropout else ""


def _use(config: RunConfig) -> list[str]:
    shape = ", ".join(str(size) for size in config.image_format.shape)
    shown = "drawn pixel by pixel" if config.model.decoder.is_autoregressive else "means of their pixels"
    there = ', images="images.npz"' if config.data.source == "file" else ""
    return [
        "## Use",
        "",
        "```python",
        "import iafsweep",
        "",
        'run = iafsweep.load_run(".")  # this folder; no code from it is run',
        f"run.model.sample(64)  # new images, {shown} from 0 to 1, [64, {shape}]",
        f'run.log_likelihood(run.images("test", 100{there}))  # nats per image, by importance sampling',
        "```",
    ]


def _figures(
    config: RunConfig, evaluation: Evaluation | None, epochs: Sequence[EpochMetrics], origin: Origin
) -> list[str]:
    lines = ["## Figures", "", "Nats per image, smaller is better; ± standard error over images.", ""]
    lines += ["| figure | images | nats | estimator's own error | untrusted | settings |", "|---|---|---|---|---|---|"]
    last = next((row for row in epochs if row.epoch == origin.epoch), None)
    if last is not None and (bound := last.validation_negative_elbo) is not None:
        details = details_of(last.validation_bits_per_dim, autoregressive=config.model.decoder.is_autoregressive)
        shown = f"{bound:.2f}{details_text(details)}"
        lines.append(f"| negative ELBO in training | validation | {shown} | | | 1 sample, epoch {origin.epoch} |")
    estimates = () if evaluation is None else evaluation.estimates
    lines += [_row(each) for each in estimates]
    if config.model.decoder.is_autoregressive:
        lines += ["", *_latents(last)]
    if evaluation is None:
        return [
            *lines,
            "",
            "No test figures of these weights are known; to add them, score the original run and export it again.",
        ]
    return [*lines, "", *_measured(evaluation, config), *(_sandwich(each) for each in evaluation.sandwiches)]


def _latents(last: EpochMetrics | None) -> list[str]:
    """Return what a reader must know about figures of an autoregressive decoder."""
    carried = "" if last is None else f" At the scored epoch, the latent variables carry {last.latents}."
    return [f"{AUTOREGRESSIVE.capitalize()}: its figures are not comparable with those of models without one.{carried}"]


def _row(each: Estimate) -> str:
    error = "" if each.estimator_error is None else f"{each.estimator_error:.3f}"
    untrusted = "" if each.untrusted_share is None else f"{each.untrusted_share:.0%}"
    return (
        f"| {FIGURE_NAMES[each.method]} | {each.split} {each.images:,} | {each.nll:.2f} ± {each.standard_error:.2f}"
        f"{details_text(each.details)} | {error} | {untrusted} | {_plain(readable_settings(each.settings))} |"
    )


def _seen(config: RunConfig, seeds: Sequence[int]) -> str:
    """Return a phrase on how the scored images were binarised."""
    if config.data.draws_bits:
        return f"Images are binarised with the fixed seed{'s' if len(seeds) > 1 else ''} {_listed(seeds)}"
    return f'Images are prepared with `data.binarisation = "{config.data.resolved_binarisation}"`'


def _measured(evaluation: Evaluation, config: RunConfig) -> list[str]:
    """Return how the figures were measured: what a reader needs to reproduce and to judge them."""
    seeds = sorted({seed for each in evaluation.estimates for seed in each.binarisation_seeds})
    noise = sorted({each.seed for each in evaluation.estimates})
    shares = [each.untrusted_share for each in evaluation.estimates if each.untrusted_share is not None]
    lines = [
        f"- Scored on {_plain(evaluation.device)}, in float32 without TF32; log-weights are summed in float64.",
        f"- {_seen(config, seeds)}; the estimator's noise has seed {_listed(noise)}.",
        "- IS and HAIS estimate log p(x) from below in expectation: the mean over images of log-mean-exp of weights.",
        f"- Untrusted: share of images whose {UNEVEN}.",
    ]
    if shares and max(shares) > TRUSTED_SHARE:
        lines.append(
            f"- Up to {max(shares):.0%} of the images are untrusted: treat such a figure as a bound, not a likelihood."
        )
    return lines


def _sandwich(each: SandwichEstimate) -> str:
    return (
        f"- On {each.images:,} images simulated from the model (start {each.start}, {_plain(each.settings)}), mean "
        f"log p(x) is bounded, in expectation, by {each.lower:.2f} ± {each.lower_error:.2f}"
        f"{details_text(each.details(each.lower))} from below and {each.upper:.2f} ± {each.upper_error:.2f}"
        f"{details_text(each.details(each.upper))} from above: gap {each.gap:.2f} ± {each.gap_error:.2f} nats, "
        f"{each.untrusted_share:.0%} untrusted."
    )


_OPTIMISERS = {"adam": "Adam", "adamw": "AdamW", "adamax": "Adamax"}


def _recipe(config: RunConfig) -> list[str]:
    """Return what a reader of the figures should know about the training recipe; nothing for the plain ELBO."""
    training, known = config.training, []
    if training.objective_begins:
        begins = f" from epoch {training.objective_from_epoch} on" if training.objective_from_epoch else ""
        known.append(f"objective `{training.objective}` with {training.objective_samples} samples{begins}")
    if training.weight_average:
        known.append(f"weights averaged over steps, decay {training.weight_average}")
    return known


def _training(config: RunConfig, origin: Origin) -> list[str]:
    data, training = config.data, config.training
    of = "the author's own data" if data.source == "file" else f"`{data.source}`"
    known = [
        f"{data.training_images:,} training images of {of}, {data.held_out:,} held out (split seed {data.split_seed})",
        f"{counted(origin.epoch, 'epoch')}, batches of {training.batch_size}, {_OPTIMISERS[training.optimiser]}, "
        f"training seed {training.seed}",
        *_recipe(config),
        f"checkpoint `{origin.checkpoint}` of the run `{_plain(origin.name)}`",
    ]
    if origin.device is not None:
        seconds = "" if origin.seconds is None else f", {origin.seconds:,.0f} seconds"
        known.append(
            f"trained on {_plain(origin.device)} with PyTorch {_plain(origin.torch_version or 'unknown')}{seconds}"
        )
    known.append(f"exported by iafsweep {package_version()} with PyTorch {torch.__version__}")
    return ["## Training", "", *(f"- {line}" for line in known)]


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) if len(numbers) <= 8 else f"{numbers[0]} to {numbers[-1]}"


def _plain(text: str) -> str:
    """Return text in one line with Markdown's special characters escaped."""
    line = " ".join(text.split())
    return "".join(f"\\{mark}" if mark in "\\`*_[]<>|#$~" else mark for mark in line)
