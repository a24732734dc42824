"""IC-Light: a foreground relit to a prompt or a background, here steady from frame to frame."""
