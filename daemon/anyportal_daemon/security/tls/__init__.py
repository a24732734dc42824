"""Certificates: the daemon's own authority, and what it serves with."""
