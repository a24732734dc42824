"""Read by Nuke with a window: the menu."""

import anyportal_nuke

import nuke

_MENU = nuke.menu("Nuke").addMenu("AnyPortal")
_MENU.addCommand("Replace background...", anyportal_nuke.replace_background)
_MENU.addSeparator()
for _label, _action in (
    ("Rerun...", anyportal_nuke.rerun),
    ("Compare with previous", anyportal_nuke.compare),
    ("Show job", anyportal_nuke.show_job),
    ("Cancel", anyportal_nuke.cancel),
):
    _MENU.addCommand(_label, anyportal_nuke.on_selected(_action))
_MENU.addSeparator()
_MENU.addCommand("Doctor", anyportal_nuke.doctor)

anyportal_nuke.look_for_daemons()  # in the background, so that the panel can offer them
