"""The plug-ins that follow points and draw them, as data."""

from anyportal_core.registry import PluginSpec
from anyportal_core.roles.tracks import SETTINGS

FLOW = PluginSpec(
    name="tracks.flow",
    role="tracks",
    version="1",
    factory="anyportal_core.plugins.tracks.flow:FlowTracks",
    summary="Points of the first frame followed by optical flow: no model, no GPU.",
    settings=SETTINGS,
    makes="points",
)

COTRACKER = PluginSpec(
    name="tracks.cotracker",
    role="tracks",
    version="1",
    factory="anyportal_core.plugins.tracks.cotracker:CoTrackerTracks",
    summary="Points followed by CoTracker 3, behind what hides them too. Takes its package and weights, which are for "
    "research alone (CC BY-NC), as you have installed them.",
    settings=SETTINGS,
    makes="points",
    models=("cotracker",),
    extra="diffusion",
)

VIDEO = PluginSpec(
    name="tracks.video",
    role="motion",
    version="2",
    factory="anyportal_core.plugins.tracks.video:TrackingVideo",
    summary="Tracks of points drawn as a tracking video, coloured by place and depth in the first frame.",
    makes="tracking_video",
    needs=(("tracks", "points"),),
    models=("depth",),
    extra="diffusion",
)

TRACKS = (FLOW, COTRACKER)
