"""CogVideoX's plug-ins, as data."""

from anyportal_core.registry import ModelUse, PluginSpec
from anyportal_core.settings import Setting
from anyportal_core.sizes import Limits

LIMITS = Limits(multiple=16, most_pixels=480 * 720)
"""Eight pixels a latent, two latents a patch; as many pixels as the models were trained on."""

_SETTINGS = (
    Setting(
        "schedule",
        "choice",
        "paper",
        "What is given back between the steps: the plate's detail and the background at every step (paper), or the "
        "harmonised foreground in blocks (released).",
        choices=("paper", "released"),
    ),
    Setting("t1", "number", 0.7, "How far back to noise it begins, as a share of the way (paper only).", 0.02, 1),
    Setting("steps", "integer", 50, "Steps of the whole way from noise (paper only).", 2, 200),
    Setting("guidance", "number", 6.0, "How much the prompt counts.", 0, 30),
    Setting("control", "number", 1.0, "How strictly the edges are followed; 0 is not at all.", 0, 2),
    Setting(
        "dilate", "integer", 16, "How far around the matte the model's own result may change, in work pixels.", 0, 200
    ),
    Setting("window", "integer", 49, "Frames seen at once, brought down to eight times a number, and 1.", 9, 49),
    Setting("overlap", "integer", 8, "Frames that two windows have in common.", 0, 24),
    Setting("consistency", "boolean", True, "Off leaves the whole stage out: what was harmonised stays as it is."),
    Setting("projection", "boolean", True, "Off gives no detail back between the steps."),
    Setting(
        "boxed",
        "boolean",
        False,
        "Runs the codec on the foreground's surroundings alone: faster, and less exact.",
    ),
    Setting(
        "precision",
        "choice",
        "half",
        "Numbers that the networks run in on a GPU; full takes twice the memory.",
        choices=("half", "full"),
    ),
)


def _refine(name: str, size: str, edges: str, *more: str) -> PluginSpec:
    models = (f"cogvideox-{size}", f"controlnet/{size}-{edges}", *more)
    return PluginSpec(
        name=name,
        role="refine",
        version="4",
        factory=f"anyportal_core.plugins.cogvideox.refine:refine_{size}_{edges}",
        summary=f"Steady in time by CogVideoX-{size} along edges drawn by {edges.upper() if more else edges.title()}, "
        "with the foreground's own detail.",
        settings=_SETTINGS,
        makes="video",
        prompted=True,
        models=models,
        limits=LIMITS,
        model_uses=(
            *(ModelUse(model, "consistency") for model in models),
            *(ModelUse(model, "control") for model in models[1:]),
        ),
        extra="diffusion",
    )


REFINES = (
    _refine("cogvideox.refine", "5b", "hed", "hed"),
    _refine("cogvideox.refine_canny", "5b", "canny"),
    _refine("cogvideox.refine_2b", "2b", "hed", "hed"),
    _refine("cogvideox.refine_2b_canny", "2b", "canny"),
)
