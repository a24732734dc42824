"""The gRPC server: what the wire says, told to the jobs and the store. It never imports a plug-in."""
