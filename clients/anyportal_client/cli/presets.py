"""`anyportal presets`: what the daemon can do."""

from __future__ import annotations

import json

from anyportal_client.cli.options import Daemon, Debug, Json
from anyportal_client.cli.saying import say


def presets(daemon: Daemon = None, as_json: Json = False, debug: Debug = False) -> None:
    """List the presets of the daemon: what they need and which backdrops they take."""
    from anyportal_client.client import Client
    from anyportal_client.events import PresetListed

    with Client.connect(daemon) as client:
        found = client.presets()
    for preset in found:
        if as_json:
            event = PresetListed(preset.name, preset.summary, preset.roles, preset.backdrops, preset.unavailable)
            print(json.dumps(event.as_json()))
            continue
        say(f"{preset.name}: {preset.summary}")
        say(f"  backdrops: {', '.join(preset.backdrops)}")
        if preset.unavailable:
            say(f"  cannot run: {preset.unavailable}")
