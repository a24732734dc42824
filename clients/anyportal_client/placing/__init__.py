"""Put the scripts where Nuke, Resolve and Blender look for them, and take them away again."""
