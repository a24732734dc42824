"""The plug-ins of the whole method, as data: importing this imports nothing heavy."""

from anyportal_core.plugins.cogvideox import specs as cogvideox
from anyportal_core.plugins.das import specs as das
from anyportal_core.plugins.iclight import specs as iclight
from anyportal_core.plugins.matting import specs as matting
from anyportal_core.plugins.propainter import specs as propainter
from anyportal_core.plugins.tracks import specs as tracks

PLUGINS = (
    *matting.MATTES,
    propainter.CLEAN_PLATE,
    *tracks.TRACKS,
    tracks.VIDEO,
    iclight.FIRST_FRAME,
    das.BACKGROUND,
    iclight.HARMONISE,
    *cogvideox.REFINES,
)
