"""A golden case as read from its folder, and what it takes to run one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Golden:
    """One golden case.

    Attributes:
        name: the case's own name (the ``case`` field of its json, else the file's stem).
        meta: the whole json file.
        weights: state dict with the published key names; two networks in one case keep their first component
            (``transformer.``, ``controlnet.``): see `part`.
        inputs, outputs: tensors by name, without their ``in.`` and ``out.``.
        folder: where the case was read, for what lies beside it (a tokenizer).
    """

    name: str
    meta: Mapping[str, Any]
    weights: Tensors
    inputs: Tensors
    outputs: Tensors
    folder: Path

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.meta.get("config", {})
        return config

    def part(self, network: str) -> Tensors:
        """The state dict of one of several networks."""
        return _beginning_with(f"{network}.", self.weights)

    def to(self, dtype: torch.dtype) -> Golden:
        """The same case with floating weights and inputs in another precision; the outputs stay."""
        return replace(self, weights=_cast(self.weights, dtype), inputs=_cast(self.inputs, dtype))


@dataclass(frozen=True)
class Case:
    """How a case is run, and how far its outputs may be off.

    Attributes:
        run: from a case (its outputs are not to be looked at) to outputs by name.
        atol: one absolute tolerance, or one by pattern of output name; the first pattern that fits counts.
        answers: patterns of what the case answers for. Of a json file alone not every number is a result.
    """

    run: Callable[[Golden], Tensors]
    atol: float | Mapping[str, float]
    answers: tuple[str, ...] = ("*",)


def read_golden(description: Path) -> Golden:
    """Read ``NAME.json`` and, where it exists, ``NAME.safetensors``."""
    meta = json.loads(description.read_text("utf-8"))
    file = description.with_suffix(".safetensors")
    tensors = load_file(file) if file.exists() else {}
    parts = {prefix: _beginning_with(prefix, tensors) for prefix in ("weights.", "in.", "out.")}
    return Golden(
        name=str(meta.get("case", description.stem)),
        meta=meta,
        weights=parts["weights."],
        inputs=parts["in."],
        outputs=parts["out."],
        folder=description.parent,
    )


def _beginning_with(prefix: str, tensors: Tensors) -> Tensors:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _cast(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in tensors.items()}
