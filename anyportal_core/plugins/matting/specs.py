"""The plug-ins that follow a mask through the shot, as data."""

from anyportal_core.registry import PluginSpec
from anyportal_core.settings import Setting

_SETTINGS = (
    Setting(
        "click",
        "text",
        "",
        "Points of the foreground on the first frame, from its left top corner as shares of its width and height: "
        "'0.5,0.4; 0.6,0.8'.",
    ),
    Setting("box", "text", "", "A box around it on the first frame: left, top, right, bottom: '0.3,0.1,0.7,1'."),
    Setting("edge_reach", "number", 2.0, "Half the width of the soft edge that is decided, in % of the size.", 0.5, 10),
    Setting("steadiness", "number", 0.5, "How much the frame before counts at soft edges, 0 (none) to 0.9.", 0.0, 0.9),
    Setting("black", "number", 0.03, "Alpha that becomes fully transparent.", 0.0, 0.45),
    Setting("white", "number", 0.97, "Alpha that becomes fully opaque.", 0.55, 1.0),
)

_HOW = "A mask, a click or a box shows it, or it is the person in the shot; ViTMatte makes its edges soft."


def _matte(name: str, network: str, model: str) -> PluginSpec:
    return PluginSpec(
        name=name,
        role="matte",
        version="2",
        factory=f"anyportal_core.plugins.matting.plugin:{model}_matte",
        summary=f"Follows anything through the shot by {network}. {_HOW}",
        settings=_SETTINGS,
        models=(model, "vitmatte"),
        extra="diffusion",
    )


MATTES = (_matte("sam.matte", "SAM 2", "sam2"), _matte("edgetam.matte", "EdgeTAM", "edgetam"))
