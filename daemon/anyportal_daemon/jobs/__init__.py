"""Jobs: checked, written down, and led from queued to their end."""
