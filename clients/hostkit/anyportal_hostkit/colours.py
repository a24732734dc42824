"""What names of colour spaces mean: those that a host translates are the command's own, whatever $OCIO explains."""

import os

OWN_CONFIG = "studio-config-v4.0.0_aces-v2.0_ocio-v2.5"
"""The configuration that the command takes names for where $OCIO is not set."""


def config_of_own_names():
    """What to send as a wish's `colour_config` beside names that the host has translated: said where $OCIO is set."""
    return OWN_CONFIG if os.environ.get("OCIO") else ""
