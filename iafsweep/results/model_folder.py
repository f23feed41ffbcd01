"""A finished model as one folder to keep, publish or hand on: weights, configuration, figures, and a card.

``model.safetensors`` the weights (https://huggingface.co/docs/safetensors: tensors and texts, never code) ·
``config.toml`` · ``README.md`` the model card · ``metrics.jsonl`` · ``evaluation.json`` if it was scored. No file in it
names the machine or the folder it was made on, and nothing outside it is read.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from iafsweep.config import RunConfig
from iafsweep.errors import RunFolderError
from iafsweep.models import VAE, build_model
from iafsweep.records import Fingerprint, Record, Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training.trained import TrainedModel
from iafsweep.version import VERSION, Writer

FORMAT = "iafsweep model 1"

_KEY = "iafsweep"
"""One text in the file's header, so that equal models are equal files: safetensors writes several in any order."""

_DTYPES = {torch.float32: "F32", torch.int64: "I64"}
"""What weights and counters are held in; safetensors' names for it."""


class Origin(Record):
    """Where the weights of a model folder come from.

    Attributes:
        name: of the run folder, its last part alone.
        checkpoint: which checkpoint they are.
        epoch: epochs they had been trained.
        torch_version: the PyTorch that trained them; None where it is not known.
        device: kind of device they were trained on; None where it is not known.
        seconds: training seconds; None where they are not known.
        images: what they were trained, validated and, if they were scored, tested on; empty where it is not known.
    """

    name: str
    checkpoint: Literal["best", "last"]
    epoch: int
    torch_version: str | None = None
    device: str | None = None
    seconds: float | None = None
    images: dict[Split, Fingerprint] = Field(default_factory=dict)


def weights_of(folder: RunFolder) -> Path:
    """Return the path of the weights; a folder that has them is a model folder, one without is a run folder."""
    return folder.path / "model.safetensors"


def card_of(folder: RunFolder) -> Path:
    """Return the path of the model card."""
    return folder.path / "README.md"


def write_weights(path: Path, model: VAE, origin: Origin) -> None:
    """Write every tensor of a model, bit for bit, their digest, and where they come from."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    said = {"format": FORMAT, "written_by": VERSION, "origin": origin.model_dump(), "sha256": _digest(tensors)}
    save_file(tensors, path, metadata={_KEY: json.dumps(said)})


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes, in the order of the names, so that damage on the way is noticed."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        sha.update(json.dumps([name, _DTYPES[tensor.dtype], list(tensor.shape)]).encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def read_model(folder: RunFolder, device: torch.device) -> tuple[TrainedModel, Origin]:
    """Read the model of a model folder. Names, shapes and types are compared before anything of its size is made.

    Raises:
        RunFolderError: the weights are missing, truncated, damaged, of another program, or not those of
            ``config.toml``.
        ConfigError: the configuration breaks a rule, or names a file outside.
    """
    config = folder.read_config()
    path = weights_of(folder)
    origin, digest = _check(path, config)
    model = build_model(config.model, config.image_format, config.training.seed)
    try:
        tensors = load_file(path)
        if digest is not None and _digest(tensors) != digest:
            raise RunFolderError(
                f"{path} is damaged: its weights are not those that were written (their SHA-256 differs); "
                f"copy it again, or export the model again"
            )
        model.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}; export the model again") from error
    return TrainedModel(model.to(device).eval(), config, origin.epoch), origin


def _check(path: Path, config: RunConfig) -> tuple[Origin, str | None]:
    """Compare the file's own list of tensors with the model that the configuration describes.

    Returns:
        Where the weights come from, and their digest; None where the file, of an earlier version, has none.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY, "")
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            listed = {name: (tuple(each.get_shape()), each.get_dtype()) for name, each in found.items()}
    except (OSError, SafetensorError) as error:
        raise RunFolderError(f"{path} is truncated or no safetensors file ({error}); export the model again") from None
    origin, digest = _origin(path, text)
    try:
        expected = _expected(config, len(listed))
    except RuntimeError as error:
        raise RunFolderError(
            f"{path} does not fit the config.toml beside it: a model of its sizes cannot be built "
            f"({str(error).splitlines()[0]}); export the model again"
        ) from None
    if problems := _differences(expected, listed):
        raise RunFolderError(
            f"{path} does not fit the config.toml beside it: {'; '.join(problems)}; export the model again"
        )
    return origin, digest


def _origin(path: Path, text: str) -> tuple[Origin, str | None]:
    """Where the weights come from, and their digest, as the file's header says."""
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise RunFolderError(f"{path} is not of this version ({FORMAT!r}); it says {str(said['format'])[:60]!r}")
        writer = Writer(version=str(said.get("written_by", Writer().version)))
        if strange := sorted(set(said["origin"]) - set(Origin.model_fields)):
            raise RunFolderError(f"{path} {writer.unknown(f'`{strange[0]}`')}")
        digest = said.get("sha256")
        return Origin.model_validate(said["origin"]), None if digest is None else str(digest)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunFolderError(f"{path} does not say where it comes from; export the model again") from None


def _expected(config: RunConfig, tensors: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every tensor of a configuration's model, without making it; nothing if it has too many.

    Raises:
        RuntimeError: sizes that PyTorch cannot count.
    """
    if config.model.flow.depth > tensors:  # a step has tensors of its own
        return {}
    with torch.device("meta"):
        model = build_model(config.model, config.image_format, seed=0)
    state: Mapping[str, Tensor] = model.state_dict()
    return {name: (tuple(tensor.shape), _DTYPES[tensor.dtype]) for name, tensor in state.items()}


def _differences(
    expected: Mapping[str, tuple[tuple[int, ...], str]], listed: Mapping[str, tuple[tuple[int, ...], str]]
) -> list[str]:
    """What does not fit, the first few of each kind, in words."""
    missing, foreign = sorted(expected.keys() - listed.keys()), sorted(listed.keys() - expected.keys())
    other = [
        f"{name} is {_text(listed[name])} instead of {_text(expected[name])}"
        for name in sorted(expected.keys() & listed.keys())
        if listed[name] != expected[name]
    ]
    named = [(missing, "missing"), (foreign, "not of this model")]
    return [f"{_few(names)} {what}" for names, what in named if names] + ([_few(other)] if other else [])


def _few(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _text(tensor: tuple[tuple[int, ...], str]) -> str:
    shape, dtype = tensor
    return f"{dtype} {list(shape)}"
