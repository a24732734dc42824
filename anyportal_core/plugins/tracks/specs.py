"""The plug-in that draws tracking videos, as data."""

from anyportal_core.registry import PluginSpec
from anyportal_core.settings import Setting

VIDEO = PluginSpec(
    name="tracks.video",
    role="motion",
    version="1",
    factory="anyportal_core.plugins.tracks.plugin:TrackingVideo",
    summary="Points of the first frame, with their depth, followed by optical flow and drawn as a tracking video.",
    settings=(
        Setting("points", "integer", 70, "Points along each side of the picture.", 4, 200),
        Setting(
            "window",
            "integer",
            49,
            "Frames that the background is made of at once, brought down to four times a number, and 1.",
            5,
            49,
        ),
        Setting("overlap", "integer", 8, "Frames that two windows have in common, at most half of one.", 1, 24),
    ),
    makes="tracking_video",
    models=("depth",),
    extra="diffusion",
)
