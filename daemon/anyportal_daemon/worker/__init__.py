"""The child process that owns the device, and the supervisor that watches it."""
