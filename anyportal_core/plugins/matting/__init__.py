"""Mattes of anything: a mask of one frame followed through the shot, with soft edges."""
