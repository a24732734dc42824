"""Loaders against the key names and shapes of published checkpoints, at their real sizes and without their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from pkgutil import resolve_name

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.errors import CheckpointError  # noqa: E402
from anyportal_core.plugins.weights import Checkpoint, empty_network, fill  # noqa: E402
from anyportal_core.testing.manifests import Manifest, manifests  # noqa: E402
from anyportal_core.testing.parity.golden import read_golden  # noqa: E402

ALL = {manifest.name: manifest for manifest in manifests()}


def checkpoint(manifest: Manifest) -> Checkpoint:
    tensors = {key: torch.empty(shape, device="meta") for key, shape in manifest.keys.items()}
    return Checkpoint(Path(manifest.name), resolve_name(manifest.translate)(tensors) if manifest.translate else tensors)


def empty(manifest: Manifest) -> torch.nn.Module:
    made = resolve_name(manifest.network)
    return empty_network(made, manifest.config) if isinstance(made, type) else made(manifest.config)


@pytest.mark.parametrize("manifest", ALL.values(), ids=lambda manifest: manifest.name)
def test_a_published_checkpoint_fits_its_network(manifest: Manifest) -> None:
    published = checkpoint(manifest)
    network = fill(empty(manifest), published)
    assert sum(value.numel() for value in network.state_dict().values()) == sum(
        value.numel() for value in published.tensors.values()
    )


def test_one_missing_key_of_a_real_size_is_named() -> None:
    manifest = ALL["das"]
    found = checkpoint(manifest)
    gone = "combine_linears.17.bias"
    tensors = {key: value for key, value in found.tensors.items() if key != gone}
    with pytest.raises(CheckpointError, match=re.escape(gone)):
        fill(empty_network(resolve_name(manifest.network), manifest.config), Checkpoint(found.file, tensors))


def patterns(keys: Iterable[str]) -> set[str]:
    return {re.sub(r"(blocks|blocks_copy|linears|projectors)\.\d+\.", r"\1.#.", key) for key in keys}


@pytest.mark.parametrize(
    ("manifest", "case", "network"),
    [
        ("das", "das_transformer_rotary_learned", ""),
        ("cogvideox_2b", "cogvideox_controlnet_2b", "transformer"),
        ("cogvideox_5b", "cogvideox_controlnet_rotary", "transformer"),
        ("controlnet_2b", "cogvideox_controlnet_2b", "controlnet"),
        ("controlnet_5b_hed", "cogvideox_controlnet_rotary", "controlnet"),
        ("controlnet_5b_canny", "cogvideox_controlnet_rotary", "controlnet"),
        ("controlnet_5b_trainscript", "cogvideox_controlnet_5b_trainscript", "controlnet"),
    ],
)
def test_the_names_are_those_of_the_golden_cases(shared: Path, manifest: str, case: str, network: str) -> None:
    golden = read_golden(shared / "golden" / f"{case}.json")
    keys = golden.part(network) if network else golden.weights
    assert patterns(ALL[manifest].keys) == patterns(keys)
