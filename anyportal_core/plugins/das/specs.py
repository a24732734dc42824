"""The plug-in of Diffusion-as-Shader, as data."""

from anyportal_core.registry import ModelUse, PluginSpec
from anyportal_core.settings import Setting
from anyportal_core.sizes import Limits

BACKGROUND = PluginSpec(
    name="das.background",
    role="background",
    version="4",
    factory="anyportal_core.plugins.das.plugin:DasBackground",
    summary="The new place as a moving picture: Diffusion-as-Shader, from the first frame, along the plate's motion. "
    "A clip or a colour is the background as it is.",
    settings=(
        Setting("steps", "integer", 50, "Steps of denoising.", 1, 200),
        Setting("guidance", "number", 6.0, "How much the prompt counts.", 0, 30),
    ),
    makes="video",
    needs=(("motion", "tracking_video"), ("first_frame", "picture")),
    backdrops=("prompt", "still", "clip", "colour"),
    as_they_are=("clip", "colour"),
    prompted=True,
    models=("das",),
    model_uses=(ModelUse("das", backdrops=("prompt", "still")),),
    limits=Limits(fixed=(480, 720)),
    extra="diffusion",
)
