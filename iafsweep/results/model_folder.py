"""A finished model as one folder to keep, publish or hand on: weights, configuration, figures, and a card.

``model.safetensors`` the weights (https://huggingface.co/docs/safetensors: tensors and texts, never code) ·
``config.toml`` · ``README.md`` the model card · ``metrics.jsonl`` · ``evaluation.json`` if it was scored. No file names
the machine or the folder that the model comes from, and nothing outside the folder is read.
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
"""The only metadata key: safetensors writes several in arbitrary order, so that equal models could differ as files."""

_DTYPES = {torch.float32: "F32", torch.int64: "I64"}
"""Types of weights and counters, with the names that safetensors gives them."""


class Origin(Record):
    """Where the weights of a model folder come from.

    Attributes:
        name: last part of the run folder's path.
        checkpoint: which checkpoint they are.
        epoch: number of epochs for which they were trained.
        torch_version: PyTorch version that trained them; None if unknown.
        device: kind of device on which they were trained; None if unknown.
        seconds: training seconds; None if unknown.
        images: fingerprints of the training, validation and (if they were scored) test images; empty if unknown.
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
    """Write every tensor of a model bit for bit, with their digest and origin."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    said = {"format": FORMAT, "written_by": VERSION, "origin": origin.model_dump(), "sha256": _digest(tensors)}
    save_file(tensors, path, metadata={_KEY: json.dumps(said)})


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and bytes in the order of names, to detect damage in transit."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        sha.update(json.dumps([name, _DTYPES[tensor.dtype], list(tensor.shape)]).encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def read_model(folder: RunFolder, device: torch.device) -> tuple[TrainedModel, Origin]:
    """Read the model of a model folder; names, shapes and types are checked before any tensor is allocated.

    Raises:
        RunFolderError: the weights are missing, truncated, damaged, of another program, or do not fit ``config.toml``.
        ConfigError: the configuration breaks a rule, or names a file outside the folder.
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
    """Check the file's own list of tensors against the model that the configuration describes.

    Returns:
        The origin of the weights, and their digest, which is None in files of earlier versions.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY, "")
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            listed = {name: (tuple(each.get_shape()), each.get_dtype()) for name, each in found.items()}
    except (OSError, SafetensorError) as error:
        raise RunFolderError(
            f"{path} is truncated or not a safetensors file ({error}); export the model again"
        ) from None
    origin, digest = _origin(path, text)
    try:
        expected = _expected(config, len(listed))
    except RuntimeError as error:
        raise RunFolderError(
            f"{path} does not fit the config.toml beside it: a model of these sizes cannot be built "
            f"({str(error).splitlines()[0]}); export the model again"
        ) from None
    if problems := _differences(expected, listed):
        raise RunFolderError(
            f"{path} does not fit the config.toml beside it: {'; '.join(problems)}; export the model again"
        )
    return origin, digest


def _origin(path: Path, text: str) -> tuple[Origin, str | None]:
    """Return the origin of the weights and their digest from the file's header."""
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise RunFolderError(
                f"{path} has the format {str(said['format'])[:60]!r}, but this version reads {FORMAT!r}; read it with "
                f"the version that wrote it"
            )
        writer = Writer(version=str(said.get("written_by", Writer().version)))
        if strange := sorted(set(said["origin"]) - set(Origin.model_fields)):
            raise RunFolderError(f"{path} {writer.unknown(f'`{strange[0]}`')}")
        digest = said.get("sha256")
        return Origin.model_validate(said["origin"]), None if digest is None else str(digest)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunFolderError(f"{path} does not record where its weights come from; export the model again") from None


def _expected(config: RunConfig, tensors: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and type of every tensor of the configured model, unallocated; empty if the flow is too deep.

    Raises:
        RuntimeError: a size is too large for PyTorch.
    """
    if config.model.flow.depth > tensors:  # each step of the flow has its own tensors
        return {}
    with torch.device("meta"):
        model = build_model(config.model, config.image_format, seed=0)
    state: Mapping[str, Tensor] = model.state_dict()
    return {name: (tuple(tensor.shape), _DTYPES[tensor.dtype]) for name, tensor in state.items()}


def _differences(
    expected: Mapping[str, tuple[tuple[int, ...], str]], listed: Mapping[str, tuple[tuple[int, ...], str]]
) -> list[str]:
    """Return in words which tensors do not fit, the first few of each kind."""
    missing, foreign = sorted(expected.keys() - listed.keys()), sorted(listed.keys() - expected.keys())
    other = [
        f"{name} is {_text(listed[name])} instead of {_text(expected[name])}"
        for name in sorted(expected.keys() & listed.keys())
        if listed[name] != expected[name]
    ]
    named = [(missing, "missing"), (foreign, "not part of this model")]
    return [f"{_few(names)} {what}" for names, what in named if names] + ([_few(other)] if other else [])


def _few(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _text(tensor: tuple[tuple[int, ...], str]) -> str:
    shape, dtype = tensor
    return f"{dtype} {list(shape)}"
