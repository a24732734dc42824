"""The draft preset's matte plug-ins, as data: importing this imports nothing heavy."""

from anyportal_core.registry import PluginSpec
from anyportal_core.settings import Setting

_EDGES = (
    Setting(
        "edge_reach", "number", 3.0, "How far from a rough edge its true place is sought, in % of the size.", 0.5, 10
    ),
    Setting("black", "number", 0.03, "Alpha that becomes fully transparent.", 0.0, 0.45),
    Setting("white", "number", 0.97, "Alpha that becomes fully opaque.", 0.55, 1.0),
)

MATTES: tuple[PluginSpec, ...] = (
    PluginSpec(
        name="draft.supplied",
        role="matte",
        version="2",
        factory="anyportal_core.plugins.draft.matte.supplied:Supplied",
        summary="The matte that was supplied with the shot, as it is.",
    ),
    PluginSpec(
        name="draft.key",
        role="matte",
        version="6",
        factory="anyportal_core.plugins.draft.matte.key:Key",
        summary="Keys a green or blue screen; its colour is estimated from the shot.",
        settings=(
            Setting(
                "screen",
                "choice",
                "auto",
                "Which screen to look for; picked takes screen_colour.",
                choices=("auto", "green", "blue", "picked"),
            ),
            Setting("screen_colour", "colour", "#00b140", "The screen's colour, where screen is picked."),
            Setting("black", "number", 0.05, "Share of foreground below which a pixel is clear.", 0.0, 0.45),
            Setting("white", "number", 0.95, "Share of foreground above which a pixel is solid.", 0.55, 1.0),
            Setting(
                "core",
                "number",
                0.6,
                "Share of foreground above which a wide place is solid, as of greenish clothes; 1: none is.",
                0.3,
                1.0,
            ),
        ),
    ),
    PluginSpec(
        name="draft.difference",
        role="matte",
        version="2",
        factory="anyportal_core.plugins.draft.matte.difference:Difference",
        summary="Takes what differs from a clean plate: a picture or clip of the place without its foreground.",
        settings=(
            *_EDGES,
            Setting("tolerance", "number", 3.0, "Differences below this many % of full light are noise.", 0.1, 50.0),
        ),
    ),
    PluginSpec(
        name="draft.propagate",
        role="matte",
        version="6",
        factory="anyportal_core.plugins.draft.matte.propagate:Propagate",
        summary="Carries masks of any frames through the shot, along its motion and colours.",
        settings=(
            *_EDGES,
            Setting(
                "edges",
                "choice",
                "painted",
                "Where masks are painted wider than the foreground: keep them so, or find its own edge.",
                choices=("painted", "found"),
            ),
        ),
    ),
    PluginSpec(
        name="draft.person",
        role="matte",
        version="7",
        factory="anyportal_core.plugins.draft.matte.person:Person",
        summary="Finds the people in the shot by itself (MediaPipe selfie segmentation).",
        settings=(
            *_EDGES,
            Setting("steadiness", "number", 0.6, "How much the frame before counts, 0 (none) to 0.9.", 0.0, 0.9),
            Setting(
                "people",
                "choice",
                "all",
                "Of several people: all, the largest, or the one at pick_x and pick_y on the first frame.",
                choices=("all", "largest", "picked"),
            ),
            Setting("pick_x", "number", 50.0, "Where the picked person is, in % of the width from the left.", 0, 100),
            Setting("pick_y", "number", 50.0, "Where the picked person is, in % of the height from the top.", 0, 100),
            Setting(
                "correction_frames",
                "integer",
                24,
                "For how many frames before and after its own a mask corrects what was found.",
                1,
                1000,
            ),
        ),
    ),
)
