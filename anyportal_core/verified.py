"""What each published model's code was held against, since the weights themselves are not at hand where it is built.

Three things say that a model is read and run as its authors do: golden cases (numbers of the published implementation
on small random weights), manifests (names and shapes of the published weights, at their real size), and, in words, what
neither holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Evidence:
    """What speaks for a model.

    Args:
        golden: cases of `anyportal_core.testing.parity` that agree with its authors' numbers.
        manifests: names of `anyportal_core.testing.manifests` that its loader takes.
        unverified: what neither says; empty where nothing is left.
    """

    golden: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    unverified: str = ""

    def __str__(self) -> str:
        said = _plural("golden case", self.golden), _plural("manifest", self.manifests)
        left = (f"unverified: {self.unverified}",) if self.unverified else ()
        return "; ".join((*filter(None, said), *left))


def _plural(what: str, names: tuple[str, ...]) -> str:
    return f"{what}{'s' * (len(names) > 1)} {', '.join(names)}" if names else ""


_LIBRARY: Final = "transformers reads and runs it: neither its names nor its numbers are held here"
_INFERRED: Final = "{} heads and {} layers are inferred from the file's size; the training script has 48 and 8"

VERIFIED: Final[Mapping[str, Evidence]] = MappingProxyType(
    {
        "sd15": Evidence(("iclight_prompt",), ("sd15_unet", "sd15_vae", "sd15_text_encoder")),
        "sd15-inpainting": Evidence(
            manifests=("sd15_inpainting_unet", "sd15_vae", "sd15_text_encoder"),
            unverified="its run by DDIM was held against no published number",
        ),
        "iclight/fc": Evidence(("iclight_unet_fc", "iclight_sampler"), ("iclight_fc",)),
        "iclight/fbc": Evidence(("iclight_unet_fbc", "iclight_sampler"), ("iclight_fbc",)),
        "das": Evidence(
            ("das_transformer_rotary_learned", "das_dpm_trace", "das_pipeline"),
            ("das", "cogvideox_5b_i2v", "cogvideox_vae", "t5_encoder"),
        ),
        "cogvideox-5b": Evidence(("cogvideox_controlnet_rotary",), ("cogvideox_5b", "cogvideox_vae", "t5_encoder")),
        "cogvideox-2b": Evidence(("cogvideox_controlnet_2b",), ("cogvideox_2b", "cogvideox_vae", "t5_encoder")),
        "controlnet/5b-hed": Evidence(
            ("cogvideox_controlnet_5b_trainscript", "cogvideox_controlnet_rotary"),
            ("controlnet_5b_hed", "controlnet_5b_trainscript"),
            _INFERRED.format(30, 12),
        ),
        "controlnet/5b-canny": Evidence(
            ("cogvideox_controlnet_5b_trainscript", "cogvideox_controlnet_rotary"),
            ("controlnet_5b_canny", "controlnet_5b_trainscript"),
            _INFERRED.format(30, 18),
        ),
        "controlnet/2b-hed": Evidence(("cogvideox_controlnet_2b",), ("controlnet_2b",)),
        "controlnet/2b-canny": Evidence(("cogvideox_controlnet_2b",), ("controlnet_2b",)),
        "hed": Evidence(manifests=("hed",), unverified="its edges were held against no published number"),
        "propainter": Evidence(
            ("propainter_flow_completion", "propainter_image_propagation", "propainter_generator"),
            ("propainter_flow_completion", "propainter_generator", "raft"),
            "RAFT: its names are from its authors' code, its flow was held against no published number",
        ),
        "depth": Evidence(unverified=_LIBRARY),
        "cotracker": Evidence(unverified="its authors' package reads and runs it"),
        "sam2": Evidence(unverified=_LIBRARY),
        "edgetam": Evidence(unverified=_LIBRARY),
        "vitmatte": Evidence(unverified=_LIBRARY),
    }
)
"""Every model of `anyportal_core.models.PUBLISHED`."""


def statement(model: str) -> str:
    """In a few words what a model was held against."""
    return str(VERIFIED.get(model, Evidence(unverified="no model of ours")))
