"""The draft preset's scene plug-ins, as data: importing this imports nothing heavy."""

from anyportal_core.registry import PluginSpec
from anyportal_core.settings import Setting

_HOMOGRAPHY = PluginSpec(
    name="draft.homography",
    role="motion",
    version="4",
    factory="anyportal_core.plugins.draft.scene.motion:Homography",
    summary="The camera's motion as homographies of the background, from features followed through the shot.",
    settings=(
        Setting(
            "smoothing",
            "number",
            0.05,
            "How strongly the camera's path is smoothed; 0 follows every tremor.",
            minimum=0,
            maximum=1000,
        ),
        Setting(
            "horizon",
            "number",
            0.55,
            "Where the ground begins in the plate's first frame, in parts of its height from the top, for parallax.",
            minimum=0,
            maximum=0.9,
        ),
    ),
    makes="homography",
)

_WARP = PluginSpec(
    name="draft.warp",
    role="background",
    version="5",
    factory="anyportal_core.plugins.draft.scene.background:Warp",
    summary="A picture, clip or colour that covers the frame and moves as the plate's camera does.",
    settings=(
        Setting("scale", "number", 1.0, "Enlarges the backdrop beyond covering the frame.", 1, 8, animated=True),
        Setting("offset_x", "number", 0.0, "Moves the backdrop right, in frame widths.", -2, 2, animated=True),
        Setting("offset_y", "number", 0.0, "Moves the backdrop down, in frame heights.", -2, 2, animated=True),
        Setting("rotation", "number", 0.0, "Turns the backdrop clockwise, in degrees.", -180, 180, animated=True),
        Setting("flip", "boolean", False, "Mirrors the backdrop left to right."),
        Setting("blur", "number", 0.0, "Defocus, in percent of the frame's height.", 0, 10, animated=True),
        Setting(
            "defocus",
            "number",
            0.0,
            "How far a backdrop sharper than the plate's own background is put out of focus: 1 makes them alike.",
            minimum=0,
            maximum=2,
            animated=True,
        ),
        Setting("motion", "number", 1.0, "Share of the camera's motion it follows; 0 freezes it.", 0, 1, animated=True),
        Setting(
            "parallax",
            "number",
            0.0,
            "How far what is low in the picture moves as the plate's own ground does, where it shows parallax.",
            minimum=0,
            maximum=1,
            animated=True,
        ),
        Setting(
            "clip_end",
            "choice",
            "pingpong",
            "What a backdrop clip does that is shorter than the shot.",
            choices=("hold", "loop", "pingpong"),
        ),
        Setting("largest_zoom", "number", 1.6, "How far the backdrop may be enlarged to hide its border.", 1, 8),
        Setting(
            "beyond",
            "choice",
            "damp",
            "When the camera moves farther than that: follow it less, mirror the picture's border, or refuse.",
            choices=("damp", "mirror", "refuse"),
        ),
    ),
    needs=(("motion", "homography"),),
    backdrops=("still", "clip", "colour"),
)

_LIGHT = PluginSpec(
    name="draft.light",
    role="harmonise",
    version="20",
    factory="anyportal_core.plugins.draft.scene.harmonise:Light",
    summary="Light and colour estimated from the new background and laid on the foreground as a smooth gain.",
    settings=(
        Setting("exposure", "number", 0.0, "Makes the foreground lighter or darker, in stops.", -4, 4, animated=True),
        Setting("warmth", "number", 0.0, "Makes the foreground warmer or colder, -1 to 1.", -1, 1, animated=True),
        Setting("direction", "number", 1.0, "How much light from one side shows, 0 to 2.", 0, 2, animated=True),
        Setting("colour", "number", 1.0, "How much of the light's colour is taken over.", 0, 1, animated=True),
        Setting(
            "key",
            "number",
            0.0,
            "A key light of your own: by how many stops the side it shines on is lighter than the far one.",
            0,
            6,
            animated=True,
        ),
        Setting(
            "key_angle",
            "number",
            -45.0,
            "Where that key light comes from, in degrees clockwise: 0 from above, 90 from the right.",
            -360,
            360,
            animated=True,
        ),
        Setting(
            "rim",
            "number",
            0.0,
            "Light from behind: by how many stops the foreground's edges are lighter than its middle.",
            0,
            4,
            animated=True,
        ),
        Setting(
            "haze",
            "number",
            1.0,
            "How far the plate's own haze and flare are taken off the foreground, and the new place's laid on.",
            0,
            1,
            animated=True,
        ),
    ),
    makes="gain",
)

_STEADY = PluginSpec(
    name="draft.steady",
    role="refine",
    version="3",
    factory="anyportal_core.plugins.draft.scene.refine:Steady",
    summary="The relighting steadied over time along the foreground's motion; detail stays the plate's own.",
    settings=(Setting("span", "integer", 4, "Frames on either side that a gain is steadied over.", 1, 24),),
    makes="gain",
)

SCENE: tuple[PluginSpec, ...] = (_HOMOGRAPHY, _WARP, _LIGHT, _STEADY)
