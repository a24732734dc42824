"""Diffusion-as-Shader: CogVideoX image-to-video that follows a tracking video (arXiv 2501.03847)."""
