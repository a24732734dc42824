"""Networks of transformers from the folders that they are published in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from transformers.utils import logging

from anyportal_core.errors import CheckpointError, MissingExtraError
from anyportal_core.plugins.passes import named
from anyportal_core.plugins.weights import FIRST, read_config

NAME: Final = "model.safetensors"
"""What the library calls a folder's weights, whole or as an index of parts."""


def load_published(kind: Any, folder: Path, device: str, dtype: torch.dtype, needs: str = "") -> Any:
    """A network of the class ``kind``, ready to run.

    The library reads it, since it knows the names that keys had in former versions; what it would let pass, random
    weights where a key is missing, is refused here.

    Args:
        needs: what to do where the network is built on a package that is not installed.

    Raises:
        ModelNotFoundError: its configuration is not there.
        CheckpointError: unreadable, or keys are missing, too many or of another shape; names the first ten of each.
        MissingExtraError: this network is built on a package that is not installed.
    """
    read_config(folder)
    logging.disable_progress_bar()  # nobody watches: a worker loads
    logging.set_verbosity_error()  # what its report of the keys would tell is the error below
    try:
        network, told = kind.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except ImportError as error:
        raise MissingExtraError(
            f"this model is built on a package that is not installed: {' '.join(str(error).split())}",
            where=str(folder),
            hint=needs or "install the package",
        ) from error
    except Exception as error:  # from an OSError to classes of the libraries' own
        raise CheckpointError(
            f"the model cannot be read: {error}", where=str(folder), hint="fetch the model again"
        ) from error
    wrong = [
        _list("missing", told["missing_keys"]),
        _list("not known to the network", told["unexpected_keys"]),
        _list("of another shape", [str(entry[0]) for entry in told["mismatched_keys"]]),
    ]
    if any(wrong):
        raise CheckpointError(
            f"these weights are not of a {kind.__name__}: {'; '.join(filter(None, wrong))}",
            where=str(folder),
            hint="check that the folder is the model it is named after, and complete",
        )
    return named(network.to(device).eval().requires_grad_(False), folder / NAME)


def _list(what: str, keys: Any) -> str:
    names = sorted(keys)
    more = f" and {len(names) - FIRST} more" if len(names) > FIRST else ""
    return f"{len(names)} keys {what}: {', '.join(names[:FIRST])}{more}" if names else ""
