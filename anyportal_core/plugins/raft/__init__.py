"""RAFT: optical flow (arXiv 2003.12039)."""
