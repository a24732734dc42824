"""Published checkpoints, read by their own key names: safetensors, or pickles that hold nothing but tensors.

No code that comes with a checkpoint is ever run: configurations are plain json, pickles are read with
``weights_only=True``.
"""

from __future__ import annotations

import inspect
import json
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from accelerate import init_empty_weights
from safetensors.torch import load_file
from torch import nn

from anyportal_core.errors import CheckpointError, ModelNotFoundError
from anyportal_core.plugins.passes import named

NAMES = ("diffusion_pytorch_model", "model", "pytorch_model")
ENDINGS = (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json")
"""What a folder of weights may hold, in the order of preference."""

CONFIG = "config.json"

FIRST = 10
"""So many keys an error names."""

UNSAFE: Final = re.compile(r"unsupported GLOBAL (\S+)|GLOBAL (\S+) was not an allowed global", re.IGNORECASE)
"""What torch names where a pickle wants more than tensors."""

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by key, and the file that named them (the index of a sharded one)."""

    file: Path
    tensors: Mapping[str, torch.Tensor]


def load_network(kind: type[Network], folder: Path, dtype: torch.dtype | None = None) -> Network:
    """A network of a published folder (``config.json`` and weights), ready to run on the CPU.

    Args:
        kind: the class that the configuration is for; the class it names is not looked at.
        dtype: precision of the parameters; None keeps the file's.
    """
    checkpoint = read_checkpoint(folder)
    return fill(empty_network(kind, read_config(folder), folder / CONFIG), checkpoint, dtype)


def empty_network(kind: type[Network], config: Mapping[str, Any], file: Path = Path(CONFIG)) -> Network:
    """A network of a published configuration, without parameters.

    What the constructor does not take of the configuration is left out, as diffusers does: published files carry more.

    Args:
        file: that the configuration is from.

    Raises:
        CheckpointError: the network cannot be made so.
    """
    taken = {name for base in kind.__mro__ for name in inspect.signature(base).parameters}
    # The parameters are read next: making random ones first would take minutes for the real sizes.
    with configured(file), init_empty_weights(include_buffers=False):
        return kind(**{name: value for name, value in config.items() if name in taken})


@contextmanager
def configured(file: Path) -> Iterator[None]:
    """Makes an error of the file of whatever a library raises over the values of a configuration."""
    try:
        yield
    except Exception as error:  # from a KeyError to classes of the library's own
        text = " ".join(str(error).split())
        raise CheckpointError(
            f"no model can be made of this configuration: {type(error).__name__}: {text}",
            where=str(file),
            hint="fetch the model again",
        ) from error


def read_config(folder: Path, name: str = CONFIG) -> dict[str, Any]:
    """The configuration in a folder."""
    file = folder / name
    if not file.is_file():
        raise not_found("the model's configuration", file)
    try:
        config = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise _unreadable(file, error) from error
    if not isinstance(config, dict):
        raise CheckpointError("this is no configuration of a model", where=str(file))
    return config


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of weights, an index of several, or the one of them that a folder holds."""
    file = _weights_of(path) if path.is_dir() else path
    if not file.is_file():
        raise not_found("the weights", file)
    if file.name.endswith(".index.json"):
        return Checkpoint(file, _read_sharded(file))
    return Checkpoint(file, _read_file(file))


def loaded_bytes(path: Path, dtype: torch.dtype | None = None) -> int:
    """What the weights of a file or folder take in memory. Their values are not read.

    Args:
        dtype: precision that the floating point ones are loaded in; None keeps the file's.

    Raises:
        ModelNotFoundError, CheckpointError: see `read_checkpoint`.
    """
    tensors = read_checkpoint(path).tensors.values()  # maps of the files, not their contents
    sizes = (dtype if dtype is not None and value.is_floating_point() else value.dtype for value in tensors)
    return sum(value.numel() * size.itemsize for value, size in zip(tensors, sizes, strict=True))


def fill(network: Network, checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> Network:
    """Give a network exactly the tensors of a checkpoint, and make it ready to run.

    Raises:
        CheckpointError: keys are missing, too many, of another shape or no fractions where those are wanted (the
            quantised files that some publish); names the first ten of each.
    """
    own = network.state_dict()
    wanted = {key: value.shape for key, value in own.items()}
    found = {key: value.shape for key, value in checkpoint.tensors.items()}
    wrong = [
        _list("missing", sorted(wanted.keys() - found.keys())),
        _list("not known to the network", sorted(found.keys() - wanted.keys())),
        _list("of another shape", _misshapen(wanted, found)),
        _list("of another kind of number", _mistyped(own, checkpoint.tensors)),
    ]
    if any(wrong):
        raise CheckpointError(
            f"these weights are not of a {type(network).__name__}: {'; '.join(filter(None, wrong))}",
            where=str(checkpoint.file),
            hint="check that the file is the model it is named after, and complete",
        )
    tensors = {key: _cast(value, dtype) for key, value in checkpoint.tensors.items()}
    network.load_state_dict(tensors, assign=True)
    return named(network.eval().requires_grad_(False), checkpoint.file)


def _weights_of(folder: Path) -> Path:
    candidates = [folder / f"{name}{ending}" for ending in ENDINGS for name in NAMES]
    return next((file for file in candidates if file.is_file()), candidates[0])


def _read_sharded(index: Path) -> dict[str, torch.Tensor]:
    try:
        shard_of: dict[str, str] = json.loads(index.read_text("utf-8"))["weight_map"]
        shards = sorted(set(shard_of.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(index, error) from error
    for shard in shards:
        # An index comes with the download: it must not reach files elsewhere.
        if Path(shard).name != shard:
            raise CheckpointError(f"the index points outside its folder: {shard}", where=str(index))
        if not (index.parent / shard).is_file():
            raise not_found("a part of the weights", index.parent / shard)
    return {key: value for shard in shards for key, value in _read_file(index.parent / shard).items()}


def _read_file(file: Path) -> dict[str, torch.Tensor]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        # Only the archives that torch writes today can be mapped; what it wrote before is read whole.
        tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the readers' own; broken pickles fail in a dozen ways
        raise _unreadable(file, error) from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise CheckpointError("the file holds something else than tensors by name", where=str(file))
    return tensors


def _misshapen(wanted: Mapping[str, torch.Size], found: Mapping[str, torch.Size]) -> list[str]:
    both = sorted(wanted.keys() & found.keys())
    return [f"{key} {tuple(found[key])} for {tuple(wanted[key])}" for key in both if found[key] != wanted[key]]


def _mistyped(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> list[str]:
    both = sorted(wanted.keys() & found.keys())
    other = (key for key in both if wanted[key].is_floating_point() and not found[key].is_floating_point())
    return [f"{key} {str(found[key].dtype).removeprefix('torch.')}" for key in other]


def _list(what: str, keys: list[str]) -> str:
    more = f" and {len(keys) - FIRST} more" if len(keys) > FIRST else ""
    return f"{len(keys)} keys {what}: {', '.join(keys[:FIRST])}{more}" if keys else ""


def _cast(value: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    return value.to(dtype) if dtype is not None and value.is_floating_point() else value


def not_found(what: str, file: Path) -> ModelNotFoundError:
    return ModelNotFoundError(f"{what} cannot be found", where=str(file), hint="fetch the model again")


def _unreadable(file: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"the file cannot be read: {_cause(error)}", where=str(file), hint="fetch the model again")


def _cause(error: Exception) -> str:
    """An error's words, but for torch's advice to allow whatever code a pickle holds."""
    if isinstance(error, EOFError):
        return "it is empty or cut off"
    if not isinstance(error, pickle.UnpicklingError):
        return str(error) or type(error).__name__
    found = UNSAFE.search(str(error))
    return f"it holds something else than tensors, {found[1] or found[2]}" if found else "it is no file of tensors"
