"""The method: shots in, comps and layers out. No gRPC, no daemon."""
