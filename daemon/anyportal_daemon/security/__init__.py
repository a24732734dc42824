"""Who may talk to the daemon."""
