"""Commands for whoever looks after the daemon's machine. None of them talks to the daemon."""
