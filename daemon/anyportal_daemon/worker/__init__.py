"""The child processes that own the devices, and the supervisors that watch them."""
