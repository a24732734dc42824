"""ProPainter's plug-in, as data: importing this imports nothing heavy."""

from anyportal_core.registry import PluginSpec
from anyportal_core.roles.clean_plate import BACKGROUND_ORDER
from anyportal_core.settings import Setting
from anyportal_core.sizes import Limits

LIMITS = Limits(multiple=8)

CLEAN_PLATE = PluginSpec(
    name="propainter.clean_plate",
    role="clean_plate",
    version="3",
    factory="anyportal_core.plugins.propainter.plugin:CleanPlate",
    summary="The foreground taken away: what other frames show is brought along the flow, the rest is painted.",
    settings=(
        Setting("grow", "integer", 4, "How far beyond the foreground is painted anew, in pixels.", 0, 100),
        Setting("part", "integer", 80, "Frames done in one go: less memory, or a longer memory.", 1, 1000),
        BACKGROUND_ORDER,
    ),
    makes="frames",
    models=("propainter",),
    limits=LIMITS,
    extra="diffusion",
)
