"""IC-Light's plug-ins, as data: importing this imports nothing heavy."""

from anyportal_core.registry import ModelUse, PluginSpec
from anyportal_core.settings import Setting
from anyportal_core.sizes import Limits

LIGHTING = Limits(multiple=64, shrink=0.9)
INPAINTING = Limits(multiple=8, least=64)

_COMMON = (
    Setting("guidance", "number", 7.0, "How strongly the prompt is followed.", 1, 30),
    Setting("batch", "integer", 8, "Frames that run through the network at once: less memory, or faster.", 1, 128),
    Setting(
        "precision",
        "choice",
        "half",
        "Half precision where there is a GPU, or full, which takes twice the memory.",
        choices=("half", "full"),
    ),
)

HARMONISE = PluginSpec(
    name="iclight.relight",
    role="harmonise",
    version="3",
    factory="anyportal_core.plugins.iclight.plugin:Harmonise",
    summary="The foreground relit by the background and then by the prompt, every frame looking at the first.",
    settings=(
        Setting("text_relight", "boolean", True, "Relights by the prompt too, after the background."),
        Setting("t0", "number", 0.65, "How far back to noise the relighting by the prompt goes.", 0.05, 1),
        Setting("steps", "integer", 20, "Evaluations of each of the three runs.", 1, 200),
        *_COMMON,
    ),
    makes="relit",
    prompted=True,
    models=("sd15", "iclight/fbc", "iclight/fc"),
    model_uses=(ModelUse("iclight/fc", "text_relight", text=True),),
    limits=LIGHTING,
    extra="diffusion",
)

FIRST_FRAME = PluginSpec(
    name="iclight.first_frame",
    role="first_frame",
    version="2",
    factory="anyportal_core.plugins.iclight.plugin:FirstFrame",
    summary="The new place as the shot's first frame shows it, from the prompt, its light fitting the foreground.",
    settings=(
        Setting("steps", "integer", 50, "Evaluations of each of the two runs: the place, and the hole in it.", 1, 200),
        Setting("grow", "integer", 5, "How far beyond the foreground the hole reaches, in pixels.", 0, 100),
        *_COMMON,
    ),
    makes="picture",
    prompted=True,
    models=("sd15", "iclight/fc", "sd15-inpainting"),
    model_uses=tuple(ModelUse(model, backdrops=("prompt",)) for model in ("sd15", "iclight/fc", "sd15-inpainting")),
    limits=LIGHTING,
    extra="diffusion",
)
