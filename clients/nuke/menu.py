"""Read by Nuke with a window: the menu."""

import anyportal_nuke

import nuke

nuke.menu("Nuke").addCommand("AnyPortal/Replace background...", anyportal_nuke.replace_background)
