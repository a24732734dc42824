"""CogVideoX with TheDenk's ControlNet: transformer, control branch, video codec, rotary tables."""
