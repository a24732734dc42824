"""Points followed through a shot, drawn as the tracking video that Diffusion-as-Shader reads."""
