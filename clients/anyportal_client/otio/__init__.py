"""The OpenTimelineIO batch tool: plan a cut, run its shots, write the timeline and a report."""
