"""Cases of the detail transfer."""

from __future__ import annotations

import torch

from anyportal_core.method.detail import blur, gaussian_kernel, take_over
from anyportal_core.testing.parity.golden import Case, Golden, Tensors


def detail_transfer(golden: Golden) -> Tensors:
    """Both bands at every sigma, with the target around the foreground, and once with another picture."""
    source, target, inpaint = (golden.inputs[name] / 255 for name in ("source", "target", "inpaint"))
    matte = golden.inputs["mask"][..., None] / 255
    made: Tensors = {}
    for sigma in golden.config["blur_sigma"]:
        made[f"kernel1d_sigma{sigma}"] = torch.tensor(gaussian_kernel(sigma))
        made[f"blur_source_sigma{sigma}"] = blur(source, sigma).movedim(-1, 1)
        made[f"detail_inpaint_sigma{sigma}"] = take_over(target, source, matte, "high", sigma, outside=inpaint)
        made[f"detail_sigma{sigma}"] = take_over(target, source, matte, "high", sigma)
        made[f"patch_sigma{sigma}"] = take_over(target, source, matte, "whole", sigma)
        for name in (f"detail_sigma{sigma}", f"patch_sigma{sigma}"):
            made[f"{name}_u8"] = (made[name] * 255).to(torch.uint8)
    return made


CASES: dict[str, Case] = {"detail_transfer": Case(detail_transfer, atol={"*_u8": 1.0, "*": 2e-5})}
