"""A complete set of tiny models in the published layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from anyportal_core.models import Models
from anyportal_core.testing.tiny.depth import write_depth
from anyportal_core.testing.tiny.hed import write_hed
from anyportal_core.testing.tiny.matting import write_edgetam, write_sam2, write_vitmatte
from anyportal_core.testing.tiny.pictures import INPAINTING_CHANNELS, write_iclight_offset, write_stable_diffusion
from anyportal_core.testing.tiny.propainter import write_propainter
from anyportal_core.testing.tiny.video import write_cogvideox, write_controlnet, write_das


def write_all(root: Path) -> tuple[str, ...]:
    """Write every model that a plug-in names below ``root``; gives their names."""
    models = Models(root)
    for name, write in writers().items():
        write(models.place(name))
    return tuple(writers())


def writers() -> Mapping[str, Callable[[Path], None]]:
    """What writes a tiny model to its place, by the model's name."""
    return {
        "sd15": write_stable_diffusion,
        "sd15-inpainting": lambda place: write_stable_diffusion(place, INPAINTING_CHANNELS, seed=3),
        "iclight/fc": lambda place: write_iclight_offset(place, "fc", seed=6),
        "iclight/fbc": lambda place: write_iclight_offset(place, "fbc", seed=7),
        "das": lambda place: write_das(place, seed=8),
        "cogvideox-5b": lambda place: write_cogvideox(place, rotary=True, seed=10),
        "cogvideox-2b": lambda place: write_cogvideox(place, rotary=False, seed=20),
        "controlnet/5b-hed": lambda place: write_controlnet(place, rotary=True, seed=30),
        "controlnet/5b-canny": lambda place: write_controlnet(place, rotary=True, seed=31),
        "controlnet/2b-hed": lambda place: write_controlnet(place, rotary=False, seed=32),
        "controlnet/2b-canny": lambda place: write_controlnet(place, rotary=False, seed=33),
        "hed": write_hed,
        "propainter": write_propainter,
        "depth": write_depth,
        "sam2": write_sam2,
        "edgetam": write_edgetam,
        "vitmatte": write_vitmatte,
    }
