"""All plug-ins of the draft preset, as data."""

from anyportal_core.plugins.draft.matte.specs import MATTES
from anyportal_core.plugins.draft.scene.specs import SCENE

PLUGINS = (*MATTES, *SCENE)
